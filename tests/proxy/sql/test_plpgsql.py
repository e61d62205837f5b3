"""PL/pgSQL: all SQL in it, or nothing."""

from __future__ import annotations

import pytest

from proxy.sql.plpgsql import read_code


def test_statements_and_expressions() -> None:
    code = read_code(
        "DO $$ DECLARE n int := 5; r record; c CURSOR FOR SELECT 8; BEGIN n := (SELECT 1); PERFORM f(2);"
        " FOR r IN SELECT 3 LOOP RAISE NOTICE '%', r.a; END LOOP; IF n > 4 THEN DELETE FROM x; END IF; OPEN c; END $$"
    )
    assert code is not None
    assert {"n", "r", "c"} <= code.variables
    text = " ".join(code.statements)
    for part in ("(SELECT 1)", "f(2)", "SELECT 3", "r.a", "n > 4", "DELETE FROM x", "SELECT 8", "5"):
        assert part in text


@pytest.mark.parametrize(
    "body",
    [
        "EXECUTE 'x';",
        "FOR r IN EXECUTE 'x' LOOP NULL; END LOOP;",
        "OPEN c FOR EXECUTE 'x';",
        "RETURN QUERY EXECUTE 'x';",
        "NONSENSE",
    ],
)
def test_what_is_not_there_to_be_read(body: str) -> None:
    block = f"DECLARE r record; c refcursor; BEGIN {body} END"
    assert read_code(f"CREATE FUNCTION f() RETURNS SETOF record LANGUAGE plpgsql AS $$ {block} $$") is None
