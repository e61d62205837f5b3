"""Webhooks, received by a real server: signed, in each format, tried again, and reading nothing that it should not."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from standardwebhooks import Webhook

from approvals import notices, services, webhooks
from approvals.models import Delivery, Workflow
from tests.approvals.conftest import PREVIEW, SECRET, person
from tests.certificates import issued

pytestmark = pytest.mark.django_db


@dataclass
class Receiver:
    """An HTTP server on loopback that keeps what it gets."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, dict(self.headers), body))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token=t0ken"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def listen(workflow: Workflow, url: str, format_: str = "generic", secret: str | None = SECRET) -> None:
    webhook = {"url": url, "format": format_, **({"secret": secret} if secret else {})}
    workflow.notify = {"email": False, "webhook": webhooks.sealed(webhook)}
    workflow.full_clean()
    workflow.save()


def deliver(request) -> Delivery:
    delivery = request.deliveries.get(user=None)
    notices.send(delivery.pk)
    delivery.refresh_from_db()
    return delivery


def test_a_generic_one_is_signed_and_holds_no_value(ask, workflow, receiver):
    listen(workflow, receiver.url)
    said = {"normalised": "DELETE FROM crm.orders WHERE id = $1", "sql": "DELETE FROM crm.orders WHERE id = 4711"}
    request = ask(preview=PREVIEW, bound=12, **said)
    assert deliver(request).state == Delivery.State.SENT
    ((path, headers, body),) = receiver.got
    assert path == "/hook?token=t0ken"
    said = Webhook(SECRET).verify(body, headers)
    assert (said["type"], said["data"]["request"], said["data"]["bound"]) == ("approval.requested", str(request.pk), 12)
    assert said["data"]["preview"]["affected_rows"] == 12
    assert said["data"]["url"].endswith(f"/approvals/{request.pk}/")
    assert b"4711" not in body
    assert b"/approvals/r/" not in body, "a link that decides goes to one person only"
    assert "Delete on orders" not in body.decode(), "plans hold constants"


def test_slack_takes_it_as_plain_text(ask, workflow, receiver):
    listen(workflow, receiver.url, "slack", None)
    deliver(ask(reason="<!channel> *bold*", relations=["crm.<@U1>"]))
    body = json.loads(receiver.got[0][2])
    assert body["text"] == "Approval needed: support-bot wants to delete on crm"
    kinds = [block["type"] for block in body["blocks"]]
    assert kinds == ["header", "section", "actions"]
    assert body["blocks"][1]["text"]["type"] == "plain_text"
    assert "<!channel> *bold*" in body["blocks"][1]["text"]["text"]
    assert body["blocks"][2]["elements"][0]["url"].startswith("http")
    assert "webhook-signature" not in {name.lower() for name in receiver.got[0][1]}


