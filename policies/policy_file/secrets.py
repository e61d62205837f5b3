"""Secrets of the policy file: compared with what is kept, and kept encrypted."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from controlplane import crypto, services

if TYPE_CHECKING:
    from policies.policy_file.plan import Secrets


def differs(row: Any, name: str, given: Secrets) -> bool:
    """Whether the secret ``name`` of an existing row is another one than ``given``."""
    if name in ("password", "client_key"):
        kept = services.kept_secret(row.credential, name)
        return kept != (given.password if name == "password" else str(given.client_key).strip())
    if name == "key":
        return not services.key_in_use(row, str(given.key))
    return {**opened(row.notify.get("webhook") or {}), **(given.webhook or {})} != opened(row.notify.get("webhook") or {})


def opened(webhook: dict[str, str]) -> dict[str, str]:
    """A workflow's webhook as kept → with its URL and secret readable."""
    return {name: crypto.decrypt(base64.b64decode(value)).decode() for name, value in webhook.items()}


def sealed(webhook: dict[str, str]) -> dict[str, str]:
    """The other way round: URLs of webhooks are secrets too, many carry a token."""
    return {name: base64.b64encode(crypto.encrypt(value.encode())).decode() for name, value in webhook.items()}
