"""The gateway's own sign-in at the target, and targets that are not what they should be."""

import pytest

from proxy import effects as fx
from proxy import events as ev
from proxy.wire import backend
from proxy.wire.backend import Authentication, BackendKeyData, ErrorFields, ParameterStatus
from proxy.wire.frontend import Query, SASLInitialResponse, StartupMessage, decode_startup
from proxy.wire.md5 import md5_password
from proxy.wire.scram import MECHANISM, MECHANISM_PLUS, BindingError, ScramServer, Verifier, derive
from tests.proxy.session.example import MASKED, bundle
from tests.proxy.session.playbook import IDLE, Playbook, error, prove

OK = Authentication(backend.AUTH_OK)
SALT = b"s" * 16


def opened(tls: bool = False, startup: dict[str, str] | None = None, binding: bytes = b"", **policy: object) -> Playbook:
    book = Playbook(bundle(**policy))
    book.client(StartupMessage(3 << 16, {"user": "bot", "database": "crm", **(startup or {})}))
    prove(book)
    book.effects.clear()
    book.give(ev.ServerOpened(tls, binding))
    return book


def test_trust() -> None:
    given = {"application_name": "psql", "options": "-c search_path=crm -c tidegate.run=r-7"}
    book = opened(startup=given, connection={"unanalyzable": "deny"})
    assert decode_startup(book.sent()) == StartupMessage(
        3 << 16, {"user": "tidegate_agent", "database": "crm_db", "search_path": "crm", "application_name": "psql"}
    )
    assert book.server(OK, ParameterStatus("server_version", "15.1"), BackendKeyData(77, b"real"), IDLE) == [
        "record session.opened", "client ParameterStatus", "RegisterCancelKey", "client BackendKeyData", "client ReadyForQuery I",
    ]  # fmt: skip
    assert b"real" not in book.sent(fx.SendToClient)
    [key] = [e for e in book.effects if isinstance(e, fx.RegisterCancelKey)]
    assert BackendKeyData(77, key.secret).encode() in book.sent(fx.SendToClient)
    [record] = book.records("session.opened")
    assert (record["subject"], record["connection"], record["database"], record["run"]) == ("bot", "crm", "crm_db", "r-7")


def test_notices_about_the_session_reach_the_client_and_those_about_the_login_do_not() -> None:
    notice = ErrorFields({"S": b"WARNING", "C": b"01000", "M": b"collation version mismatch"}).encode(b"N")
    book = opened()
    assert book.server(notice) == []
    assert book.server(OK, notice) == ["client NoticeResponse"]
    assert opened(**MASKED).server(OK, notice) == []


def test_the_connections_statement_timeout_wins() -> None:
    book = opened(startup={"Statement_Timeout": "0"}, connection={"statement_timeout_ms": 30_000})
    packet = decode_startup(book.sent())
    assert isinstance(packet, StartupMessage)
    assert packet.parameters["statement_timeout"] == "30000"
    assert "Statement_Timeout" not in packet.parameters


HASH = b"h" * 32
BOTH = (MECHANISM_PLUS, MECHANISM)


def signing_in(binding: bytes, offered: tuple[str, ...], theirs: bytes) -> tuple[Playbook, ScramServer, list[str]]:
    """Up to the target's challenge; ``theirs`` is the hash of the certificate that the target itself has, if it offers -PLUS."""
    book = opened(tls=bool(binding), binding=binding)
    book.effects.clear()
    book.server(backend.sasl_request(*offered))
    chosen, data = SASLInitialResponse.decode(book.sent()[5:]).mechanism, SASLInitialResponse.decode(book.sent()[5:]).data
    target = ScramServer(Verifier(SALT, 4096, (derive("upstream pw", SALT, 4096),)), b"t" * 18, theirs, chosen)
    book.effects.clear()
    return book, target, book.server(Authentication(backend.AUTH_SASL_CONTINUE, target.first(data or b"")))


@pytest.mark.parametrize(
    ("binding", "offered", "theirs"),
    [(b"", (MECHANISM,), b""), (b"", BOTH, HASH), (HASH, BOTH, HASH), (HASH, (MECHANISM,), b"")],
    ids=["no TLS", "TLS, no hash", "bound", "the target cannot bind"],
)
def test_scram_with_proof_of_both_sides(binding: bytes, offered: tuple[str, ...], theirs: bytes) -> None:
    book, target, _ = signing_in(binding, offered, theirs)
    answer = target.final(book.sent()[5:])
    assert answer is not None
    assert book.server(Authentication(backend.AUTH_SASL_FINAL, answer[1]), OK, IDLE)[-1] == "client ReadyForQuery I"


def test_a_target_with_another_certificate_gets_no_proof_it_could_use() -> None:
    book, target, _ = signing_in(HASH, BOTH, b"o" * 32)
    with pytest.raises(BindingError):
        target.final(book.sent()[5:])


def test_an_offer_of_channel_binding_that_was_taken_away_is_noticed_by_the_target() -> None:
    with pytest.raises(BindingError):
        signing_in(HASH, (MECHANISM,), HASH)


@pytest.mark.parametrize(
    "challenge", ["r={n}x,s=AAAA,i=100000000", "r={n}x,s=AAAA,i=1000001", "r=other,s=AAAA,i=4096", "r={n},s=AAAA,i=4096", "junk"]
)
def test_a_target_that_cheats_in_the_exchange(challenge: str) -> None:
    book = opened()
    book.effects.clear()
    book.server(backend.sasl_request(*BOTH))
    nonce = (SASLInitialResponse.decode(book.sent()[5:]).data or b"").partition(b"r=")[2].decode()
    book.effects.clear()
    words = book.server(Authentication(backend.AUTH_SASL_CONTINUE, challenge.format(n=nonce).encode()))
    assert "client ErrorResponse 08006" in words
    assert book.sent() == b"", "no proof was given"


