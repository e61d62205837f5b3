"""Every way in which Tidegate says no, with the SQLSTATE that a client sees.

::

    Refusal
     ├── 42501  denied by policy                 (denied)
     ├── TG001  held: approval needed            (approval_needed)
     ├── TG002  approval rejected or expired     (approval_refused)
     ├── TG002  more rows than were approved     (more_than_approved)
     ├── TG003  cannot decide, so no             (undecidable)
     ├── 28000  identity not accepted            (identity)
     ├── 28P01  wrong API key                    (wrong_key)
     ├── 3D000  no such connection               (unknown_connection)
     ├── 08P01  protocol violation               (protocol_violation)
     ├── 08006  the server went away             (server_gone)
     ├── 0A000  the gateway does not speak this  (unsupported)
     ├── 42601  syntax error, in PostgreSQL's own words (syntax_error)
     ├── 42883  no function of that name         (undefined_function)
     ├── 53300  too many sessions                (too_many_sessions)
     ├── 53300  too many failed sign-ins from there (too_many_failures)
     ├── 54000  too many rows; too long to be recorded (too_many_rows)
     ├── 57P05  idle for too long; in a transaction 25P03 (idle)
     ├── 57P01  the worker is shutting down      (shutting_down)
     ├── 58030  cannot be recorded, so not run   (unrecordable)
     ├── XX000  the gateway itself failed        (internal)
     ├── 57014  the statement takes too long     (timed_out)
     └── 57014  cancelled while held             (cancelled)

A refusal is a value, not an exception. Its ``message`` says what and why in one line, ``hint`` what would be allowed,
``detail`` carries the decision id. No refusal ever contains a value from the database or a secret.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of *no*; ``fatal`` ones end the session."""

    sqlstate: str
    message: str
    detail: str = ""
    hint: str = ""
    position: int = 0
    fatal: bool = False


def denied(reason: str, *, decision: str = "", hint: str = "") -> Refusal:
    return Refusal("42501", reason, _decision(decision), hint)


def approval_needed(reason: str, *, decision: str = "", hint: str = "") -> Refusal:
    return Refusal("TG001", reason, _decision(decision), hint)


def approval_refused(reason: str, *, decision: str = "", hint: str = "") -> Refusal:
    return Refusal("TG002", reason, _decision(decision), hint)


def more_than_approved(bound: int, *, decision: str = "") -> Refusal:
    reason = f"the statement changes more than the {bound} rows that were approved, so it was undone"
    return Refusal("TG002", reason, _decision(decision), "Run it again to ask for what it changes now.")


def undecidable(reason: str, *, decision: str = "", hint: str = "") -> Refusal:
    return Refusal("TG003", reason, _decision(decision), hint)


def identity(reason: str, *, hint: str = "") -> Refusal:
    return Refusal("28000", reason, "", hint, fatal=True)


def wrong_key(user: str) -> Refusal:
    # PostgreSQL's own words, so that clients that match on the text keep working.
    return Refusal("28P01", f'password authentication failed for user "{user}"', fatal=True)


def unknown_connection(name: str) -> Refusal:
    return Refusal("3D000", f'database "{name}" does not exist', hint="The database name is the name of a Tidegate connection.", fatal=True)


def protocol_violation(reason: str) -> Refusal:
    return Refusal("08P01", reason, fatal=True)


def unsupported(reason: str) -> Refusal:
    return Refusal("0A000", reason, fatal=True)


def server_gone(reason: str) -> Refusal:
    return Refusal("08006", reason, fatal=True)


def syntax_error(message: str, position: int) -> Refusal:
    """``position`` counts characters from 1, as in the manual (55.8, field P)."""
    return Refusal("42601", message, position=position)


def undefined_function(reason: str, *, decision: str = "", hint: str = "") -> Refusal:
    return Refusal("42883", reason, _decision(decision), hint)


def too_many_sessions(reason: str, setting: str) -> Refusal:
    """``setting`` is the limit's name in the policy."""
    hint = f"Close sessions that are not needed, or have the connection's {setting} raised."
    return Refusal("53300", reason, hint=hint, fatal=True)


def too_many_failures(seconds: float) -> Refusal:
    hint = f"Try again in {math.ceil(seconds)} seconds."
    return Refusal("53300", "too many sign-ins from this address have failed", hint=hint, fatal=True)


def too_many_rows(limit: int) -> Refusal:
    return Refusal("54000", f"the result has more than max_rows={limit} rows, so it ends here", hint="Add LIMIT, or a narrower WHERE.")


def shutting_down() -> Refusal:
    return Refusal("57P01", "terminating connection due to administrator command", fatal=True)


def idle(*, in_transaction: bool = False) -> Refusal:
    if in_transaction:
        return Refusal("25P03", "terminating connection due to idle-in-transaction timeout", fatal=True)
    return Refusal("57P05", "terminating connection due to idle-session timeout", fatal=True)


def unrecordable() -> Refusal:
    return Refusal("58030", "the statement cannot be recorded, so it was not run", fatal=True)


def internal() -> Refusal:
    """The session's state is in doubt; the log, not the client, gets what happened."""
    return Refusal("XX000", "internal error of the gateway; the session was closed", fatal=True)


def timed_out() -> Refusal:
    return Refusal("57014", "canceling statement due to statement timeout")


def cancelled() -> Refusal:
    return Refusal("57014", "canceling statement due to user request")


def _decision(decision: str) -> str:
    return f"Decision {decision}." if decision else ""
