"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677; manual, 55.3.1), both sides.

:class:`ScramServer` asks a client for the proof of one of several API keys; :class:`ScramClient` proves the gateway's
own password to a target and checks that the target knows it too. Both are driven message by message and hold no I/O.
An unknown user goes through the same exchange with :func:`mock_verifier`, so that nothing tells it from a wrong key.

-PLUS binds the exchange to the TLS connection below it by ``tls-server-end-point`` (RFC 5929, 4), a hash of the server's
certificate: who stands in between with another certificate can pass on neither side's proof. The hash is an argument,
``binding``; it is empty where there is none.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import stringprep
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

MECHANISM = "SCRAM-SHA-256"
MECHANISM_PLUS = "SCRAM-SHA-256-PLUS"
_BOUND = "p=tls-server-end-point"  # the channel binding flag of RFC 5802, 7; PostgreSQL knows this type alone
_MAX_MESSAGE = 4096  # far above what the exchange needs; a message is parsed only below it
_ITERATIONS = range(4096, 1_000_001)  # what we accept from a target: RFC 7677 asks for 4096, a million would stall us


class ScramError(Exception):
    """The peer broke the exchange; ``str()`` holds nothing of the secret."""


class BindingError(ScramError):
    """What the peer says about channel binding is not true of this connection: somebody may stand in between."""


@dataclass(frozen=True, slots=True)
class ScramKey:
    """What a server keeps of one key; ``id`` says which one was used."""

    id: str
    stored_key: bytes
    server_key: bytes


@dataclass(frozen=True, slots=True)
class Verifier:
    """All valid keys of one user: they share salt and iterations, because those go out before the proof comes in."""

    salt: bytes
    iterations: int
    keys: tuple[ScramKey, ...]


def mock_verifier(user: str, secret: bytes, iterations: int) -> Verifier:
    """A verifier that no key fits, with a salt that is the same at every attempt for ``user`` (RFC 5802, 5.1)."""
    salt = hmac.digest(secret, b"tidegate mock salt\0" + user.encode("utf-8", "surrogatepass"), "sha256")[:16]
    return Verifier(salt, iterations, ())