def test_a_target_that_does_not_know_the_password_gets_no_statement() -> None:
    for message in (OK, Authentication(backend.AUTH_SASL_FINAL, b"v=AAAA")):
        book = opened()
        book.server(backend.sasl_request("SCRAM-SHA-256"))
        assert "client ErrorResponse 08006" in book.server(message)


def test_md5_and_cleartext() -> None:
    book = opened()
    book.server(Authentication(backend.AUTH_MD5, b"salt"))
    assert md5_password("tidegate_agent", "upstream pw", b"salt") in book.sent()
    book = opened(tls=True)
    book.server(Authentication(backend.AUTH_CLEARTEXT))
    assert b"upstream pw" in book.sent()


@pytest.mark.parametrize(
    "request_", [backend.sasl_request(*BOTH), Authentication(backend.AUTH_MD5, b"salt"), Authentication(backend.AUTH_CLEARTEXT)]
)
def test_a_target_that_asks_for_a_password_where_there_is_none(request_: Authentication) -> None:
    book = opened(tls=True, password="")
    book.effects.clear()
    assert book.server(request_) == ["record session.refused 08004", "client ErrorResponse 08004", "Close"]
    assert ErrorFields.decode(book.sent(fx.SendToClient)[5:]).fields["M"].endswith(b"asks for a password, and the connection has none")
    assert opened(tls=True, password="").server(OK, IDLE)[-1] == "client ReadyForQuery I", "it may trust a certificate"


def test_cleartext_auth_without_tls_off_loopback() -> None:
    book = opened()
    assert "client ErrorResponse 08006" in book.server(Authentication(backend.AUTH_CLEARTEXT))
    assert b"upstream pw" not in book.sent()


@pytest.mark.parametrize(
    "message",
    [Authentication(7), Authentication(backend.AUTH_SASL, b"OTHER\0\0"), Authentication(backend.AUTH_MD5, b"x"), IDLE, b"D\0\0\0\x06\0\0"],
)
def test_targets_that_cannot_be_understood(message: Authentication) -> None:
    words = opened().server(message)
    assert words[-2:] == ["client ErrorResponse 08006", "Close"]


def test_a_refused_credential_is_reported_without_the_targets_words() -> None:
    book = opened()
    words = book.server(error("28P01", 'password authentication failed for user "tidegate_agent"', "FATAL"))
    assert words == ["record session.refused 08004", "client ErrorResponse 08004", "Close"]
    said = ErrorFields.decode(book.sent(fx.SendToClient)[5:]).fields["M"]
    assert b"refused the gateway's credential" in said
    assert b"tidegate_agent" not in said


def test_other_refusals_keep_their_state() -> None:
    assert "client ErrorResponse 53300" in opened().server(error("53300", "sorry, too many clients already", "FATAL"))


def test_unreachable_or_gone() -> None:
    book = Playbook()
    book.client(StartupMessage(3 << 16, {"user": "bot", "database": "crm"}))
    prove(book)
    assert "client ErrorResponse 08006" in book.give(ev.ServerFailed("connection refused"))
    assert book.environment.sessions["crm"] == 0
    assert "client ErrorResponse 08006" in opened().give(ev.ServerGone())
    book = opened()
    book.give(ev.ServerGone(" (TLSV1_ALERT_UNKNOWN_CA)"))
    assert b"unexpectedly (TLSV1_ALERT_UNKNOWN_CA)" in book.sent(fx.SendToClient)


def test_data_before_the_session_is_ready_is_bounded() -> None:
    book = opened()
    assert book.client(b"Q\0\0\0\x0bselect\0") == []
    assert "client ErrorResponse 08P01" in book.client(b"x" * 10_001)


@pytest.mark.parametrize(("minor", "length"), [(0, 4), (1, 4), (2, 32), (9999, 32)])
def test_a_client_of_protocol_3_2_gets_a_longer_cancel_key(minor: int, length: int) -> None:
    book = Playbook()
    book.client(StartupMessage((3 << 16) | minor, {"user": "bot", "database": "crm"}))
    prove(book)
    book.give(ev.ServerOpened(tls=False))
    longest = bytes(range(256))  # the server's own may be as long as it likes
    assert book.server(OK, BackendKeyData(77, longest), IDLE)[-1] == "client ReadyForQuery I"
    [key] = [e for e in book.effects if isinstance(e, fx.RegisterCancelKey)]
    assert (key.process_id, len(key.secret)) == (77, length)
    book.client(Query(b"SELECT 1"))
    book.give(ev.CancelRequested())
    assert fx.CancelServer(77, longest) in book.effects


@pytest.mark.parametrize("secret", [b"", b"abc", bytes(257)])
def test_cancel_keys_of_impossible_length(secret: bytes) -> None:
    assert opened().server(OK, BackendKeyData(77, secret))[-1] == "Close"


def test_a_target_may_confirm_the_protocol_but_not_choose_another() -> None:
    agreed = backend.NegotiateProtocolVersion(3 << 16)
    assert opened().server(agreed, OK, IDLE)[-1] == "client ReadyForQuery I"
    for other in (backend.NegotiateProtocolVersion((3 << 16) | 2), backend.NegotiateProtocolVersion(3 << 16, ("_pq_.x",))):
        assert opened().server(other)[-2:] == ["client ErrorResponse 08006", "Close"]
