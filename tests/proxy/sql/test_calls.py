"""A call of an SQL function as a query; that it means the same is tested in test_inline.py, on a server."""

from __future__ import annotations

import pytest

from proxy.sql.calls import Text, called, has_result
from proxy.sql.parser import parse
from tests.proxy.sql.example import PATH, catalog


def source_of(sql: str, name: str) -> str | None:
    (statement,) = parse(sql)
    call = statement.node["targetList"][0]["ResTarget"]["val"]["FuncCall"]
    (function,) = catalog().functions_named(["crm", name], PATH)
    found = called(Text(sql.encode()), call, function, "v", catalog(), PATH, frozenset())
    return None if found is None else " ".join(found.source.split())


@pytest.mark.parametrize(
    ("sql", "arguments"),
    [
        ("SELECT crm.greeting(1)", ("1", "'Hello, '::text", "'!'::text")),
        ("SELECT crm.greeting(1, ending => f(2, 3))", ("1", "'Hello, '::text", "f(2, 3)")),
        ("SELECT crm.greeting(ending := ARRAY[1, 2], i := 3, start => '(')", ("3", "'('", "ARRAY[1, 2]")),
        ("SELECT crm.some_emails(1, (2), /* , */ 3)", ("ARRAY[1, (2), 3]",)),
        ("SELECT crm.some_emails(VARIADIC '{1}')", ("'{1}'",)),
    ],
)
def test_every_parameter_gets_its_argument(sql: str, arguments: tuple[str, ...]) -> None:
    source = source_of(sql, sql.partition("crm.")[2].partition("(")[0])
    assert source is not None
    row = source.partition(' AS "tidegate arguments"')[0]
    for number, value in enumerate(arguments, 1):
        assert f"CAST({value} AS " in row
        assert f"AS p{number}" in row


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("SELECT crm.greeting(ending => '!')", "greeting"), ("SELECT crm.greeting(1, nosuch => 2)", "greeting"),
        ("SELECT crm.greeting(1, VARIADIC '{}')", "greeting"), ("SELECT crm.two_steps(1)", "two_steps"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_no_query(sql: str, name: str) -> None:
    assert source_of(sql, name) is None


def test_fields_of_arguments_are_kept_apart_from_schemas() -> None:
    source = source_of("SELECT crm.mail_there(c)", "mail_there")
    assert source is not None
    assert source.count('("tidegate arguments".p1).name') == 2


def test_results_that_an_array_cannot_hold() -> None:
    functions = {function.name: has_result(function) for function in catalog().functions.values()}
    assert functions["person"]
    assert functions["everyone"]
    assert not functions["clear_notes"]
