"""Signing in: API keys with and without channel binding, tokens, and everybody who is not who he says he is."""

import json
import statistics
import time
from typing import Any

import msgspec
import pytest

from proxy import effects as fx
from proxy import events as ev
from proxy.session.attempts import LIMIT
from proxy.wire import backend, scram
from proxy.wire.backend import Authentication, ErrorFields, ReadyForQuery
from proxy.wire.frontend import PasswordMessage, SASLInitialResponse, SASLResponse, StartupMessage
from tests.proxy.session.example import NOW, bundle
from tests.proxy.session.playbook import Playbook, prove
from tests.proxy.session.test_startup import HELLO, SSL, refused

TOKEN_HELLO = StartupMessage(3 << 16, {"user": "oidc", "database": "crm"})
BEARER_HELLO = StartupMessage(3 << 16, {"user": "oauth", "database": "crm"})
NOBODY = StartupMessage(3 << 16, {"user": "nobody", "database": "crm"})
HASH = b"h" * 32


def over_tls(hello: StartupMessage = HELLO, binding: bytes = HASH) -> Playbook:
    book = Playbook(tls_available=True)
    book.client(SSL)
    book.give(ev.ClientTlsStarted(binding))
    book.client(hello)
    return book


def offered(book: Playbook) -> tuple[str, ...]:
    [request] = [e for e in book.effects if isinstance(e, fx.SendToClient)][-1:]
    return Authentication.decode(bytes(request.data)[5:]).mechanisms()


def said_to_client(book: Playbook) -> list[int]:
    """How long each thing was that the client got."""
    return [len(e.data) for e in book.effects if isinstance(e, fx.SendToClient)]


def test_an_api_key_signs_in() -> None:
    book = Playbook()
    book.client(HELLO)
    assert prove(book) == ["client Authentication", "client Authentication", "OpenServer"]
    assert book.effects[-1] == fx.OpenServer("crm", "crm_db")
    assert book.environment.sessions["crm"] == 1


def test_channel_binding_is_offered_over_tls_with_a_certificate_that_has_a_hash() -> None:
    assert offered(over_tls()) == (scram.MECHANISM_PLUS, scram.MECHANISM)
    assert offered(over_tls(binding=b"")) == (scram.MECHANISM,)
    plain = Playbook()
    plain.client(HELLO)
    assert offered(plain) == (scram.MECHANISM,)


def test_an_api_key_signs_in_bound_to_the_connection_or_not() -> None:
    for binding in (HASH, b""):
        assert prove(over_tls(), binding=binding)[-1] == "OpenServer"


def test_somebody_in_between_with_another_certificate_is_refused() -> None:
    book = over_tls()
    assert refused(prove(book, binding=b"o" * 32), "28000")
    assert b"SCRAM channel binding check failed" in book.sent(fx.SendToClient)


def test_an_offer_that_was_taken_away_is_noticed() -> None:
    book = over_tls()
    first = scram.ScramClient("agent key", b"c" * 18, HASH, (scram.MECHANISM,)).first()
    assert first.startswith(b"y,,")
    assert refused(book.client(SASLInitialResponse(scram.MECHANISM, first)), "28000")


@pytest.mark.parametrize("binding", [HASH, b""])
def test_wrong_key_and_unknown_subject_look_alike(binding: bytes) -> None:
    one, two = over_tls(binding=binding), over_tls(NOBODY, binding)
    assert refused(prove(one, "wrong", binding), "28P01")
    assert refused(prove(two, "wrong", binding), "28P01")
    assert offered_first(one) == offered_first(two)
    # The error quotes the name that was given.
    assert said_to_client(one)[:-1] == said_to_client(two)[:-1]
    assert said_to_client(one)[-1] == said_to_client(two)[-1] - len("nobody") + len("bot")


def offered_first(book: Playbook) -> bytes:
    return [bytes(e.data) for e in book.effects if isinstance(e, fx.SendToClient)][1]


def test_scram_mechanism_and_messages_must_be_ours() -> None:
    plus, junk = SASLInitialResponse("SCRAM-SHA-256-PLUS", b"p=x,,n=,r=a"), SASLInitialResponse("SCRAM-SHA-256", b"junk")
    for message in (plus, junk, SASLInitialResponse("SCRAM-SHA-256", None), SASLResponse(b"r=a"), b"Q\0\0\0\x05\0"):
        book = Playbook()
        book.client(HELLO)
        assert refused(book.client(message), "08P01")


