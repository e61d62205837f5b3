"""OAUTHBEARER (RFC 7628; manual, 55.3.2): an OAuth access token within SASL, as libpq 18 sends it.

The client's one message holds the token. An empty one asks where tokens come from; that question, and a token that is not
accepted, are answered with JSON, which the client acknowledges by one byte before it is sent away.
"""

from __future__ import annotations

import json
import re

MECHANISM = "OAUTHBEARER"
ACKNOWLEDGEMENT = b"\x01"  # the client's answer to a refusal (RFC 7628, 3.2.3)
# gs2-header kvsep *(key "=" value kvsep) kvsep (RFC 7628, 3.1): no channel binding, no authorization identity.
_RESPONSE = re.compile(r"[ny],,\x01((?:[A-Za-z]+=[\t\n\r -~]*\x01)*)\x01")
_CREDENTIAL = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)  # RFC 6750, 2.1


class BearerError(Exception):
    """The client's message is not of this mechanism; ``str()`` holds no part of it."""


def token_in(data: bytes) -> str:
    """The token of a client's message; empty where it asks for the discovery document.

    Raises:
        BearerError: not such a message, or its credential is no bearer token.
    """
    found = _RESPONSE.fullmatch(data.decode("latin-1"))
    if found is None:
        raise BearerError("malformed OAUTHBEARER message")
    values = [pair.partition("=")[2] for pair in found[1].split("\x01") if pair.startswith("auth=")]
    if len(values) != 1:
        raise BearerError("malformed OAUTHBEARER message: it needs one auth value")
    if not values[0]:
        return ""
    credential = _CREDENTIAL.fullmatch(values[0])
    if credential is None:
        raise BearerError("malformed OAUTHBEARER message: it holds no bearer token")
    return credential[1]


def challenge(issuer: str, scope: str = "openid") -> bytes:
    """What a client without a good token is told (RFC 7628, 3.2.2): where tokens come from, if anybody is known."""
    told = {"status": "invalid_token", "scope": scope}
    if issuer:
        told["openid-configuration"] = issuer.rstrip("/") + "/.well-known/openid-configuration"
    return json.dumps(told).encode()
