"""The engine's answer about one query text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allow:
    reason: str
    rules: tuple[str, ...] = ()
    would: tuple[str, ...] = ()  # shadow rules: "would deny: NAME", recorded and not enforced


@dataclass(frozen=True, slots=True)
class Deny:
    reason: str  # one line: what and why, naming rule and object
    hint: str = ""  # what would be allowed
    rules: tuple[str, ...] = ()
    would: tuple[str, ...] = ()
    sqlstate: str = "42501"  # or TG003 where it could not be decided


@dataclass(frozen=True, slots=True)
class RequireApproval:
    workflow: str
    reason: str
    rules: tuple[str, ...] = ()
    would: tuple[str, ...] = ()


Decision = Allow | Deny | RequireApproval
