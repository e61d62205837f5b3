"""SCRAM against the RFC's own example, against itself, and against peers that cheat."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.scram import (
    MECHANISM,
    MECHANISM_PLUS,
    BindingError,
    ScramClient,
    ScramError,
    ScramServer,
    Verifier,
    derive,
    mock_verifier,
    saslprep,
)

SALT = b"0123456789abcdef"
NONCE = b"n" * 18


def verifier(*passwords: str) -> Verifier:
    return Verifier(SALT, 4096, tuple(derive(p, SALT, 4096, f"k{i}") for i, p in enumerate(passwords)))


def exchange(client: ScramClient, server: ScramServer) -> tuple[str, bytes] | None:
    return server.final(client.final(server.first(client.first())))


def test_the_example_of_rfc_7677() -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    server = ScramServer(Verifier(salt, 4096, (derive("pencil", salt, 4096, "k"),)), b"")
    server._nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    first = server.first(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    assert first == b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    final = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert server.final(final) == ("k", b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def test_each_of_several_keys_is_accepted_and_named() -> None:
    for number, password in enumerate(("old key", "new key")):
        client = ScramClient(password, NONCE)
        answer = exchange(client, ScramServer(verifier("old key", "new key"), b"s" * 18))
        assert answer is not None
        assert answer[0] == f"k{number}"
        client.verify(answer[1])


def test_a_wrong_key_and_an_unknown_user_fail_alike() -> None:
    assert exchange(ScramClient("wrong", NONCE), ScramServer(verifier("right"), b"s" * 18)) is None
    mock = mock_verifier("nobody", b"secret", 4096)
    assert exchange(ScramClient("wrong", NONCE), ScramServer(mock, b"s" * 18)) is None
    assert mock.salt == mock_verifier("nobody", b"secret", 4096).salt
    assert mock.salt != mock_verifier("nobody2", b"secret", 4096).salt
    assert len(mock.salt) == len(SALT)


@pytest.mark.parametrize(
    "first",
    [
        b"p=tls-server-end-point,,n=,r=abc", b"x,,n=,r=abc", b"n,a=me,n=,r=abc", b"n,,n=", b"n,,r=abc,n=", b"n,,m=x,n=,r=abc", b"",
        b"n,,n=,r=", b"n,,n=,r=a b", b"\xff", b"n,,n=\0,r=abc", b"n" * 5000,
    ],
)  # fmt: skip
def test_first_messages_that_are_refused(first: bytes) -> None:
    with pytest.raises(ScramError):
        ScramServer(verifier("x"), NONCE).first(first)


def test_the_channel_binding_flag_cannot_be_changed_on_the_way() -> None:
    server = ScramServer(verifier("pw"), b"s" * 18)
    client = ScramClient("pw", NONCE)
    challenge = server.first(client.first().replace(b"n,,", b"y,,", 1))
    with pytest.raises(ScramError):
        server.final(client.final(challenge))


def test_a_client_that_could_bind_is_accepted_since_plus_is_not_offered() -> None:
    server = ScramServer(verifier("pw"), b"s" * 18)
    client = ScramClient("pw", NONCE)
    challenge = server.first(client.first().replace(b"n,,", b"y,,", 1))
    final = client.final(challenge)
    without_proof = final.rpartition(b",p=")[0].replace(b"biws", b"eSws")
    proof = _proof("pw", client, challenge, without_proof)
    answer = server.final(without_proof + b",p=" + proof)
    assert answer is not None


def _proof(password: str, client: ScramClient, challenge: bytes, without_proof: bytes) -> bytes:
    import hashlib
    import hmac

    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, 4096)
    key = hmac.digest(salted, b"Client Key", "sha256")
    auth = client.first()[3:] + b"," + challenge + b"," + without_proof
    signature = hmac.digest(hashlib.sha256(key).digest(), auth, "sha256")
    return base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True)))


HASH = b"h" * 32


def bound(password: str = "pw", theirs: bytes = HASH) -> tuple[ScramClient, ScramServer]:
    """Both ends of one connection with a certificate, as each of them sees it."""
    client = ScramClient(password, NONCE, HASH, (MECHANISM_PLUS, MECHANISM))
    return client, ScramServer(verifier("pw"), b"s" * 18, theirs, client.mechanism)


def test_an_exchange_is_bound_to_the_certificate_where_both_sides_can() -> None:
    client, server = bound()
    assert client.mechanism == MECHANISM_PLUS
    assert client.first().startswith(b"p=tls-server-end-point,,")
    answer = exchange(client, server)
    assert answer is not None
    client.verify(answer[1])
    assert exchange(*bound("wrong")) is None


def test_another_certificate_in_between_is_found_out() -> None:
    with pytest.raises(BindingError):
        exchange(*bound(theirs=b"o" * 32))


def test_a_client_that_was_not_told_of_the_offer_is_refused() -> None:
    """RFC 5802, 6: the flag "y" where -PLUS was offered means that somebody took it out of the list."""
    client = ScramClient("pw", NONCE, HASH, (MECHANISM,))
    assert (client.mechanism, client.first()[:3]) == (MECHANISM, b"y,,")
    with pytest.raises(BindingError):
        ScramServer(verifier("pw"), b"s" * 18, HASH).first(client.first())
    assert exchange(client, ScramServer(verifier("pw"), b"s" * 18)) is not None  # not offered: the client is right


def test_flag_and_mechanism_must_agree() -> None:
    for mechanism, first in (
        (MECHANISM, b"p=tls-server-end-point,,n=,r=abc"), (MECHANISM_PLUS, b"n,,n=,r=abc"), (MECHANISM_PLUS, b"y,,n=,r=abc"),
        (MECHANISM_PLUS, b"p=tls-unique,,n=,r=abc"), (MECHANISM_PLUS, b"p=,,n=,r=abc"),
    ):  # fmt: skip
        with pytest.raises(ScramError):
            ScramServer(verifier("pw"), NONCE, HASH, mechanism).first(first)
    ScramServer(verifier("pw"), NONCE, HASH).first(b"n,,n=,r=abc")  # a client that cannot bind may still come


def test_a_target_chooses_among_what_it_offers() -> None:
    assert ScramClient("pw", NONCE, b"", (MECHANISM_PLUS, MECHANISM)).first()[:3] == b"n,,"  # no certificate, nothing to bind to
    for offered in ((), ("OAUTHBEARER",), (MECHANISM_PLUS,)):
        with pytest.raises(ScramError):
            ScramClient("pw", NONCE, b"", offered)


def test_a_final_message_of_another_exchange_is_refused() -> None:
    one, two = ScramServer(verifier("pw"), b"1" * 18), ScramServer(verifier("pw"), b"2" * 18)
    client = ScramClient("pw", NONCE)
    final = client.final(one.first(client.first()))
    two.first(client.first())
    with pytest.raises(ScramError):
        two.final(final)


@pytest.mark.parametrize(
    "challenge",
    [
        "r=other,s=AAAA,i=4096", "r={n},s=AAAA,i=4096", "r={n}x,s=AAAA,i=1", "r={n}x,s=AAAA,i=99999999999", "r={n}x,s=,i=4096",
        "r={n}x,s=!!,i=4096", "r={n}x,i=4096,s=AAAA", "", "e=other-error",
    ],
)  # fmt: skip
def test_targets_that_cheat_are_refused(challenge: str) -> None:
    client = ScramClient("pw", NONCE)
    with pytest.raises(ScramError):
        client.final(challenge.format(n=base64.b64encode(NONCE).decode()).encode())


def test_a_target_must_prove_that_it_knows_the_password() -> None:
    client = ScramClient("pw", NONCE)
    with pytest.raises(ScramError):
        client.verify(b"v=AAAA")
    server = ScramServer(verifier("pw"), b"s" * 18)
    client.final(server.first(client.first()))
    for bad in (b"v=", b"v=AAAA", b"e=invalid-proof", b""):
        with pytest.raises(ScramError):
            client.verify(bad)


def test_saslprep_as_in_rfc_4013() -> None:
    assert saslprep("I\u00adX") == "IX"
    assert saslprep("\u2168") == "IX"
    assert saslprep("a\u00a0b") == "a b"
    assert saslprep("\u0007") == "\u0007"  # not allowed: PostgreSQL uses it unchanged
    assert saslprep("\u06271") == "\u06271"


@given(st.binary(max_size=80))
def test_garbage_is_a_scram_error_or_a_wrong_proof(data: bytes) -> None:
    server = ScramServer(verifier(), NONCE)
    try:
        server.first(data)
        assert server.final(data) is None
    except ScramError:
        pass
    with contextlib.suppress(ScramError):
        ScramClient("pw", NONCE).final(data)
