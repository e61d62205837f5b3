"""The life of an approval request, as data.

::

    PENDING ──▶ APPROVED ──▶ CONSUMED      the statement ran, once
       │            ├──────▶ EXPIRED       nobody came back for it in time
       │            └──────▶ CANCELLED     the client gave up after the yes
       ├──▶ REJECTED                       somebody said no, or there is nobody to ask
       ├──▶ EXPIRED
       └──▶ CANCELLED                      the client gave up

The database refuses every other change by a trigger (in the migrations) that holds the same table; a test compares the two.
"""

from __future__ import annotations

from django.db import models


class State(models.TextChoices):
    PENDING = "PENDING", "waiting"
    APPROVED = "APPROVED", "approved"
    REJECTED = "REJECTED", "rejected"
    EXPIRED = "EXPIRED", "expired"
    CANCELLED = "CANCELLED", "withdrawn"
    CONSUMED = "CONSUMED", "approved and run"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.APPROVED, State.REJECTED, State.EXPIRED, State.CANCELLED}),
    State.APPROVED: frozenset({State.CONSUMED, State.EXPIRED, State.CANCELLED}),
    State.REJECTED: frozenset(),
    State.EXPIRED: frozenset(),
    State.CANCELLED: frozenset(),
    State.CONSUMED: frozenset(),
}

FINAL = frozenset(state for state, following in TRANSITIONS.items() if not following)


def may_become(old: str, new: str) -> bool:
    """Whether the table allows the change; unknown states allow nothing."""
    return new in TRANSITIONS.get(State(old), frozenset()) if old in State.values else False
