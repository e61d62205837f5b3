"""What COPY … TO STDOUT sends, read from the statement."""

import pytest

from proxy.sql.analysis import analyse
from proxy.sql.catalog import Catalog
from proxy.sql.facts import AnalysisRequest, CopyOut
from proxy.wire.copy_data import CopyFormat

_TEXT = ("25", "pg_catalog", "text", "text", "-1", "f", "b", "0", "-1", "")
_JSONB = ("3802", "pg_catalog", "jsonb", "jsonb", "-1", "f", "b", "0", "-1", "")
CATALOG = Catalog.load({
    "schemas": [["pg_catalog"], ["public"]],
    "relations": [["16400", "public", "t", "r", "f"]],
    "columns": [
        ["16400", "1", "a", *_TEXT, ""], ["16400", "2", "doc", *_JSONB, ""], ["16400", "3", "g", *_TEXT, "upper(a)"],
    ],
})  # fmt: skip
CSV = CopyFormat("csv", b",", b"")


def copy_of(sql: str, catalog: Catalog | None = CATALOG) -> CopyOut | None:
    [facts] = analyse(AnalysisRequest(sql, "", ("pg_catalog", "public"), {}, ""), catalog).statements
    return facts.copy_out


@pytest.mark.parametrize(
    ("options", "form", "header"),
    [
        ("", CopyFormat(), False),
        ("WITH CSV HEADER", CSV, True),
        ("(FORMAT csv, HEADER, FORCE_QUOTE *)", CSV, True),
        ("(HEADER 1)", CopyFormat(), True),
        ("(HEADER off, DELIMITER '|', NULL 'nil')", CopyFormat(delimiter=b"|", null=b"nil"), False),
        ("CSV DELIMITER ';' QUOTE '''' NULL 'x'", CopyFormat("csv", b";", b"x", b"'", b"'"), False),
        ("(FORMAT csv, ESCAPE '\\')", CopyFormat("csv", b",", b"", b'"', b"\\"), False),
        ("(FORMAT binary)", CopyFormat("binary"), False),
    ],
)
def test_options(options: str, form: CopyFormat, header: bool) -> None:
    assert copy_of(f"COPY t (a) TO STDOUT {options}") == CopyOut(form, header, types=(25,))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("(FORMAT 'json')", "format"), ("(FORMAT avro)", "format"), ("(FORCE_ARRAY)", "force_array"), ("(DELIMITER 'é')", "delimiter"),
        ("(FORMAT csv, QUOTE 'ab')", "quote"), ("(NULL '€')", "null string"), ("(NULL 'x\\')", "null string"),
    ],
)  # fmt: skip
def test_what_is_not_known(options: str, problem: str) -> None:
    found = copy_of(f"COPY t TO STDOUT {options}")
    assert found is not None
    assert problem in found.problem


def test_columns_that_the_catalog_knows() -> None:
    for sql, types in {
        "COPY t TO STDOUT": (25, 3802),  # without the generated one
        "COPY t (g, doc) TO STDOUT": (25, 3802),
        "COPY (SELECT upper(a), a, x.* FROM t x) TO STDOUT": (0, 25, 25, 3802, 25),
        "COPY (WITH c AS (SELECT a AS b, 1 FROM t) SELECT * FROM c) TO STDOUT": (25, 0),
        "COPY (SELECT a FROM t UNION ALL SELECT a FROM t) TO STDOUT": (0,),
        "COPY (DELETE FROM t RETURNING a, a || a) TO STDOUT": (25, 0),
        "COPY other TO STDOUT": (),
    }.items():
        found = copy_of(sql)
        assert found is not None
        assert found.types == types, sql
    unknown = copy_of("COPY t TO STDOUT", None)
    assert unknown is not None
    assert not any(unknown.types)


def test_other_statements_send_no_copy() -> None:
    for sql in ("COPY t FROM STDIN", "COPY t TO '/tmp/x'", "COPY t TO PROGRAM 'cat'", "SELECT 1"):
        assert copy_of(sql) is None
    assert copy_of("COPY t TO STDOUT (ENCODING 'LATIN1')") == CopyOut(CopyFormat(), encoding="LATIN1", types=(25, 3802))