def test_a_client_may_give_up() -> None:
    book = Playbook()
    book.client(HELLO)
    assert book.client(b"X\0\0\0\x04") == ["Close"]


def token(**session: bool) -> tuple[Playbook, list[str]]:
    book = Playbook(**session)
    book.client(TOKEN_HELLO)
    return book, book.client(PasswordMessage(b"ey.token.x"))


def test_a_token_signs_in_over_loopback_or_tls() -> None:
    book, words = token(is_loopback=True)
    assert words == ["CheckToken"]
    assert "ey.token" not in repr(book.effects)
    answer = ev.TokenChecked("https://id", "client:bot", ("agents",), int(NOW) + 60)
    assert book.give(answer) == ["client Authentication", "OpenServer"]


def test_cleartext_token_without_tls_off_loopback() -> None:
    assert refused(Playbook().client(TOKEN_HELLO), "28000")


@pytest.mark.parametrize("answer", [ev.TokenChecked(problem="it has expired"), ev.TokenChecked("https://id", "client:other")])
def test_tokens_that_are_not_accepted(answer: ev.TokenChecked) -> None:
    book, _ = token(is_loopback=True)
    assert refused(book.give(answer), "28000")


def test_nothing_may_follow_before_a_token_is_checked() -> None:
    book, _ = token(is_loopback=True)
    assert refused(book.client(PasswordMessage(b"another")), "08P01")


def test_errors_are_fatal_and_name_no_secret() -> None:
    book = Playbook()
    book.client(HELLO)
    prove(book, "wrong")
    raw = bytes([e for e in book.effects if isinstance(e, fx.SendToClient)][-1].data)
    assert ErrorFields.decode(raw[5:]).fatal
    assert b"wrong" not in book.sent(fx.SendToClient)


def test_a_message_of_the_handshake_has_a_bound() -> None:
    for hello, longest in ((HELLO, 10_000), (TOKEN_HELLO, 65_535), (BEARER_HELLO, 65_535)):
        for length, ends in ((longest, False), (longest + 1, True)):
            book = Playbook(is_loopback=True)
            book.client(hello)
            words = book.client(b"p" + length.to_bytes(4, "big"))
            assert refused(words, "08P01") if ends else words == []


OK = Authentication(backend.AUTH_OK)
URI = "spiffe://corp/agents/bot"
SHOWN = ev.ClientCertificate("bot", ("https://x", URI), int(NOW) + 60)


def with_certificate(
    identity: dict[str, str] | None, shown: ev.ClientCertificate | None = SHOWN, hello: StartupMessage = HELLO
) -> Playbook:
    [bot] = bundle().subjects.values()
    subject = {"name": "bot", "kind": "agent", "owner": None, "groups": [], "scram": msgspec.to_builtins(bot.scram)}
    book = Playbook(bundle(subjects=[subject | {"certificate": identity}]), tls_available=True)
    book.client(SSL)
    book.give(ev.ClientTlsStarted(HASH, "", shown))
    book.client(hello)
    return book


@pytest.mark.parametrize("identity", [{"uri": URI}, {"common_name": "bot"}])
def test_a_certificate_of_the_subject_is_enough(identity: dict[str, str]) -> None:
    book = with_certificate(identity)
    assert book.effects[-1] == fx.OpenServer("crm", "crm_db")
    assert book.sent(fx.SendToClient) == b"S" + OK.encode(), "nothing was asked"
    book.give(ev.ServerOpened(tls=False))
    book.server(OK, ReadyForQuery(b"I"))
    [opened] = book.records("session.opened")
    assert (opened["subject"], opened["issuer"]) == ("bot", "certificate")


@pytest.mark.parametrize(
    ("identity", "shown", "hello"),
    [
        ({"uri": "spiffe://corp/agents/other"}, SHOWN, HELLO), ({"common_name": "bo"}, SHOWN, HELLO), (None, SHOWN, HELLO),
        ({"common_name": "bot"}, None, HELLO), ({"common_name": "bot"}, SHOWN, NOBODY),
        ({"common_name": "bot"}, ev.ClientCertificate("", (URI,), 0), HELLO),
    ],
    ids=["another URI", "another name", "no mapping", "none shown", "another user", "no common name"],
)  # fmt: skip
def test_with_any_other_certificate_the_ordinary_exchange_goes_on(
    identity: dict[str, str] | None, shown: ev.ClientCertificate | None, hello: StartupMessage
) -> None:
    assert offered(with_certificate(identity, shown, hello)) == (scram.MECHANISM_PLUS, scram.MECHANISM)


