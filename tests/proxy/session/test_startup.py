"""The first bytes of a connection: encryption, StartupMessage, and everything that is not one of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import effects as fx
from proxy import events as ev
from proxy.wire import backend, scram
from proxy.wire.frontend import CancelRequest, SASLInitialResponse, StartupMessage
from tests.proxy.session.example import NOW, bundle, rule
from tests.proxy.session.playbook import Playbook, prove

SSL, GSS = bytes.fromhex("0000000804d2162f"), bytes.fromhex("0000000804d21630")
HELLO = StartupMessage(3 << 16, {"user": "bot", "database": "crm"})
REFUSED = "record session.refused"


def refused(words: list[str], sqlstate: str) -> bool:
    return words[-2:] == [f"client ErrorResponse {sqlstate}", "Close"] and any(w.startswith(REFUSED) for w in words)


def test_encryption_is_declined_without_a_certificate() -> None:
    book = Playbook()
    assert book.client(SSL) == ["client b'N'"]
    assert book.client(GSS) == ["client b'N'"]
    assert book.client(HELLO) == ["client Authentication"]


def test_tls() -> None:
    book = Playbook(tls_available=True)
    assert book.client(SSL) == ["client b'S'", "StartClientTls"]
    book.give(ev.ClientTlsStarted())
    assert book.client(HELLO) == ["client Authentication"]
    assert refused(Playbook(tls_available=True).client(SSL + HELLO.encode()), "08P01")  # CVE-2021-23222


def directly(alpn: str) -> tuple[Playbook, list[str]]:
    book = Playbook(tls_available=True)
    assert book.client(b"\x16\x03\x01 the start of a handshake") == ["StartClientTls"]
    return book, book.give(ev.ClientTlsStarted(alpn=alpn))


def test_tls_at_once() -> None:
    book, words = directly("postgresql")
    assert words == []
    assert fx.StartClientTls(b"\x16\x03\x01 the start of a handshake") in book.effects
    assert book.client(HELLO) == ["client Authentication"]


@pytest.mark.parametrize("alpn", ["", "http/1.1"])
def test_tls_at_once_is_for_who_asked_for_postgresql(alpn: str) -> None:
    _, words = directly(alpn)
    assert refused(words, "08P01")


def test_tls_at_once_is_the_first_thing_or_nothing() -> None:
    for first in (b"\0", SSL):  # within a packet, or where it was agreed on already
        assert "StartClientTls" not in Playbook().client(first + b"\x16\x03\x01")
    book, _ = directly("postgresql")
    assert refused(book.client(SSL), "08P01")
    assert refused(directly("postgresql")[0].client(b"\x16\x03\x01\x02\0"), "08P01")


def test_tls_at_once_without_a_certificate_ends_in_silence() -> None:
    assert Playbook().client(b"\x16\x03\x01") == ["Close"]


def test_nothing_is_read_while_tls_starts() -> None:
    book = Playbook(tls_available=True)
    book.client(SSL)
    assert refused(book.client(HELLO), "08P01")


def test_encryption_is_asked_for_once() -> None:
    book = Playbook()
    book.client(SSL)
    assert refused(book.client(SSL), "08P01")


def test_a_cancel_request_is_routed_and_never_answered() -> None:
    book = Playbook()
    assert book.client(CancelRequest(7, b"abcd")) == ["RouteCancel", "Close"]
    assert fx.RouteCancel(7, b"abcd") in book.effects




def test_unknown_connection() -> None:
    book = Playbook()
    book.client(StartupMessage(3 << 16, {"user": "bot", "database": "nope"}))
    assert refused(prove(book), "3D000")


def test_no_grant_no_session() -> None:
    book = Playbook(bundle(connection={"default": "deny"}))
    book.client(HELLO)
    assert refused(prove(book), "28000")


def test_too_many_sessions() -> None:
    book = Playbook(bundle(connection={"max_sessions": 1}))
    book.environment.sessions["crm"] = 1
    book.client(HELLO)
    assert refused(prove(book), "53300")
    assert book.environment.sessions["crm"] == 1
    assert b"crm" in book.sent(fx.SendToClient)
    assert b"have the connection's max_sessions raised" in book.sent(fx.SendToClient)


def test_too_many_sessions_of_one_subject() -> None:
    policy = bundle(connection={"max_sessions_per_subject": 1})
    book = Playbook(policy)
    book.environment.sessions.update(["crm", "crm", "crm/other", "crm/other"])
    book.sign_in()
    assert (book.environment.sessions["crm"], book.environment.sessions["crm/bot"]) == (3, 1), "other subjects' do not count"
    second = Playbook(policy)
    second.environment.sessions.update(book.environment.sessions)
    second.client(HELLO)
    assert refused(prove(second), "53300")
    assert b'subject "bot" has its 1 sessions on connection "crm" already' in second.sent(fx.SendToClient)
    assert b"max_sessions_per_subject" in second.sent(fx.SendToClient)
    assert second.environment.sessions == book.environment.sessions, "who was refused does not count"
    book.give(ev.ClientGone())
    assert (book.environment.sessions["crm"], book.environment.sessions["crm/bot"]) == (2, 0)


def test_no_bundle() -> None:
    book = Playbook()
    book.environment.bundle = None
    assert "client ErrorResponse TG003" in book.client(HELLO)


def test_stale_bundle() -> None:
    book = Playbook()
    book.now = NOW + 3601
    assert refused(book.client(HELLO), "TG003")


def test_draining() -> None:
    book = Playbook()
    book.environment.draining = True
    assert refused(book.client(HELLO), "57P01")


def test_replication_is_refused() -> None:
    for value in ("database", "true", "1"):
        assert refused(Playbook().client(StartupMessage(3 << 16, {"user": "bot", "replication": value})), "0A000")
    assert Playbook().client(StartupMessage(3 << 16, {"user": "bot", "replication": "off"})) == ["client Authentication"]


@pytest.mark.parametrize("version", [2 << 16, 4 << 16, (2 << 16) | 9])
def test_other_protocols(version: int) -> None:
    book = Playbook()
    assert refused(book.client(StartupMessage(version, {})), "0A000")
    said = f"unsupported frontend protocol {version >> 16}.{version & 0xFFFF}: server supports 3.0 to 3.2"  # PostgreSQL 18's words
    assert said.encode() in book.sent(fx.SendToClient)


@pytest.mark.parametrize(
    ("minor", "options", "negotiated"),
    [
        (0, (), None), (1, (), None), (2, (), None), (3, (), 2), (9999, (), 2), (0, ("_pq_.x",), 0), (2, ("_pq_.x",), 2),
        (5, ("_pq_.x", "_pq_.y"), 2),
    ],
)  # fmt: skip
def test_minor_versions_and_options_are_negotiated_as_postgresql_18_does_it(
    minor: int, options: tuple[str, ...], negotiated: int | None
) -> None:
    book = Playbook()
    words = book.client(StartupMessage((3 << 16) | minor, {"user": "bot"} | dict.fromkeys(options, "1")))
    assert words == ["client Authentication"] if negotiated is None else ["client NegotiateProtocolVersion", "client Authentication"]
    if negotiated is not None:
        assert backend.NegotiateProtocolVersion((3 << 16) | negotiated, options).encode() in book.sent(fx.SendToClient)


def test_no_user() -> None:
    assert refused(Playbook().client(StartupMessage(3 << 16, {"database": "crm"})), "28000")


def test_a_setting_that_is_not_passed_on_is_named() -> None:
    book = Playbook(bundle(rules=[rule("drop", "deny")]))
    book.client(StartupMessage(3 << 16, {"user": "bot", "database": "crm", "role": "postgres"}))
    assert refused(prove(book), "42501")
    assert b'"role"' in book.sent(fx.SendToClient)


def test_where_no_rule_could_object_the_target_judges_the_settings() -> None:
    book = Playbook()
    given = {"role": "postgres", "options": "-d 5 -c geqo=off", "_pq_.x": "1"}
    book.client(StartupMessage(3 << 16, {"user": "bot", "database": "crm", **given}))
    prove(book)
    book.give(ev.ServerOpened(tls=False))
    sent = StartupMessage(3 << 16, {"user": "tidegate_agent", "database": "crm_db", "role": "postgres", "options": "-d 5 -c geqo=off"})
    assert book.sent() == sent.encode()


@pytest.mark.parametrize(
    "packet", [b"\0\0\x27\x11", b"\0\0\0\x04", b"\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n", b"\0\0\0\x0c\0\x03\0\0user"]
)
def test_malformed_or_oversized_startup_packets(packet: bytes) -> None:
    assert refused(Playbook().client(packet), "08P01")








def test_byte_by_byte() -> None:
    book = Playbook()
    words = [book.client(bytes([byte])) for byte in GSS]
    words += [book.client(bytes([byte])) for byte in HELLO.encode()]
    assert [w for w in words if w] == [["client b'N'"], ["client Authentication"]]
    first = SASLInitialResponse(scram.MECHANISM, scram.ScramClient("agent key", b"c" * 18).first()).encode()
    assert [w for w in (book.client(bytes([byte])) for byte in first) if w] == [["client Authentication"]]


def test_split_and_truncated_at_every_offset() -> None:
    hello = HELLO.encode()
    for cut in range(len(hello)):
        book = Playbook()
        assert book.client(hello[:cut]) == []
        assert book.client(hello[cut:]) == ["client Authentication"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_garbage_never_raises_and_never_signs_in(chunks: list[bytes]) -> None:
    book = Playbook()
    for chunk in chunks:
        book.client(chunk)
    assert not any(isinstance(effect, fx.OpenServer) for effect in book.effects)
    assert not any(isinstance(e, fx.Log) and e.event == "session.failed" for e in book.effects)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_garbage_after_the_startup_message(chunks: list[bytes]) -> None:
    book = Playbook()
    book.client(HELLO)
    for chunk in chunks:
        book.client(b"p" + (len(chunk) + 4).to_bytes(4, "big") + chunk)
    assert not any(isinstance(effect, fx.OpenServer) for effect in book.effects)
    assert not any(isinstance(e, fx.Log) and e.event == "session.failed" for e in book.effects)
