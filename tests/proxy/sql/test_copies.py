"""Which columns triggers and rules copy masked values into."""

from __future__ import annotations

import pytest

from proxy.sql.catalog import Catalog, Relation
from proxy.sql.copies import copied_columns

TABLES = {1: "people", 2: "diary", 3: "diary_copy", 4: "orders"}
COLUMNS = ("id", "secret", "about", "line")  # integer, and three texts


def known(code: str, owner: int = 1, *, rule: str = "", trigger: str = "CREATE TRIGGER t", more: dict[str, str] | None = None) -> Catalog:
    """Four tables of the same columns; ``code`` is a trigger function's on one of them, ``more`` are other functions."""
    functions = {"f": code, **(more or {})}
    rows = [
        [str(90 + number), "vault", name, "f", "plpgsql", "v", "0", "0", "f", source, None, None, None, None,
         "f", "p", "pg_catalog.trigger", "f", "f", None, None, None, None, None]
        for number, (name, source) in enumerate(functions.items())
    ]
    columns = [
        [str(oid), str(number), name, "23" if name == "id" else "25", "pg_catalog", "t", "t", "-1", "f", "b", "0", "-1", None, None]
        for oid in TABLES for number, name in enumerate(COLUMNS, 1)
    ]
    return Catalog.load({
        "relations": [[str(oid), "vault", name, "r", "f"] for oid, name in TABLES.items()],
        "columns": columns,
        "triggers": [[str(owner), "t", "90", trigger], ["2", "t", "91", "CREATE TRIGGER t"]][: 1 + bool(more)],
        "rules": [[str(owner), rule]] if rule else [],
        "functions": rows,
        "builtins": [["now", "s"], ["upper", "s"]],
    })  # fmt: skip


def copied(catalog: Catalog) -> set[str]:
    found = copied_columns(catalog, {1: {2}}, frozenset({"people"}))
    relations: dict[int, Relation] = dict(catalog.relations)
    return {f"{TABLES[oid]}.{COLUMNS[number - 1]}" for oid, numbers in found.items() if oid in relations for number in numbers}


@pytest.mark.parametrize(
    ("code", "columns"),
    [
        ("BEGIN INSERT INTO vault.diary (id, line) VALUES (OLD.id, OLD.secret); RETURN NEW; END", {"diary.line"}),
        ("BEGIN INSERT INTO diary SELECT OLD.*; RETURN NEW; END", {"diary.secret", "diary.about", "diary.line"}),
        ('BEGIN UPDATE ONLY "vault" . "diary" SET line = OLD.secret; RETURN NEW; END', {"diary.secret", "diary.about", "diary.line"}),
        ("BEGIN -- INSERT INTO diary\n RETURN NEW; END", set()),
        ("BEGIN NEW.about := upper(NEW.secret); NEW.line := now(); RETURN NEW; END", {"people.about"}),
        ("BEGIN IF true THEN NEW.about = x; END IF; RETURN NEW; END -- secret", set()),
        ("DECLARE x text = NEW.secret; BEGIN IF true THEN NEW.about = x; END IF; RETURN NEW; END", {"people.about"}),
    ],
)
def test_code_on_a_masked_table(code: str, columns: set[str]) -> None:
    assert copied(known(code)) == columns


@pytest.mark.parametrize(
    ("code", "columns"),
    [
        ("BEGIN SELECT secret INTO STRICT NEW.about FROM people WHERE id = NEW.id; NEW.line := 'x'; RETURN NEW; END", {"orders.about"}),
        ("BEGIN SELECT * INTO NEW FROM people; RETURN NEW; END", {"orders.secret", "orders.about", "orders.line"}),
        ("BEGIN NEW.about := NEW.line; RETURN NEW; END", set()),
    ],
)
def test_code_that_reads_a_masked_table(code: str, columns: set[str]) -> None:
    assert copied(known(code, 4)) == columns


def test_copies_of_copies_and_functions_in_between() -> None:
    more = {"g": "BEGIN INSERT INTO diary_copy (about) VALUES (NEW.line); RETURN NEW; END", "note": "INSERT INTO diary (line) VALUES ($1)"}
    assert copied(known("BEGIN PERFORM vault.note(OLD.secret); RETURN NEW; END", more=more)) == {"diary.line", "diary_copy.about"}


def test_rules() -> None:
    rule = "CREATE RULE r AS ON UPDATE TO vault.people DO INSERT INTO vault.diary (id, line) VALUES (old.id, old.secret)"
    assert copied(known("", rule=rule)) == {"diary.line"}


def test_text_search_triggers() -> None:
    trigger = "CREATE TRIGGER t BEFORE INSERT ON vault.people FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger('line', 'simple', {})"
    assert copied(known("", trigger=trigger.format("'about', 'secret'"))) == {"people.line"}
    assert copied(known("", trigger=trigger.format("'about'"))) == set()


@pytest.mark.parametrize(
    ("code", "columns"),
    [
        ("BEGIN INSERT INTO diary (id, line) SELECT id, secret FROM people; RETURN NEW; END", {"diary.line"}),
        ("BEGIN INSERT INTO diary (about, line) VALUES ((SELECT max(secret) FROM people), TG_OP); RETURN NEW; END", {"diary.about"}),
        ("BEGIN UPDATE people SET line = NEW.line; RETURN NEW; END", set()),
        ("BEGIN UPDATE people SET line = secret; RETURN NEW; END", {"people.line", "people.about"}),
        ("BEGIN INSERT INTO people (line) VALUES (NEW.line); RETURN NEW; END", set()),
    ],
)
def test_code_on_a_table_that_holds_nothing_itself(code: str, columns: set[str]) -> None:
    assert copied(known(code, 3)) - {"people.secret"} == columns


@pytest.mark.parametrize(
    ("values", "columns"),
    [
        ("OLD.id, TG_OP, now(), 'x, (y'", set()),
        ("OLD.id, upper(OLD.about), NEW.line, OLD.secret", {"diary.line"}),
        ("1, upper(TG_NAME), upper(OLD::text), NULL", {"diary.about"}),
        ("1, OLD.id, x, NULL", {"diary.about"}),
        ("1, 'a', 'b', 'c'), (2, OLD.secret, 'b', 'c'", {"diary.secret", "diary.about", "diary.line"}),
        ("1, 'a', 'b', 'c') ON CONFLICT (id) DO UPDATE SET line = (OLD.secret", {"diary.secret", "diary.about", "diary.line"}),
    ],
)
def test_values_of_an_insert_are_told_apart(values: str, columns: set[str]) -> None:
    code = f"BEGIN INSERT INTO diary (id, secret, about, line) VALUES ({values}); RETURN NEW; END"
    assert copied(known(code)) == columns
