"""The same key again: done once, answered the same."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.utils import timezone

from audit.models import Entry
from controlplane import idempotency
from controlplane.models import ApiKey, IdempotentAnswer, Subject, User

pytestmark = pytest.mark.django_db


def send(client: Client, path: str, body: Any, key: str = "k-1", method: str = "post") -> Any:
    return getattr(client, method)(f"/api/v1/{path}", body, content_type="application/json", headers={"Idempotency-Key": key})


def test_a_repeated_write_is_done_once(admin: Client) -> None:
    first = send(admin, "groups", {"name": "agents"})
    again = send(admin, "groups", {"name": "agents"})
    assert (first.status_code, again.status_code, first.json()) == (201, 201, again.json())
    assert (first.headers.get("Idempotency-Replayed"), again["Idempotency-Replayed"]) == (None, "true")
    assert Group.objects.count() == 1
    assert Entry.objects.filter(kind="admin.changed").count() == 1
    assert send(admin, f"groups/{first.json()['id']}", None, "k-2", "delete").status_code == 204
    assert send(admin, f"groups/{first.json()['id']}", None, "k-2", "delete").status_code == 204


def test_a_key_is_for_one_request(admin: Client) -> None:
    send(admin, "groups", {"name": "agents"})
    for path, body in (("groups", {"name": "others"}), ("subjects", {"name": "agents"})):
        other = send(admin, path, body)
        assert (other.status_code, other["Content-Type"]) == (422, "application/problem+json")
        assert "used for another request" in other.json()["detail"]
    assert Group.objects.count() == 1


def test_a_failed_write_may_be_tried_again(admin: Client) -> None:
    assert send(admin, "groups", {"name": ""}).status_code == 400
    assert not IdempotentAnswer.objects.exists()
    assert send(admin, "groups", {"name": "agents"}).status_code == 201


def test_keys_are_each_persons_own(admin: Client, client_of: Any) -> None:
    other = client_of(User.objects.create(username="other", is_superuser=True))
    assert send(admin, "groups", {"name": "a"}).status_code == 201
    assert send(other, "groups", {"name": "b"}).status_code == 201
    assert Group.objects.count() == 2


def test_a_secret_is_shown_again_and_kept_encrypted(admin: Client, bot: Subject) -> None:
    first = send(admin, f"subjects/{bot.pk}/keys", {})
    again = send(admin, f"subjects/{bot.pk}/keys", {})
    assert first.json()["key"] == again.json()["key"]
    assert ApiKey.objects.count() == 1
    assert first.json()["key"].encode() not in bytes(IdempotentAnswer.objects.get().body)
    assert again["Cache-Control"] == "no-store"


def test_whoever_may_not_write_claims_nothing(auditor: Client) -> None:
    assert send(auditor, "groups", {"name": "x"}).status_code == 403
    assert send(Client(), "groups", {"name": "x"}).status_code == 401
    assert not IdempotentAnswer.objects.exists()


def test_odd_keys(admin: Client) -> None:
    assert send(admin, "groups", {"name": "x"}, "k" * 256).status_code == 400
    assert send(admin, "groups", {"name": "x"}, "k\x7f").status_code == 400


def test_answers_are_forgotten(admin: Client) -> None:
    group = send(admin, "groups", {"name": "agents"}).json()["id"]
    IdempotentAnswer.objects.update(at=timezone.now() - idempotency.KEPT - timedelta(seconds=1))
    assert send(admin, f"groups/{group}", {"name": "others"}, method="patch").status_code == 200  # its key is free again
    IdempotentAnswer.objects.update(at=timezone.now() - idempotency.KEPT - timedelta(seconds=1))
    assert idempotency.forget_old() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("expired", [False, True])
def test_many_at_once_are_one(expired: bool) -> None:
    client, root = Client(), User.objects.create(username="root", is_superuser=True)
    client.force_login(root)
    if expired:
        long_ago = timezone.now() - idempotency.KEPT - timedelta(seconds=1)
        IdempotentAnswer.objects.create(user=root, key="k-1", request="another", at=long_ago)
    answers: list[Any] = []

    def run() -> None:
        own = Client()
        own.cookies = client.cookies
        answers.append(send(own, "groups", {"name": "agents"}))
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Group.objects.count() == 1
