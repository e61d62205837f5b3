"""Audit entries: canonical JSON with every field classified, sensitive ones as salted commitments (docs/contracts.md §5)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from proxy.ledger import verify
from proxy.ledger.verify import GENESIS, VerificationError, commitment, leaf_hash, read_entry

__all__ = ["CLASSES", "GENESIS", "EntryError", "build", "canonical", "commitment", "entry_hash", "parse"]

PUBLIC, SENSITIVE = "public", "sensitive"
SALT_BYTES = 16


class EntryError(ValueError):
    """The record cannot become an entry; the message names kind and field and never a value."""


def _fields(public: str, sensitive: str = "") -> dict[str, str]:
    return {**dict.fromkeys(public.split(), PUBLIC), **dict.fromkeys(sensitive.split(), SENSITIVE)}


_APPROVAL = _fields("request by subject connection binding way proof", "comment")
_SHAPE = _fields("request by subject connection binding shape runs until bound free", "comment")

# Kind -> field -> class. What is not here is secret: it must not leave the process, so such a record is refused.
CLASSES: Mapping[str, Mapping[str, str]] = {
    "worker.boot": _fields("host pid version"),
    "worker.heartbeat": _fields("sessions"),
    "worker.stopped": {},
    "worker.gap": _fields("of_worker of_boot error expected detail"),
    "session.opened": _fields("session subject issuer kind connection database client application run tls"),
    "session.refused": _fields("client connection sqlstate reason", "user"),
    "session.closed": _fields("session statements reason"),
    "statement.intended": _fields(
        "session statement subject issuer groups connection database client application run protocol actions relations columns functions"
        " normalised statements problem syntax_error decision decision_id reason rules would bundle catalog plan plan_reason masked"
        " approval estimated_rows",
        "sql parameters",
    ),
    "statement.completed": _fields("statement session outcome tag rows bytes masked_cells sqlstate duration_us detected"),
    "approval.requested": _APPROVAL,
    "approval.voted": _APPROVAL,
    "approval.approved": _APPROVAL,
    "approval.rejected": _APPROVAL,
    "approval.expired": _APPROVAL,
    "approval.cancelled": _APPROVAL,
    "approval.consumed": _APPROVAL | _fields("shape"),
    "approval.escalated": _APPROVAL | _fields("to"),
    "approval.reviewed": _APPROVAL,
    "approval.shape_approved": _SHAPE,
    "approval.shape_revoked": _SHAPE,
    "admin.changed": _fields("model object action actor", "before after"),
    "admin.signed_in": _fields("actor method address"),
    "admin.signed_out": _fields("actor reason address"),
    "admin.sign_in_failed": _fields("method reason reference address", "account"),
    "export.made": _fields("export by filters entries size sha256"),
}


def build(
    kind: str,
    fields: Mapping[str, object],
    *,
    worker: str,
    boot: str,
    seq: int,
    prev: str | bytes,
    time_us: int,
    salts: Callable[[int], bytes],
) -> tuple[bytes, dict[str, Any]]:
    """The entry's canonical bytes and its disclosures, ``{name: {"salt": base64, "value": …}}``.

    ``prev``: hash of the boot's entry before (32 bytes or hex), ``GENESIS`` for the first; ``salts(n)`` gives n random bytes. Raises
    EntryError for an unknown kind, an unclassified field, or a value that canonical JSON does not hold (floats).
    """
    classes = CLASSES.get(kind)
    if classes is None:
        raise EntryError(f"unknown kind of entry {kind!r}")
    public: dict[str, object] = {}
    commitments: dict[str, str] = {}
    disclosures: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            verify.check_plain(value)
            if classes.get(name) == PUBLIC:
                public[name] = value
            elif classes.get(name) == SENSITIVE:
                salt = salts(SALT_BYTES)
                commitments[name] = commitment(salt, value)
                disclosures[name] = {"salt": base64.b64encode(salt).decode(), "value": value}
            else:
                raise EntryError(f"{kind}: field {name!r} is not classified, so it is secret and cannot be recorded")
        except VerificationError as error:
            raise EntryError(f"{kind}: field {name!r} holds {error}") from None
    before = prev if isinstance(prev, str) else prev.hex()
    entry = {
        "v": 1, "kind": kind, "worker": worker, "boot": boot, "seq": seq, "prev": before, "time_us": time_us,
        "fields": public, "commitments": commitments,
    }  # fmt: skip
    return canonical(entry), disclosures


def canonical(value: object) -> bytes:
    """The value's canonical JSON in UTF-8. Raises ValueError where it holds what entries cannot (floats, bytes)."""
    return verify.canonical(value).encode()


def entry_hash(content: bytes) -> bytes:
    """The RFC 6962 leaf hash of an entry's canonical bytes."""
    return leaf_hash(content)


def parse(content: bytes | str) -> dict[str, Any]:
    """The members of an entry. Raises EntryError for any text that :func:`build` would not have made."""
    try:
        members = read_entry(content if isinstance(content, str) else content.decode())
    except (VerificationError, UnicodeDecodeError) as error:
        raise EntryError(str(error)) from None
    classes = CLASSES.get(members["kind"])
    if classes is None:
        raise EntryError(f"unknown kind of entry {members['kind']!r}")
    for part, expected in (("fields", PUBLIC), ("commitments", SENSITIVE)):
        for name in members[part]:
            if classes.get(name) != expected:
                raise EntryError(f"{members['kind']}: {name!r} may not stand among the {part}")
    return members
