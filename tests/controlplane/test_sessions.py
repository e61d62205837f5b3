"""How long a session lasts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from audit.models import Entry
from controlplane import sessions
from controlplane.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana(client_of: Callable[[User], Client]) -> Client:
    return client_of(User.objects.create(username="dana", is_approver=True, email="d@example.com"))


def changed(client: Client, **change: Any) -> None:
    session = client.session
    session.update(change)
    session.save()


def test_half_an_hour_without_a_request_ends_it(dana: Client) -> None:
    row = Session.objects.get()
    assert timedelta(minutes=29) < row.expire_date - timezone.now() <= timedelta(minutes=30)
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert dana.get("/").status_code == 302


def test_requests_keep_it_alive_without_a_write_for_each(dana: Client) -> None:
    before = Session.objects.get().expire_date
    dana.get("/")
    assert Session.objects.get().expire_date == before
    changed(dana, **{sessions.SEEN: dana.session[sessions.SEEN] - 61})
    before = Session.objects.get().expire_date
    dana.get("/")
    assert Session.objects.get().expire_date > before


def test_twelve_hours_are_the_end_however_busy(dana: Client) -> None:
    changed(dana, **{sessions.BEGAN: dana.session[sessions.BEGAN] - 12 * 3600 - 1})
    answer = dana.get("/", follow=True)
    assert answer.redirect_chain == [("/login?next=/", 302)]
    assert "twelve hours" in answer.content.decode()
    assert Entry.objects.filter(kind="admin.signed_out").count() == 1


def test_a_session_of_before_there_were_limits_is_none(dana: Client) -> None:
    session = dana.session
    del session[sessions.BEGAN]
    session.save()
    assert dana.get("/").status_code == 302


def test_nobody_knows_when_a_session_of_unknown_origin_was_proved(dana: Client) -> None:
    assert not sessions.recently_proved(dana.get("/").wsgi_request)
