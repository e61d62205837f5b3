"""Secrets of the policy file, compared with what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from approvals import webhooks
from controlplane import services

if TYPE_CHECKING:
    from policies.policy_file.plan import Secrets


def differs(row: Any, name: str, given: Secrets) -> bool:
    """Whether the secret ``name`` of an existing row is another one than ``given``."""
    if name in ("password", "client_key"):
        kept = services.kept_secret(row.credential, name)
        return kept != (given.password if name == "password" else str(given.client_key).strip())
    if name == "key":
        return not services.key_in_use(row, str(given.key))
    kept = webhooks.opened(row.notify.get("webhook") or {})
    return {**kept, **(given.webhook or {})} != kept
