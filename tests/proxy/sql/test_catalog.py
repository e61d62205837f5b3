"""The catalog: names, families, and what it is loaded from on real servers."""

from __future__ import annotations

import pickle

from proxy.sql.catalog import Catalog, quote
from tests.conftest import Target
from tests.proxy.sql.example import SCHEMA, catalog, read_rows


def name_of(parts: tuple[str, ...], *path: str) -> str:
    found = catalog().resolve(parts, path)
    return found.full_name if found else ""


def test_names_are_found_along_the_path() -> None:
    assert name_of(("customers",), "public", "crm") == "public.customers"
    assert name_of(("customers",), "crm", "public") == "crm.customers"
    assert name_of(("customers",), "shop") == ""
    assert name_of(("crm", "customers"), "public") == "crm.customers"
    assert name_of(("db", "crm", "customers"), "public") == "crm.customers"
    # pg_catalog comes first unless it is named.
    assert name_of(("pg_class",), "public") == "pg_catalog.pg_class"


def test_temporary_schemas_are_those_of_the_path() -> None:
    rows = {
        "schemas": [["pg_temp_3"], ["pg_temp_4"], ["public"]],
        "relations": [["1", "pg_temp_3", "t", "r", "f"], ["2", "pg_temp_4", "t", "r", "f"]],
    }
    known = Catalog.load(rows)
    assert known.resolve(("pg_temp", "t"), ("pg_temp_4", "pg_catalog", "public")) is known.relation(2)
    assert known.resolve(("t",), ("pg_temp_3", "pg_catalog", "public")) is known.relation(1)
    assert known.resolve(("t",), ("public",)) is None


def test_columns_know_their_type_in_full() -> None:
    known = catalog()
    customers, odd = known.resolve(("crm", "customers"), ()), known.resolve(("crm", "odd"), ())
    assert customers is not None
    assert odd is not None
    assert {column.name: column.type_name for column in customers.columns}["phone"] == "character varying(20)"
    kinds = {column.name: (column.kind, column.type_name) for column in odd.columns}
    assert kinds["mail"] == ("domain", '"crm"."address"')
    assert kinds["tags"][0] == "array"
    assert kinds["pair"] == ("composite", '"crm"."pair"')
    mail = odd.column("mail")
    assert mail is not None
    assert mail.base_type_oid == 25
    shout = odd.column("shout")
    assert shout is not None
    assert shout.generated


def test_families() -> None:
    known = catalog()
    parent, child = known.resolve(("crm", "people"), ()), known.resolve(("crm", "staff"), ())
    assert parent is not None
    assert child is not None
    assert known.family(parent.oid) == (parent.oid, child.oid)
    assert known.ancestors(child.oid) == (parent.oid,)


def test_it_travels_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(catalog())) == catalog()


def test_equal_rows_have_equal_digests() -> None:
    rows = {"schemas": [["public"]], "relations": [["1", "public", "t", "r", "f"]]}
    assert Catalog.load(rows).digest == Catalog.load(dict(rows)).digest
    assert Catalog.load(rows).digest != Catalog.load({**rows, "schemas": [["other"]]}).digest


def test_identifiers_survive_quoting() -> None:
    assert quote('a "b"') == '"a ""b"""'


def test_every_supported_server_answers_the_queries(target: Target) -> None:
    """The recorded rows of the other tests are what a server says, but for object ids."""
    target.sql("DROP DATABASE IF EXISTS sql_catalog")
    target.sql("CREATE DATABASE sql_catalog")
    target.sql(SCHEMA.read_text(), dbname="sql_catalog")
    found, recorded = Catalog.load(read_rows(target.dsn("sql_catalog"))), catalog()
    for relation in recorded.relations.values():
        other = found.resolve((relation.schema, relation.name), ())
        assert other is not None, relation.full_name
        if relation.schema != "pg_catalog":
            assert [(c.attnum, c.name, c.type_name, c.kind) for c in other.columns] == [
                (c.attnum, c.name, c.type_name, c.kind) for c in relation.columns
            ]
            assert (other.kind, other.has_rules, other.primary_key, bool(other.definition)) == (
                relation.kind, relation.has_rules, relation.primary_key, bool(relation.definition),
            )  # fmt: skip
    assert {f.full_name for f in found.functions.values()} == {f.full_name for f in recorded.functions.values()}
    # Every type can be written as it is spelt, under any path.
    names = {column.type_name for relation in found.relations.values() for column in relation.columns if column.kind != "pseudo"}
    for name in sorted(names):
        target.sql(f"SET search_path TO nowhere; SELECT NULL::{name}", dbname="sql_catalog")
    target.sql("DROP DATABASE sql_catalog")