def test_teams_gets_an_adaptive_card_whose_text_is_no_markdown(ask, workflow, receiver):
    listen(workflow, receiver.url, "teams", None)
    deliver(ask(reason="[click](http://evil.example)"))
    body = json.loads(receiver.got[0][2])
    (attachment,) = body["attachments"]
    assert (body["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    facts = {fact["title"]: fact["value"] for fact in attachment["content"]["body"][1]["facts"]}
    assert facts["Why it is held"] == r"\[click\]\(http://evil.example\)"
    assert attachment["content"]["actions"][0]["type"] == "Action.OpenUrl"


def test_broken_glass_is_told_at_once(ask, workflow, receiver, dana):
    listen(workflow, receiver.url)
    workflow.break_glass_users.add(dana)
    request = services.decide(ask(), actor=dana, approve=True, comment="the shop is down", break_glass=True)
    notices.send_due(timezone.now())
    (told,) = [json.loads(body) for _, _, body in receiver.got]
    assert (told["type"], told["data"]["by"], told["data"]["reason_given"]) == ("approval.broken_glass", "dana", "the shop is down")
    assert {delivery.kind: delivery.state for delivery in request.deliveries.filter(user=None)} == {"asked": "DROPPED", "alarm": "SENT"}


@pytest.mark.parametrize(("status", "headers", "why"), [
    (500, {}, "HTTP 500"), (302, {"Location": "http://169.254.169.254/"}, "HTTP 302: redirects are not followed"), (404, {}, "HTTP 404"),
])  # fmt: skip
def test_a_failure_is_tried_again_later_and_says_why(ask, workflow, receiver, status, headers, why):
    listen(workflow, receiver.url)
    receiver.status, receiver.headers = status, headers
    request = ask()
    began, first = timezone.now(), deliver(request)
    assert (first.state, first.attempts, first.error) == (Delivery.State.QUEUED, 1, why)
    assert began + timedelta(seconds=10) <= first.next_attempt_at <= timezone.now() + timedelta(seconds=10)
    receiver.status = 200
    assert deliver(request).state == Delivery.State.SENT
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1, "a second attempt is the same message"


def test_it_is_given_up_some_time(ask, workflow, receiver, dana, browser):
    listen(workflow, receiver.url)
    receiver.status = 500
    request = ask()
    for _ in range(notices.ATTEMPTS):
        last = deliver(request)
    assert (last.state, len(receiver.got)) == (Delivery.State.FAILED, notices.ATTEMPTS)
    browser.force_login(dana)
    page = browser.get(f"/approvals/{request.pk}/").content.decode()
    assert "given up" in page
    assert "HTTP 500" in page
    browser.force_login(person("root", is_superuser=True))
    assert "HTTP 500" in browser.get("/admin/approvals/delivery/?user__isempty=1").content.decode()


def test_who_does_not_answer_says_nothing_of_the_address(ask, workflow, receiver):
    listen(workflow, receiver.url)
    receiver.close()
    error = deliver(ask()).error
    assert error.startswith("ConnectError")
    assert "t0ken" not in error
    assert "127.0.0.1" not in error


def test_a_certificate_that_nobody_trusts_is_refused(ask, workflow, receiver, tmp_path):
    own, path = issued("127.0.0.1"), tmp_path / "own.pem"
    path.write_text(own.certificate + own.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    listen(workflow, receiver.url.replace("http://", "https://"))
    assert "certificate is not trusted" in deliver(ask()).error
    assert not receiver.got


def test_a_side_that_answers_a_byte_at_a_time(ask, workflow, monkeypatch):
    monkeypatch.setattr(webhooks, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        listen(workflow, f"http://127.0.0.1:{server.getsockname()[1]}/")

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100:
                    try:
                        connection.sendall(bytes([byte]))
                    except OSError:
                        return
                    time.sleep(0.1)

        thread = threading.Thread(target=drip)
        thread.start()
        assert deliver(ask()).error.startswith("TimeoutError")
        thread.join()


@pytest.mark.parametrize(("webhook", "why"), [
    ({"url": "ftp://example.com/", "secret": SECRET}, "http"), ({"url": "https://", "secret": SECRET}, "host"),
    ({"url": "https://user:pw@example.com/", "secret": SECRET}, "without user name"),
    ({"url": "file:///etc/passwd", "secret": SECRET}, "http"), ({"url": "http://[x/", "secret": SECRET}, "http"),
    ({"url": "https://example.com/", "secret": "short"}, "openssl rand"), ({"url": "https://example.com/"}, "needs a secret"),
    ({"url": "https://example.com/", "secret": SECRET, "format": "irc"}, "one of"),
])  # fmt: skip
def test_what_could_never_be_sent_is_refused_when_it_is_set(workflow, webhook, why):
    workflow.notify = {"email": True, "webhook": webhooks.sealed(webhook)}
    with pytest.raises(ValidationError, match=why):
        workflow.full_clean()


def test_what_cannot_be_read_is_explained(workflow):
    workflow.notify = {"email": True, "webhook": {"url": "c2VjcmV0"}}
    with pytest.raises(ValidationError, match="cannot be read"):
        workflow.full_clean()


def test_it_is_kept_encrypted() -> None:
    plain = {"url": "https://hooks.example.com/t0ken", "secret": SECRET, "format": "slack"}
    kept = webhooks.sealed(plain)
    assert "t0ken" not in str(kept)
    assert SECRET not in str(kept)
    assert webhooks.opened(kept) == plain


def test_trying_it(workflow, receiver, client):
    with pytest.raises(CommandError, match="has no webhook"):
        call_command("approvals", "test-webhook", "owners")
    listen(workflow, receiver.url)
    call_command("approvals", "test-webhook", "owners")
    assert json.loads(receiver.got[0][2])["type"] == "approval.test"
    receiver.status = 410
    with pytest.raises(CommandError, match="HTTP 410"):
        call_command("approvals", "test-webhook", "owners")
    with pytest.raises(CommandError, match="no workflow"):
        call_command("approvals", "test-webhook", "nobody")
    client.force_login(person("root", is_superuser=True))
    form = {"action": "try_webhook", "_selected_action": [workflow.pk]}
    assert "HTTP 410" in client.post("/admin/approvals/workflow/", form, follow=True).content.decode()


@pytest.mark.django_db(transaction=True)
def test_one_process_at_a_time_talks_to_a_webhook(ask, workflow, receiver):
    """A slow webhook must not keep every process from its other tasks."""
    listen(workflow, receiver.url)
    first, second = ask(), ask()
    took: list[bool] = []

    def other() -> None:
        took.append(notices.send(second.deliveries.get().pk))
        connection.close()

    with transaction.atomic():
        assert notices.send(first.deliveries.get().pk)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert took == [False]
    assert notices.send(second.deliveries.get().pk)