def test_an_api_key_is_still_good_beside_a_certificate_of_somebody_else() -> None:
    book = with_certificate({"common_name": "somebody"})
    assert prove(book, binding=HASH)[-1] == "OpenServer"
    assert book.session._state.who.issuer == "api-key"


def bearer_book(**session: bool) -> Playbook:
    book = Playbook(**{"is_loopback": True} | session)
    book.client(BEARER_HELLO)
    return book


def presented(token: str) -> SASLInitialResponse:
    """As libpq 18 sends it (RFC 7628, 3.1)."""
    return SASLInitialResponse("OAUTHBEARER", f"n,,\x01auth={token}\x01\x01".encode())


def told(book: Playbook) -> dict[str, str]:
    answer = Authentication.decode([bytes(e.data) for e in book.effects if isinstance(e, fx.SendToClient)][-1][5:])
    assert answer.code == backend.AUTH_SASL_CONTINUE
    found: dict[str, str] = json.loads(answer.data)
    return found


def test_a_bearer_token_signs_in() -> None:
    book = bearer_book()
    assert offered(book) == ("OAUTHBEARER",)
    assert book.client(presented("Bearer ey.token.x")) == ["CheckToken"]
    assert book.effects[-1] == fx.CheckToken("ey.token.x")
    answer = ev.TokenChecked("https://id", "client:bot", ("agents",), int(NOW) + 60)
    assert book.give(answer) == ["client Authentication", "OpenServer"]
    assert book.sent(fx.SendToClient).endswith(OK.encode()), "without AuthenticationSASLFinal: the mechanism has no last word"


def test_a_client_without_a_token_is_told_where_they_come_from() -> None:
    book = bearer_book()
    assert book.client(presented("")) == ["client Authentication"]
    assert told(book) == {"status": "invalid_token", "scope": "openid", "openid-configuration": "https://id/.well-known/openid-configuration"}
    assert refused(book.client(SASLResponse(b"\x01")), "28000")


@pytest.mark.parametrize("answer", [ev.TokenChecked(problem="it has expired"), ev.TokenChecked("https://id", "client:other")])
def test_bearer_tokens_that_are_not_accepted(answer: ev.TokenChecked) -> None:
    book = bearer_book()
    book.client(presented("Bearer ey.token.x"))
    assert book.give(answer) == ["client Authentication"]
    assert told(book)["status"] == "invalid_token"
    assert refused(book.client(SASLResponse(b"\x01")), "28000")


def test_bearer_tokens_without_tls_off_loopback() -> None:
    book = Playbook()
    assert refused(book.client(BEARER_HELLO), "28000")


@pytest.mark.parametrize(
    "message",
    [
        presented("Basic x"), SASLInitialResponse("OAUTHBEARER", b"n,,\x01\x01"), SASLInitialResponse("OAUTHBEARER", None),
        SASLInitialResponse(scram.MECHANISM, b"n,,n=,r=abc"), PasswordMessage(b"ey.token.x"),
    ],
)  # fmt: skip
def test_bearer_messages_that_are_none(message: SASLInitialResponse) -> None:
    assert refused(bearer_book().client(message), "08P01")


def test_only_an_acknowledgement_follows_a_refusal() -> None:
    for more in (b"", b"\x01\x01", b"n,,\x01auth=Bearer ey.better\x01\x01"):
        book = bearer_book()
        book.client(presented(""))
        assert refused(book.client(SASLResponse(more)), "08P01")


# -- failures


def delays(book: Playbook) -> list[float]:
    return [effect.seconds for effect in book.effects if isinstance(effect, fx.Delay)]


def failing(last: Playbook | None = None, hello: StartupMessage = HELLO, **session: Any) -> Playbook:
    """A wrong key, in the same process as the ``last`` attempt."""
    book = Playbook(**session)
    if last is not None:
        book.environment.attempts = last.environment.attempts
    book.client(hello)
    prove(book, "wrong")
    return book


def test_failures_are_answered_late_and_later_whoever_was_named() -> None:
    one = failing()
    two = failing(one, NOBODY)
    assert (delays(one), delays(two)) == ([0.05], [0.1])
    kinds = [type(effect).__name__ for effect in two.effects]
    assert kinds[-3:] == ["Delay", "SendToClient", "Close"], "recorded at once, and told later"
    assert delays(failing(two, client="10.9.9.9:1")) == [0.05]


def test_who_signs_in_is_not_delayed() -> None:
    book = Playbook()
    book.environment.attempts = failing().environment.attempts
    book.client(HELLO)
    prove(book)
    assert delays(book) == []


