"""Whether an ID token is this provider's answer to this very sign-in (OpenID Connect Core 1.0 §3.1.3.7)."""

from __future__ import annotations

import hmac
import json
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError

from controlplane.oidc import provider as keys
from controlplane.oidc.configuration import Provider
from controlplane.oidc.problems import SignInProblem

SKEW = 60  # seconds by which the clocks may differ
AGE = 600  # seconds after which a token that was just asked for is not what was asked for
LONGEST = 64 << 10


def verify(token: object, *, provider: Provider, nonce: str, now: float) -> dict[str, Any]:
    """The claims of a good token. Raises: SignInProblem, without any part of the token."""
    if not isinstance(token, str) or not token or len(token) > LONGEST:
        raise SignInProblem("token", "the provider's answer holds no ID token")
    claims = _signed(token, provider)
    problem = _objection(claims, provider, nonce, now)
    if problem:
        raise SignInProblem("token", problem)
    return claims


def _signed(token: str, provider: Provider) -> dict[str, Any]:
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError, KeyError):
        raise SignInProblem("token", "the ID token is not a signed token") from None
    if header.get("alg") not in provider.algorithms:
        raise SignInProblem("token", f"the ID token's algorithm is none of {', '.join(provider.algorithms)}")
    for key in keys.keys_for(header.get("kid")):
        try:
            return dict(jwt.decode(token, key, algorithms=list(provider.algorithms)).claims)
        except (JoseError, ValueError, TypeError, json.JSONDecodeError):
            continue
    raise SignInProblem("token", "the ID token is not signed with a key of the provider")


def _objection(claims: dict[str, Any], provider: Provider, nonce: str, now: float) -> str:
    """Why the claims are not what was asked for; empty if they are."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    issued, expires, starts, proved = (_time(claims.get(name)) for name in ("iat", "exp", "nbf", "auth_time"))
    subject = claims.get("sub")
    if claims.get("iss") != provider.issuer:
        return "its iss is another issuer"
    if provider.client_id not in audiences:
        return "its aud is not this client"
    if claims.get("azp", provider.client_id) != provider.client_id or (len(audiences) > 1 and "azp" not in claims):
        return "its azp is not this client"
    if expires is None or issued is None:
        return "it lacks exp or iat"
    if now >= expires + SKEW:
        return "it has expired"
    if max(issued, starts or 0, proved or 0) > now + SKEW:
        return "it is from the future"
    if issued < now - AGE - SKEW:
        return "it is too old"
    if not nonce or not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        return "its nonce is that of another sign-in"
    if not isinstance(subject, str) or not subject or len(subject) > 255 or not subject.isprintable():
        return "its sub is no name"
    return ""


def _time(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
