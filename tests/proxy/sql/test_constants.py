"""An analysis that is said to hold for all texts of a shape is what each of them gets when it is analysed by itself."""

import random
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from proxy.sql import analysis, walk
from proxy.sql.analysis import analyse
from proxy.sql.constants import Constants, keep
from proxy.sql.facts import Analysis, AnalysisRequest
from proxy.sql.parser import Constant, parse
from proxy.sql.shape import shape
from tests.proxy.sql.example import PATH, analysed, catalog, fixtures, masks_of
from tests.proxy.sql.shapes import equal_but_for_constants, plainly_analysed, varied

ROOT = Path(__file__).resolve().parents[2]


def texts() -> list[str]:
    found = [sql for name in ("none", "result", "scan", "refuse") for sql, _ in fixtures(name)]
    for path in (ROOT / "proxy/sql/fixtures/attacks.sql", ROOT / "leak/attacks.sql"):
        lines = [line.strip().removeprefix("!").strip() for line in path.read_text().splitlines()]
        found += [text for line in lines if line and not line.startswith("--") for text in line.split(";;")]
    return found


def plainly(sql: str, masked: bool) -> Analysis:
    masks = masks_of(catalog()) if masked else {}
    return plainly_analysed(AnalysisRequest(sql, catalog().digest, PATH, masks, "masks"), catalog())


@pytest.mark.parametrize("masked", [True, False])
def test_every_text_of_a_shape_has_the_same_analysis(masked: bool) -> None:
    chance, general = random.Random(7), 0
    for sql in texts():
        found = analysed(sql) if masked else analysed(sql, rules={})
        assert replace(found, constants_matter=True) == plainly(sql, masked), sql
        if found.constants_matter:
            continue
        general += 1
        for _ in range(3):
            other = varied(sql, chance)
            assert shape(other.encode()) == shape(sql.encode())
            assert replace(found, constants_matter=True) == plainly(other, masked), (sql, other)
            assert equal_but_for_constants(*parse(sql), *parse(other)), (sql, other)
    assert general > 250


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM shop.items WHERE kind = 'linen' LIMIT 5",
        "SELECT kind, count(*) FROM shop.items GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5",
        "SELECT id, email FROM crm.customers WHERE id = 7",
        "SELECT - 5, -'5', id - 1 FROM shop.items WHERE id > -5 AND ready = true AND title = NULL",
        "WITH few AS (SELECT id FROM shop.items WHERE id > 5) SELECT extract(year FROM now()) FROM few WHERE id < 7 AND id < $3",
        "SELECT substring(title FROM 2 FOR 3), INTERVAL '1 day' FROM shop.items",
        "INSERT INTO shop.notes (id, body) VALUES (1, 'x'), (2, 'y') RETURNING id",
        "UPDATE shop.notes SET body = 'x' WHERE id = 5",
        "DELETE FROM shop.notes WHERE id = 5 OR body = 'x'",
        "UPDATE crm.customers SET ssn = $1 WHERE id = 5",
    ],
)
def test_ordinary_statements_are_general(sql: str) -> None:
    assert not analysed(sql).constants_matter


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT set_config('work_mem', '1MB', true)",
        "UPDATE crm.customers SET ssn = 'x' WHERE id = 5",  # it could be what the mask shows
        "DELETE FROM shop.notes WHERE 1 = 2",  # 1 = 1 would be none
        "SELECT id FROM shop.items ORDER BY kind, -1",
        "SELECT id FROM shop.items WHERE id = 5 ORDER BY 0",
        "SELECT id FROM shop.items WHERE id = 5 ORDER BY 1000",
        "SELECT max(ssn) FROM crm.customers WHERE id > 5",  # its text is rewritten
        "SELECT 1; SELECT 2",
        "SET work_mem = 5",
        "COPY shop.notes TO STDOUT (FORMAT 'csv')",
        "DO 'BEGIN END'",
        "DECLARE c CURSOR FOR SELECT 1",
        "CREATE TABLE shop.other (n int DEFAULT 5)",
        "SELECT 'a'\n'b'",  # one constant
        "SELECT -(5)",  # what is normalised keeps the 5
        "SELECT -(5), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16",
        "SELECT -(5) -- $14",
        "SELECT - - 5",
        "SELECT title::varchar(10) FROM shop.items",
        "SELECT 1::float(3)",
        "SELECT",
        "SELECT 5 FROM",
    ],
)
def test_where_constants_matter_each_text_is_analysed(sql: str) -> None:
    assert analysed(sql).constants_matter