def test_too_many_failures_from_one_address_and_nobody_there_is_heard() -> None:
    last = failing()
    for _ in range(LIMIT - 1):
        last = failing(last)
    for hello in (HELLO, NOBODY, TOKEN_HELLO, BEARER_HELLO):
        book = Playbook(is_loopback=True)
        book.environment.attempts = last.environment.attempts
        assert "client ErrorResponse 53300" in book.client(hello)
        assert not book.records("session.refused"), "or whoever likes could fill the spool"
    elsewhere = Playbook(client="10.9.9.9:1")
    elsewhere.environment.attempts = last.environment.attempts
    elsewhere.client(HELLO)
    assert prove(elsewhere)[-1] == "OpenServer"
    later = Playbook()
    later.environment.attempts, later.now = last.environment.attempts, NOW + 5
    later.client(HELLO)
    assert prove(later)[-1] == "OpenServer"


PROBES = [b"GET / HTTP/1.1\r\n", b"\0\0\0\x04", b"\0\0\0\x0c\0\x03\0\0user", b"\0\0\0\x08\0\x02\0\0"]


@pytest.mark.parametrize("first", PROBES)
def test_probes_delay_nobody_and_do_not_fill_the_spool(first: bytes) -> None:
    books = [Playbook() for _ in range(LIMIT + 50)]
    for book in books:
        book.environment = book.session._state.environment = books[0].environment
        book.client(first)
        assert delays(book) == []
        assert any(isinstance(effect, fx.Close) for effect in book.effects)
    assert [len(book.records("session.refused")) for book in books] == [1] * LIMIT + [0] * 50
    guess = Playbook()
    guess.session._state.environment = books[0].environment
    guess.client(HELLO)
    assert refused(prove(guess, "wrong"), "28P01"), "a guess is recorded all the same"
    assert delays(guess) == [0.05]
    late = Playbook()
    late.session._state.environment, late.now = books[0].environment, NOW + 5
    late.client(first)
    assert len(late.records("session.refused")) == 1


def test_what_is_refused_after_the_sign_in_is_always_recorded() -> None:
    book = Playbook()
    for _ in range(LIMIT):
        book.environment.probes.failed("10.1.2.3", NOW)
    book.client(StartupMessage(3 << 16, {"user": "bot", "database": "nope"}))
    assert refused(prove(book), "3D000")


@pytest.mark.parametrize("event", [ev.ClientGone(), ev.ClientData(SASLResponse(b"no acknowledgement").encode())])
def test_who_does_not_wait_to_be_told_that_a_token_is_refused_has_failed(event: ev.Event) -> None:
    book = bearer_book()
    book.client(presented(""))
    book.give(event)
    assert len(book.records("session.refused")) == 1
    assert len(book.environment.attempts) == 1


def test_what_is_not_the_clients_fault_does_not_count() -> None:
    """Who has proved who he is, and who meets a gateway that cannot serve."""
    unknown = Playbook()
    unknown.client(StartupMessage(3 << 16, {"user": "bot", "database": "nope"}))
    assert refused(prove(unknown), "3D000")
    stale = Playbook()
    stale.now = NOW + 3601
    assert refused(stale.client(HELLO), "TG003")
    for book in (unknown, stale):
        assert delays(book) == []
        assert len(book.environment.attempts) == 0


@pytest.mark.parametrize("binding", [HASH, b""])
def test_a_wrong_key_and_an_unknown_user_take_the_same_time(binding: bytes) -> None:
    """What is computed from the first byte to the refusal; the exchange has no other place where it could tell them apart."""
    client = scram.ScramClient("wrong", b"c" * 18, binding, (scram.MECHANISM_PLUS, scram.MECHANISM))
    first = SASLInitialResponse(client.mechanism, client.first()).encode()
    taken: dict[str, list[float]] = {"bot": [], "nob": []}
    for _ in range(200):
        for user, times in taken.items():
            book = over_tls(StartupMessage(3 << 16, {"user": user, "database": "crm"}), binding)
            began = time.perf_counter()
            done = book.session.receive(ev.ClientData(first), NOW)
            between = time.perf_counter()
            [challenge] = [bytes(effect.data)[9:] for effect in done if isinstance(effect, fx.SendToClient)]
            proof = SASLResponse(client.final(challenge)).encode()
            resumed = time.perf_counter()
            book.session.receive(ev.ClientData(proof), NOW)
            times.append(between - began + time.perf_counter() - resumed)
    known, unknown = (statistics.median(times) for times in taken.values())
    assert 0.5 < known / unknown < 2
