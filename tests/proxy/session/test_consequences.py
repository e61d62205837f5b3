"""From what a target says about triggers and foreign keys to what an approver reads. (Of a real one: tests/worker/test_previews.py.)"""

import pytest

from proxy.session.consequences import Consequences, changes_rows, consequences
from proxy.sql.catalog import Catalog
from proxy.sql.facts import Facts

PARENT, CHILD, GRANDCHILD, PART, VIEW = 20001, 20002, 20003, 20004, 20005
NAMES = {PARENT: "parent", CHILD: "child", GRANDCHILD: "grandchild", PART: "part", VIEW: "shown"}
KNOWN = Catalog.load({
    "relations": [[str(oid), "a", name, "v" if oid == VIEW else "r", "f"] for oid, name in NAMES.items()],
    "inherits": [[str(PART), str(PARENT)]],
    "cascades": [[str(PARENT), str(CHILD)], [str(CHILD), str(GRANDCHILD)]],
    "foreign_keys": [[str(CHILD), "[2]", str(PARENT), "[1]"], [str(GRANDCHILD), "[2]", str(CHILD), "[1]"]],
})  # fmt: skip


def key(child: int, parent: int, on_delete: str, on_update: str = "a") -> tuple[bytes, ...]:
    return (b"%d" % parent, b"%d" % child, on_delete.encode(), on_update.encode(), b'["of"]', b'["id"]')


def trigger(owner: int, name: str, kinds: int, of: bytes | None = None) -> tuple[bytes | None, ...]:
    return (b"%d" % owner, name.encode(), b"%d" % kinds, of)


def about(action: str, *columns: str, writes: str = "a.parent") -> Consequences | None:
    facts = Facts(action, frozenset({action}), writes=frozenset({writes}), columns=frozenset(columns))
    return consequences(KNOWN, facts, frozenset(columns), bytes.decode)


def answered(found: Consequences | None, triggers: list[tuple[bytes | None, ...]], keys: list[tuple[bytes, ...]]) -> Consequences:
    assert found is not None
    found.questions[0].rows.extend(triggers)
    found.questions[1].rows.extend(keys)
    found.read_answers()
    return found


def cascades(found: Consequences) -> list[tuple[object, object]]:
    return [(one["relation"], one["action"]) for one in found.cascades()]


def test_a_delete_goes_on_as_deletes_and_updates() -> None:
    keys = [key(CHILD, PARENT, "c"), key(GRANDCHILD, CHILD, "n"), key(CHILD, GRANDCHILD, "r")]
    triggers = [
        trigger(PARENT, "one", 8), trigger(PART, "two", 8), trigger(CHILD, "three", 8 | 4), trigger(GRANDCHILD, "four", 16),
        trigger(GRANDCHILD, "five", 8), trigger(GRANDCHILD, "six", 16, b'["of"]'), trigger(GRANDCHILD, "seven", 16, b'["id"]'),
    ]  # fmt: skip
    found = answered(about("delete"), triggers, keys)
    assert cascades(found) == [("a.child", "DELETE CASCADE"), ("a.grandchild", "DELETE SET NULL")]
    assert [one["name"] for one in found.triggers()] == ["one", "two", "three", "four", "six"]
    assert {one["event"] for one in found.triggers()} == {"DELETE", "UPDATE"}
    assert all(b"{20001,20002,20003,20004}" in question.values for question in found.questions)


def test_only_an_update_of_what_is_referred_to_goes_on() -> None:
    keys = [key(CHILD, PARENT, "c", "c")]
    assert cascades(answered(about("update", "a.parent.name"), [], keys)) == []
    assert cascades(answered(about("update", "a.parent.id"), [], keys)) == [("a.child", "UPDATE CASCADE")]
    assert cascades(answered(about("insert", "a.parent.id"), [], keys)) == []


def test_keys_that_go_in_circles_end() -> None:
    keys = [key(CHILD, PARENT, "c"), key(PARENT, CHILD, "c"), key(PARENT, PARENT, "d")]
    assert len(cascades(answered(about("delete"), [], keys))) == 3


def test_a_truncate_takes_along_whatever_refers_to_it() -> None:
    found = about("truncate")
    assert found is not None
    assert b"20003" in (found.questions[0].values[0] or b"")  # type: ignore[operator]
    answered(found, [trigger(CHILD, "gone", 32)], [key(CHILD, PARENT, "a"), key(GRANDCHILD, CHILD, "a")])
    assert cascades(found) == [("a.child", "TRUNCATE CASCADE"), ("a.grandchild", "TRUNCATE CASCADE")]
    assert found.triggers() == [{"relation": "a.child", "name": "gone", "event": "TRUNCATE"}]


def test_a_table_that_is_newer_than_the_catalog_has_its_number() -> None:
    assert cascades(answered(about("delete"), [], [key(30001, PARENT, "c")])) == [("table 30001", "DELETE CASCADE")]


@pytest.mark.parametrize(
    ("action", "writes"), [("select", "a.parent"), ("delete", "a.shown"), ("delete", "a.nothing"), ("drop", "a.parent")]
)
def test_what_is_not_asked_about(action: str, writes: str) -> None:
    assert about(action, writes=writes) is None


def test_what_changes_rows() -> None:
    assert changes_rows(Facts("explain", frozenset({"explain", "delete"})))
    assert not changes_rows(Facts("select", frozenset({"select", "function"})))