def test_texts_that_are_refused_are_analysed_again() -> None:
    assert analysed("UPDATE crm.customers SET id = 5 WHERE ssn = 'x'").plan.kind == "refuse"
    assert analysed("UPDATE crm.customers SET id = 5 WHERE ssn = 'x'").constants_matter


def test_whoever_looks_at_a_constant_is_noticed() -> None:
    def looked(look: object) -> bool:
        constant = Constant({"sval": "x"})
        look(constant)  # type: ignore[operator]
        return constant.seen

    looks = (
        lambda one: one["sval"], lambda one: one.get("sval"), lambda one: [*one.values()], lambda one: {**one}, lambda one: "sval" in one,
        lambda one: one == {"sval": "y"}, lambda one: one != Constant({"sval": "y"}), list, dict, len, bool,
        lambda one: msgspec.json.encode(one, enc_hook=Constant.look),
    )  # fmt: skip
    assert all(map(looked, looks))
    assert not looked(lambda one: isinstance(one, dict))  # so that a walk through the tree goes on into it
    with pytest.raises(TypeError):
        msgspec.json.encode(Constant({}))


def test_a_rule_that_walks_through_the_tree_makes_constants_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    def walks(node: object) -> bool:
        if isinstance(node, dict):
            return any(map(walks, node.values()))
        return any(map(walks, node)) if isinstance(node, list) else node == "secret"

    query = walk.Reader.query
    sql = "SELECT id FROM shop.items WHERE kind = 'linen'"
    assert not analysed(sql).constants_matter
    monkeypatch.setattr(walk.Reader, "query", lambda reader, node, *rest, **more: (walks(node), query(reader, node, *rest, **more))[1])
    assert analysed(sql).constants_matter


def test_the_second_parser_reads_the_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("proxy.sql.plan.proves_bare_output", lambda sql, *rest: seen.append(sql) or True)
    assert analysed("SELECT id, email FROM crm.customers WHERE name = 'x''y' ;  ").plan.kind == "result"
    assert seen == ["SELECT id, email FROM crm.customers WHERE name = 'a' "]


def test_the_depth_of_short_texts_is_measured_where_longer_ones_have_their_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.sql.constants.MAX_DEPTH", 100)
    deep = "SELECT id FROM shop.items WHERE kind = 'x' AND id = " + "-(" * 60 + "id" + ")" * 60
    assert keep(deep, parse(deep)) is None
    shallow = deep.replace("-(", " (")
    assert keep(shallow, parse(shallow)) is not None


def test_a_normalised_text_has_a_number_for_each_constant_and_nothing_more() -> None:
    found = Constants("SELECT 0 + 0", ("SELECT ", " + ", ""), ())
    assert found.left_nothing("SELECT $1 + $2")
    assert found.left_nothing("SELECT $8 + $7")
    for other in ("$1 + $1", "$1 + $3", "$1 + $25", "$1 + $2 ", "$1+ $2", "5 + $2", "$1 + 5", ""):
        assert not found.left_nothing(f"SELECT {other}")


def test_problems_are_not_shared() -> None:
    request = AnalysisRequest("SELECT ruled FROM crm.odd WHERE id = 5", "", PATH, {}, "")
    assert not analyse(request, None).constants_matter
    assert analysis.analyse(replace(request, sql="SELECT 5, '\0'"), None).constants_matter
