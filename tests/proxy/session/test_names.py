import pytest

from proxy.session.names import Names, codec, given_back_within, need_names
from proxy.sql.facts import Facts
from proxy.wire.codec import MalformedError


def facts(action: str = "set", **more: object) -> Facts:
    return Facts(action, frozenset({action}), **more)  # type: ignore[arg-type]


def known() -> Names:
    names = Names()
    names.learn([(b'["pg_catalog","a b"]', b"role")])
    return names


def test_the_probe_is_learned() -> None:
    names = known()
    assert (names.path, names.role) == (("pg_catalog", "a b"), "role")
    for rows in ([], [()], [(None, b"x")], [(b"junk", b"x")], [(b"[]", b"x")] * 2):
        with pytest.raises(MalformedError):
            Names().learn(rows)


def test_a_statement_that_changes_names_makes_them_unknown() -> None:
    names = known()
    names.forwarded(facts("select", reads=frozenset({"t"})))
    assert names.path is not None
    names.forwarded(facts(names_change=True))
    assert names.path is None


@pytest.mark.parametrize("end", ["commit", "rollback", "rollback_to"])
def test_the_end_of_a_transaction_that_changed_names(end: str) -> None:
    names = known()
    names.forwarded(facts("transaction", transaction=end, names_change=True))
    assert names.path is not None  # nothing was changed in it
    names.forwarded(facts(names_change=True))
    names.learn([(b'["x"]', b"role")])
    names.forwarded(facts("transaction", transaction="savepoint"))
    assert names.path is not None
    names.forwarded(facts("transaction", transaction=end))
    assert names.path is None
    assert names.reading_in_doubt


def test_reading_is_in_doubt_until_the_server_has_reported() -> None:
    names = known()
    names.forwarded(facts(reading_changes=True))
    assert names.reading_in_doubt
    names.settled(idle=True)
    assert not names.reading_in_doubt
    assert not names.changed_in_transaction


def test_a_failure_may_undo_what_was_changed() -> None:
    names = known()
    names.failed()
    assert names.path is not None
    names.forwarded(facts(names_change=True))
    names.learn([(b'["x"]', b"role")])
    names.failed()
    assert names.path is None


def test_reports_of_the_server() -> None:
    names = known()
    names.reported("search_path", False)
    names.reported("TimeZone", True)
    assert names.path is not None
    names.reported("search_path", True)
    assert names.path is None


def test_what_needs_names() -> None:
    for nameless in ("select", "set", "transaction", "listen"):
        assert not need_names([facts(nameless)])
    assert need_names([facts("select", functions=frozenset({"f"}))])
    assert need_names([facts("prepare", runs_prepared=True)])
    assert need_names([facts("create")])


def test_a_transaction_that_ends_within_a_text() -> None:
    rollback, read = facts("transaction", transaction="rollback"), facts("select", reads=frozenset({"t"}))
    assert given_back_within([rollback, read])
    assert not given_back_within([read, rollback, facts("transaction", transaction="begin")])


def test_encodings() -> None:
    assert codec("utf8") == "utf-8"
    assert codec("LATIN1") == "latin-1"
    for unsafe in ("SJIS", "BIG5", "GBK", "GB18030", "UHC", "JOHAB", "SHIFT_JIS_2004", "", "nonsense"):
        assert codec(unsafe) is None
    for name in ("WIN866", "KOI8U", "EUC_CN", "LATIN10"):
        found = codec(name)
        assert found is not None
        assert "select".encode(found) == b"select"