def derive(password: str, salt: bytes, iterations: int, key_id: str = "") -> ScramKey:
    """StoredKey and ServerKey of a password."""
    salted = _salted(password, salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return ScramKey(key_id, hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256"))


class ScramServer:
    """The server's side of one exchange; ``nonce`` is fresh randomness (18 bytes or more).

    -PLUS was offered exactly if there is a ``binding``; ``mechanism`` is what the client chose.
    """

    def __init__(self, verifier: Verifier, nonce: bytes, binding: bytes = b"", mechanism: str = MECHANISM) -> None:
        self._verifier = verifier
        self._binding = binding
        self._bound = mechanism == MECHANISM_PLUS
        self._nonce = base64.b64encode(nonce).decode()
        self._header = ""
        self._first = ""  # client-first-message-bare "," server-first-message
        self._full_nonce = ""

    def first(self, data: bytes) -> bytes:
        """Client-first-message in, server-first-message out.

        Raises:
            ScramError: not such a message.
            BindingError: its flag does not fit what was offered and chosen.
        """
        text = _ascii_or_utf8(data)
        flag, comma, rest = text.partition(",")
        identity, comma2, bare = rest.partition(",")
        if not comma or not comma2:
            raise ScramError("malformed client-first-message")
        self._check_flag(flag)
        if identity:
            raise ScramError("authorization identities are not supported")
        attributes = bare.split(",")
        if len(attributes) < 2 or not attributes[0].startswith("n=") or not attributes[1].startswith("r="):
            raise ScramError("malformed client-first-message")
        client_nonce = attributes[1][2:]
        if not client_nonce or not all("!" <= c <= "~" for c in client_nonce):
            raise ScramError("malformed nonce")
        self._header = f"{flag},,"
        self._full_nonce = client_nonce + self._nonce
        salt = base64.b64encode(self._verifier.salt).decode()
        reply = f"r={self._full_nonce},s={salt},i={self._verifier.iterations}"
        self._first = f"{bare},{reply}"
        return reply.encode()

    def final(self, data: bytes) -> tuple[str, bytes] | None:
        """Client-final-message in; the key's id and the server-final-message out, or ``None`` for a wrong proof.

        Raises:
            ScramError: not such a message, or not of this exchange.
        """
        text = _ascii_or_utf8(data)
        without_proof, marker, encoded = text.rpartition(",p=")
        attributes = without_proof.split(",")
        if not marker or len(attributes) < 2 or attributes[0][:2] != "c=" or attributes[1][:2] != "r=":
            raise ScramError("malformed client-final-message")
        # c= repeats the header of the first message, and the hash: whoever changed the flag on the way, or stands in between
        # with a certificate of his own, is found out here.
        if not hmac.compare_digest(attributes[0][2:].encode(), _channel(self._header, self._binding if self._bound else b"")):
            raise BindingError("SCRAM channel binding check failed")
        if not hmac.compare_digest(attributes[1][2:].encode(), self._full_nonce.encode()):
            raise ScramError("nonce does not match")
        proof = _base64(encoded)
        if len(proof) != 32:
            raise ScramError("malformed proof")
        return self._verify(proof, f"{self._first},{without_proof}".encode())

    def _check_flag(self, flag: str) -> None:
        """RFC 5802, 6: a client that could bind and believes that we cannot is right only if -PLUS was not offered."""
        if flag == "y" and self._binding:
            raise BindingError("the client believes that channel binding was not offered, and it was: the offer was changed on the way")
        if flag.startswith("p=") and flag != _BOUND:
            raise ScramError("unsupported SCRAM channel-binding type")
        if flag not in ("n", "y", _BOUND) or (flag == _BOUND) is not self._bound:
            raise ScramError("channel binding flag does not fit the mechanism")

    def _verify(self, proof: bytes, auth_message: bytes) -> tuple[str, bytes] | None:
        found: ScramKey | None = None
        # Every key is tried, also after one fits, and one is tried where there is none: the time tells nothing.
        for key in self._verifier.keys or (ScramKey("", bytes(32), bytes(32)),):
            signature = hmac.digest(key.stored_key, auth_message, "sha256")
            client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
            if hmac.compare_digest(hashlib.sha256(client_key).digest(), key.stored_key):
                found = key
        if found is None:
            return None
        signature = hmac.digest(found.server_key, auth_message, "sha256")
        return found.id, b"v=" + base64.b64encode(signature)


class ScramClient:
    """The client's side, towards a target that offers ``mechanisms``; ``nonce`` is fresh randomness (18 bytes or more).

    It binds where it can: with a ``binding`` and a target that offers -PLUS.

    Raises:
        ScramError: the target offers neither mechanism.
    """

    def __init__(self, password: str, nonce: bytes, binding: bytes = b"", mechanisms: Sequence[str] = (MECHANISM,)) -> None:
        self._password = password
        self._nonce = base64.b64encode(nonce).decode()
        self._server_signature = b""
        bound = bool(binding) and MECHANISM_PLUS in mechanisms
        self.mechanism = MECHANISM_PLUS if bound else MECHANISM
        if self.mechanism not in mechanisms:
            raise ScramError("no authentication mechanism that the gateway speaks")
        # "y" tells a target that did offer -PLUS that somebody took the offer away.
        self._header = f"{_BOUND if bound else 'y' if binding else 'n'},,"
        self._channel = _channel(self._header, binding if bound else b"").decode()

    def first(self) -> bytes:
        # PostgreSQL takes the user from the StartupMessage and wants an empty name here.
        return f"{self._header}n=,r={self._nonce}".encode()

    def final(self, data: bytes) -> bytes:
        """Server-first-message in, client-final-message out.

        Raises:
            ScramError: not such a message, a nonce that does not extend ours, or unreasonable iterations.
        """
        text = _ascii_or_utf8(data)
        attributes = text.split(",")
        if len(attributes) < 3 or [a[:2] for a in attributes[:3]] != ["r=", "s=", "i="]:
            raise ScramError("malformed server-first-message")
        nonce, salt, count = attributes[0][2:], _base64(attributes[1][2:]), attributes[2][2:]
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise ScramError("the server's nonce does not extend ours")
        if not salt or not count.isascii() or not count.isdigit() or int(count[:9]) not in _ITERATIONS:
            raise ScramError("unreasonable salt or iteration count")
        salted = _salted(self._password, salt, int(count))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = f"c={self._channel},r={nonce}"
        auth_message = f"n=,r={self._nonce},{text},{without_proof}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), auth_message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._server_signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth_message, "sha256")
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, data: bytes) -> None:
        """Server-final-message in.

        Raises:
            ScramError: the server does not know the password: it is not who it claims to be.
        """
        text = _ascii_or_utf8(data)
        first = text.split(",")[0]
        if not self._server_signature or not first.startswith("v="):
            raise ScramError("the server did not prove that it knows the password")
        if not hmac.compare_digest(_base64(first[2:]), self._server_signature):
            raise ScramError("the server's signature is wrong")


def saslprep(password: str) -> str:
    """RFC 4013 as PostgreSQL applies it: a string that it does not allow is used unchanged."""
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c))
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not prepared or any(prohibited(c) for prohibited in _PROHIBITED for c in prepared) or not _bidirectional(prepared):
        return password
    return prepared


_PROHIBITED = (
    stringprep.in_table_a1, stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
    stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8, stringprep.in_table_c9,
)  # fmt: skip


def _bidirectional(text: str) -> bool:
    """RFC 3454, section 6: right-to-left text must be so from end to end."""
    if not any(stringprep.in_table_d1(c) for c in text):
        return True
    edges = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return edges and not any(stringprep.in_table_d2(c) for c in text)


def _channel(header: str, binding: bytes) -> bytes:
    """The value of ``c=``."""
    return base64.b64encode(header.encode() + binding)


def _salted(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, iterations)


def _ascii_or_utf8(data: bytes) -> str:
    if len(data) > _MAX_MESSAGE:
        raise ScramError("message is too long")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ScramError("message is not UTF-8") from None
    if "\0" in text:
        raise ScramError("message holds a zero byte")
    return text


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ScramError("malformed base64") from None
