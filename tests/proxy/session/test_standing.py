"""Who is connected is asked for again at every statement."""

from typing import Any

from proxy import effects as fx
from proxy.events import ClientCertificate
from proxy.session.state import Identity
from proxy.wire.backend import CommandComplete
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Execute, Parse, Query
from tests.proxy.session.example import NOW, b64, bundle
from tests.proxy.session.playbook import IDLE, Playbook

PARSED, BOUND = b"1\0\0\0\x04", b"2\0\0\0\x04"
FORWARDED = {"server Query", "server Parse", "server Bind", "server Execute"}
READS = {"reads": frozenset({"crm.customers"})}



def refused(book: Playbook, message: Any, sqlstate: str = "TG003") -> bool:
    words = book.client(message)
    return f"client ErrorResponse {sqlstate}" in words and FORWARDED.isdisjoint(words)




def test_unknown_subject_mid_session() -> None:
    book = Playbook().sign_in()
    book.environment.bundle = bundle(subjects=[])
    assert refused(book, Query(b"select 1"), "28000")
    assert isinstance(book.effects[-1], fx.Close)


def test_revoked_key_mid_session() -> None:
    book = Playbook().sign_in()
    other = {"id": "k2", "stored_key": b64(b"1" * 32), "server_key": b64(b"2" * 32), "expires": None}
    scram = {"salt": b64(b"0" * 16), "iterations": 4096, "keys": [other]}
    book.environment.bundle = bundle(subjects=[{"name": "bot", "kind": "agent", "owner": None, "groups": [], "scram": scram, "oidc": None}])
    assert refused(book, Query(b"select 1"), "28000")


def test_connection_removed_mid_session() -> None:
    book = Playbook().sign_in()
    book.environment.bundle = bundle(connections=[])
    assert refused(book, Query(b"select 1"), "3D000")


def test_expired_grant_mid_session() -> None:
    grant = {"subjects": ["bot"], "groups": [], "connections": ["crm"], "actions": ["select"], "from": None, "until": int(NOW) + 60}
    book = Playbook(bundle(connection={"default": "deny"}, grants=[grant])).sign_in()
    assert book.client(Query(b"select 1"))[-1] == "server Query"
    book.server(CommandComplete("SELECT 1"), IDLE)
    book.now = NOW + 61
    assert refused(book, Query(b"select 1"), "28000")


def test_expired_token_mid_session() -> None:
    book = Playbook().sign_in()
    book.session._state.identity = Identity("bot", "agent", "https://id", expires_at=int(NOW) + 60)
    assert book.client(Query(b"select 1"))[-1] == "server Query"
    book.server(CommandComplete("SELECT 1"), IDLE)
    book.now = NOW + 60
    assert refused(book, Query(b"select 1"), "28000")


def test_revocation_bites_at_the_next_execute_of_a_prepared_statement() -> None:
    book = Playbook().sign_in()
    book.client(Parse(b"s", b"select 1"), Bind(b"", b"s"), Execute(b""), SYNC_MESSAGE)
    book.server(PARSED, BOUND, CommandComplete("SELECT 1"), IDLE)
    deny = {"name": "no", "when": {"actions": ["select"]}, "then": "deny", "workflow": None, "message": None, "shadow": False}
    book.environment.bundle = bundle(rules=[deny])
    words = book.client(Bind(b"", b"s"), Execute(b""), SYNC_MESSAGE)
    assert "server Execute" not in words
    assert [r["decision"] for r in book.records("statement.intended")] == ["allow", "deny"]




def by_certificate(identity: dict[str, str] | None) -> Any:
    return bundle(subjects=[{"name": "bot", "kind": "agent", "owner": None, "groups": [], "certificate": identity}])


def test_expired_or_unmapped_certificate_mid_session() -> None:
    shown = ClientCertificate("bot", ("spiffe://corp/bot",), int(NOW) + 60)
    for change in ("time", "mapping", "no mapping"):
        book = Playbook().sign_in()
        book.environment.bundle = by_certificate({"uri": "spiffe://corp/bot"})
        book.session._state.identity = Identity("bot", "agent", "certificate", expires_at=shown.expires_at, certificate=shown)
        assert book.client(Query(b"select 1"))[-1] == "server Query"
        book.server(CommandComplete("SELECT 1"), IDLE)
        if change == "time":
            book.now = NOW + 60
        else:
            book.environment.bundle = by_certificate({"uri": "spiffe://corp/other"} if change == "mapping" else None)
        assert refused(book, Query(b"select 1"), "28000")
