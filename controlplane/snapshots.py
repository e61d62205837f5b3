"""An object as the audit keeps it: every field by name, what it is linked to by name, no secret."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from django.db.models import BinaryField, Model

# Never part of a snapshot: secrets, verifiers of secrets, and what changes without anybody deciding it. Binary columns all are such.
_LEFT_OUT = frozenset({"id", "password", "last_login", "date_joined", "digest", "is_staff", "sign_count", "last_used_at"})


def snapshot(instance: Model) -> dict[str, Any]:
    """Plain JSON values of ``instance`` and the names of what it is linked to."""
    found: dict[str, Any] = {}
    for field in instance._meta.concrete_fields:
        if field.name not in _LEFT_OUT and not isinstance(field, BinaryField):
            found[field.name] = _plain(getattr(instance, field.name))
    if instance.pk is not None:
        for relation in instance._meta.many_to_many:
            if relation.name != "user_permissions":
                found[relation.name] = sorted(str(item) for item in getattr(instance, relation.name).all())
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict) and "webhook" in value:
        # Kept encrypted in place: the audit shows that it changed, and not even the ciphertext.
        return {**value, "webhook": f"hidden, {hashlib.sha256(json.dumps(value['webhook'], sort_keys=True).encode()).hexdigest()[:12]}"}
    if value is None or isinstance(value, (str, int, bool, list, dict)):
        return value
    return str(value)
