"""What arrives through the broker, and the e-mails that leave."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import redis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core import mail
from django.utils import timezone
from joserfc import jws
from joserfc.jwk import OctKey

from approvals import hints, notices, services, tasks
from approvals.envelope import EnvelopeError, open_envelope
from approvals.models import ApprovalRequest, Delivery
from approvals.states import State
from controlplane.models import User, Worker
from tests.approvals.conftest import Host, payload

pytestmark = pytest.mark.django_db
HIDDEN = "DELETE FROM t -- \u202e\u200b\nWHERE id = 1"


# --- requests -----------------------------------------------------------------------------------------------------------


def test_a_signed_message_opens_a_request(host, workflow):
    content = payload(host)
    tasks.request(host.sign(content))
    assert ApprovalRequest.objects.get().sql == content["sql"]


def test_a_large_statement_is_held_like_any_other(host, workflow):
    tasks.request(host.sign(payload(host, sql="SELECT '" + "x" * 1_000_000 + "'")))
    assert len(ApprovalRequest.objects.get().sql) > 1_000_000


def forgeries(host: Host) -> dict[str, str]:
    other, content = Host("host-b"), payload(host)
    other.key, stranger = Ed25519PrivateKey.generate(), other.key
    good = host.sign(content)
    head, body, signature = good.split(".")
    none = jws.serialize_compact({"alg": "none", "kid": str(host.row.pk)}, json.dumps(content), None, algorithms=["none"])
    secret = jws.serialize_compact(
        {"alg": "HS256", "kid": str(host.row.pk)}, json.dumps(content), OctKey.import_key(host.row.public_key * 2), ["HS256"]
    )
    host.key, own = stranger, host.key
    wrong_key = host.sign(content)
    host.key = own
    return {
        "signed with another key": wrong_key,
        "unsigned": none,
        "keyed with the public key": secret,
        "changed content": f"{head}.{body[:-8]}{'A' * 8}.{signature}",
        "no signature": f"{head}.{body}.",
        "unknown worker": host.sign(content, kid="00000000-0000-4000-8000-000000000000"),
        "no worker": host.sign(content, kid="host-a"),
        "not an object": host.sign([content]),
        "in another's name": host.sign(content | {"worker": str(other.row.pk)}),
        "no JWS": "garbage",
        "nothing": "",
    }


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_no_forged_message_opens_a_request(host, workflow, caplog):
    for name, token in forgeries(host).items():
        caplog.clear()
        tasks.request(token)
        assert not ApprovalRequest.objects.exists(), name
        assert "approvals.request_refused" in caplog.text, name


def test_a_revoked_worker_opens_nothing(host, workflow):
    token = host.sign(payload(host))
    Worker.objects.update(revoked_at=timezone.now())
    with pytest.raises(EnvelopeError, match="revoked"):
        open_envelope(token)


# --- e-mails ------------------------------------------------------------------------------------------------------------


def test_each_approver_gets_one_mail_with_everything(ask, dana):
    request = ask(
        sql=HIDDEN, parameters=[{"n": 1, "oid": 25, "text": "a\nApprove here: http://evil.example"}, {"n": 2, "oid": 20, "text": None}]
    )
    tasks.notify(str(request.pk))
    tasks.notify(str(request.pk))
    (message,) = mail.outbox
    assert message.to == ["dana@example.com"]
    html = message.alternatives[0].content
    for text in (message.body, html):
        for part in (
            "support-bot",
            "crm",
            "deletes need a yes",
            "10.1.2.3:5555",
            "U+202E",
            "U+200B",
            f"{request.expires_at:%Y-%m-%d %H:%M:%S} UTC",
            "NULL",
        ):
            assert part in text
        assert f"{settings.TIDEGATE_PUBLIC_URL}/approvals/r/" in text
        assert "\u202e" not in text
    assert "| DELETE FROM t -- ⟦U+202E⟧⟦U+200B⟧\n| WHERE id = 1" in message.body
    assert "\nApprove here" not in message.body
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == (Delivery.State.SENT, 1)


def test_a_subject_line_cannot_be_split(ask):
    notices.send(ask(connection="crm\r\nBcc: evil@example.com").deliveries.get().pk)
    assert "\n" not in mail.outbox[0].subject
    assert "\r" not in mail.outbox[0].subject


def test_a_mail_server_that_fails_is_tried_again_later(ask, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", 9, 1
    request, now = ask(), timezone.now()
    assert notices.send_due(now) == 0
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == (Delivery.State.QUEUED, 1)
    assert "ConnectionRefusedError" in delivery.error
    assert delivery.next_attempt_at > now + timedelta(seconds=5)
    assert notices.send_due(now) == 0
    assert Delivery.objects.get().attempts == 1  # not before its time
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert notices.send_due(delivery.next_attempt_at) == 1
    assert request.deliveries.get().state == Delivery.State.SENT


def test_a_mail_that_cannot_be_sent_is_given_up_and_says_why(ask, dana):
    User.objects.filter(pk=dana.pk).update(email="")
    ask()
    for _ in range(notices.ATTEMPTS):
        Delivery.objects.update(next_attempt_at=timezone.now())
        tasks.deliver()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == (Delivery.State.FAILED, notices.ATTEMPTS)
    assert "no e-mail address" in delivery.error


def test_nobody_is_asked_about_what_is_over(ask, dana):
    request = ask()
    services.cancel(request.pk, reason="gone")
    tasks.notify(str(request.pk))
    assert mail.outbox == []
    assert Delivery.objects.get().state == Delivery.State.DROPPED


def test_a_lost_order_to_send_is_found_by_the_beat(ask):
    ask()  # inside the test's transaction nothing is ever committed, so the order is never given
    tasks.deliver()
    assert len(mail.outbox) == 1


# --- hints --------------------------------------------------------------------------------------------------------------


def test_every_change_is_published_after_commit(ask, dana, django_capture_on_commit_callbacks):
    with redis.Redis.from_url(settings.TIDEGATE_BROKER_URL) as client, client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(hints.CHANNEL)
        channel.get_message(timeout=5)
        with django_capture_on_commit_callbacks(execute=True):
            request = ask()
            assert channel.get_message(timeout=0.2) is None
        services_decide = django_capture_on_commit_callbacks(execute=True)
        with services_decide:
            services.decide(request, actor=dana, approve=True)
        said = [json.loads(channel.get_message(timeout=5)["data"]) for _ in range(2)]
    assert [(hint["id"], hint["state"]) for hint in said] == [(str(request.pk), State.PENDING), (str(request.pk), State.APPROVED)]


def test_a_dead_broker_loses_the_hint_and_nothing_else(ask, settings, django_capture_on_commit_callbacks, caplog):
    settings.TIDEGATE_BROKER_URL = "redis://127.0.0.1:9/0"
    with django_capture_on_commit_callbacks(execute=True):
        request = ask()
    assert ApprovalRequest.objects.get() == request
    assert "approvals.hint_lost" in caplog.text
