"""Rows by COPY are those that INSERT would make."""

from __future__ import annotations

import uuid

import pytest

from audit import copying
from audit.models import ApprovalEvent, Boot, Name

pytestmark = pytest.mark.django_db


def test_rows_are_numbered_in_their_order_and_stored_as_they_are():
    rows = [Name(kind="relation", name=name) for name in ("a\tb", "c\\n", "", "🌊")]
    copying.number(rows)
    assert [row.pk for row in rows] == sorted({row.pk for row in rows})
    copying.insert(rows)
    assert list(Name.objects.order_by("pk").values_list("pk", "name")) == [(row.pk, row.name) for row in rows]
    assert Name.objects.create(kind="rule", name="later").pk > rows[-1].pk


def test_nothing_is_nothing():
    copying.number([])
    copying.insert([])
    assert not Name.objects.exists()
    assert not ApprovalEvent.objects.exists()


def test_a_key_that_is_given_stays():
    boot = Boot(id=uuid.uuid4(), worker="w")
    copying.insert([boot])
    assert Boot.objects.get().pk == boot.pk
