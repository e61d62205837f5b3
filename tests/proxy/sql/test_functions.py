"""What calling a function means."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from proxy.sql.functions import CLASS_ACTIONS, judge, listed
from tests.conftest import Target
from tests.proxy.sql.example import PATH, catalog

DATA = json.loads(files("proxy.sql").joinpath("functions.json").read_text())


@pytest.mark.parametrize(
    ("parts", "arguments", "kinds"),
    [
        (["upper"], 1, ["harmless"]),
        (["pg_catalog", "upper"], 1, ["harmless"]),
        (["pg_sleep"], 1, ["delay"]),
        (["pg_read_file"], 1, ["outside"]),
        (["ts_rewrite"], 2, ["executes_sql"]),
        (["pg_ls_waldir"], 0, ["outside"]),
        (["lo_import"], 1, ["outside"]),
        (["lo_get"], 1, ["large_object"]),
        (["crm", "email_of"], 1, ["follow"]),
        (["crm", "email_of"], 3, ["unknown"]),  # no such function takes three
        (["email_of"], 1, ["unknown"]),  # not on the path
        (["nosuch"], 0, ["unknown"]),
        (["shop", "product"], 1, ["harmless", "harmless"]),  # the aggregate, and PostgreSQL's own function below it
        (["shop", "gathered"], 1, ["harmless", "follow"]),
        (["shop", "span"], 2, ["harmless"]),
        (["elsewhere", "upper"], 1, ["unknown"]),
        (["information_schema", "_pg_expandarray"], 1, ["harmless"]),
    ],
)
def test_verdicts(parts: list[str], arguments: int, kinds: list[str]) -> None:
    assert [verdict.kind for verdict in judge(parts, arguments, catalog(), PATH, frozenset())] == kinds


def test_every_meaning_of_a_name_counts() -> None:
    """A function on the path beside PostgreSQL's own of that name: which one is called depends on types that are not known."""
    known = catalog()
    twin = next(function for function in known.functions.values() if function.name == "by_name")
    path = ("pg_catalog", "crm")
    assert [verdict.kind for verdict in judge(["by_name"], 1, known, path, frozenset())] == ["follow"]
    assert [verdict.kind for verdict in judge(["by_name"], 1, known, path, frozenset({twin.full_name}))] == ["harmless"]


def test_the_data_file_is_consistent() -> None:
    assert set(DATA["functions"].values()) <= set(DATA["classes"]) == set(CLASS_ACTIONS)
    assert not [name for name in DATA["harmless_volatile"] if listed(name, 1)]


def test_every_volatile_function_of_the_server_was_gone_through(target: Target) -> None:
    """A new version's function that nobody has looked at is opaque; this test says which ones are to be looked at."""
    found = target.sql(
        "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile = 'v' AND prokind = 'f'"
        " AND prorettype <> ALL ('{trigger,event_trigger,internal,language_handler}'::regtype[])"
        " AND prorettype <> ALL ('{index_am_handler,table_am_handler,tsm_handler}'::regtype[])"
        " AND NOT 'internal'::regtype = ANY (proargtypes)"
    )
    known = set(DATA["harmless_volatile"])
    assert sorted(name for (name,) in found if name not in known and not listed(str(name), 1) and not listed(str(name), 2)) == []
