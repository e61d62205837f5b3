"""What a worker sends when it holds a statement (docs/contracts.md §4), read strictly: a request that is not exactly
understood is not opened, so that an approver never decides on half of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

_SURROGATE = re.compile("[\ud800-\udfff]")


class PayloadError(ValueError):
    """The request cannot be understood; the message holds no value of it."""


class Parameter(msgspec.Struct, frozen=True):
    """A Bind parameter: position from 1, type oid, and its text (null for NULL)."""

    n: int
    oid: int
    text: str | None


_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Trigger(msgspec.Struct, frozen=True):
    """A trigger that would fire."""

    relation: str
    name: str
    event: str


class Cascade(msgspec.Struct, frozen=True):
    """A table that changes with the statement by a foreign key, and how."""

    relation: str
    columns: tuple[str, ...]
    action: str


class Preview(msgspec.Struct, frozen=True):
    """What the statement would do, found out without running it. None: not known."""

    estimated_rows: _Count | None = None
    affected_rows: _Count | None = None
    plan: str = ""
    triggers: tuple[Trigger, ...] = ()
    cascades: tuple[Cascade, ...] = ()
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Payload(msgspec.Struct, frozen=True):
    """A held statement, as the worker describes it."""

    id: str
    worker: str
    binding: str
    workflow: str
    subject: str
    connection: str
    sql: str
    reason: str
    issuer: str = ""
    database: str = ""
    session: str = ""
    statement: str = ""
    decision: str = ""
    parameters: tuple[Parameter, ...] = ()
    actions: tuple[str, ...] = ()
    relations: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    normalised: str = ""
    shape: str = ""
    preview: Preview | None = None
    bound: _Count | None = None
    bundle: str = ""
    in_transaction: bool = False
    client: str = ""
    application: str = ""
    run: str = ""
    boot: str = ""


_LIMITS = {
    "workflow": 100,
    "subject": 255,
    "connection": 255,
    "issuer": 255,
    "database": 255,
    "session": 64,
    "statement": 64,
    "decision": 64,
    "bundle": 64,
    "client": 255,
    "boot": 64,
}
_CUT = ("application", "run")  # a client may call itself what it likes, at any length
_CUT_AT = 255


def read(payload: Mapping[str, Any]) -> Payload:
    """The payload with every field checked. Raises: PayloadError."""
    try:
        found = _presentable(msgspec.convert(payload, Payload, strict=True))
    except msgspec.ValidationError as error:
        raise PayloadError(f"the request does not have the agreed form: {error}") from None
    if not re.fullmatch("[0-9a-f]{64}", found.binding):
        raise PayloadError("the binding is not a SHA-256 in hexadecimal")
    if found.shape and not re.fullmatch("[0-9a-f]{64}", found.shape):
        raise PayloadError("the shape is not a SHA-256 in hexadecimal")
    for name, limit in _LIMITS.items():
        if len(getattr(found, name)) > limit:
            raise PayloadError(f"{name} is longer than {limit} characters")
    if not _storable(msgspec.to_builtins(found)):
        raise PayloadError("the request holds a character that PostgreSQL's text cannot hold")
    return found


def _presentable(found: Payload) -> Payload:
    """What a client may send though no table can hold it, spelt out; the binding covers the bytes themselves."""
    parameters = tuple(
        msgspec.structs.replace(item, text=item.text.replace("\0", "⟦U+0000⟧")) if item.text else item for item in found.parameters
    )
    cut = {name: text if len(text) <= _CUT_AT else text[: _CUT_AT - 1] + "…" for name in _CUT for text in [getattr(found, name)]}
    return msgspec.structs.replace(found, parameters=parameters, **cut)


def _storable(value: object) -> bool:
    if isinstance(value, str):
        return "\0" not in value and not _SURROGATE.search(value)
    if isinstance(value, dict):
        return all(_storable(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(_storable(item) for item in value)
    return True
