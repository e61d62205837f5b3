"""A yes that must be proved: by a fresh sign-in or by a passkey, on the page only."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from io import StringIO
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from approvals import links, services, step_up
from approvals.models import ApprovalRequest, Workflow
from audit.models import Entry
from controlplane import passkeys, sessions
from controlplane.models import User
from tests.authenticator import Authenticator

pytestmark = pytest.mark.django_db
ORIGIN = "http://localhost:8000"
Ask = Callable[..., ApprovalRequest]


@pytest.fixture(autouse=True)
def address(settings: Any) -> None:
    settings.TIDEGATE_PUBLIC_URL = ORIGIN


@pytest.fixture
def asking(workflow: Workflow) -> Callable[[str], None]:
    def set_step_up(kind: str) -> None:
        workflow.step_up = kind
        workflow.save()

    return set_step_up


class Page:
    """A request's page in a person's own browser."""

    def __init__(self, request: ApprovalRequest, person: User, *, proved: int | None = None) -> None:
        self.request, self.person, self.client = request, person, Client()
        self.client.force_login(person)
        session = self.client.session
        session[sessions.PROVED] = int(time.time()) - proved if proved is not None else None
        session.save()
        self.path = f"/approvals/{request.pk}/"

    def text(self) -> str:
        return self.client.get(self.path).content.decode()

    def question(self) -> dict[str, Any]:
        asked: dict[str, Any] = json.loads(self.client.post(f"{self.path}passkey").content)
        return asked

    def answer(self, answer: str = "approve", **fields: str) -> Any:
        return self.client.post(self.path, {"answer": answer, **fields})

    def state(self) -> str:
        self.request.refresh_from_db()
        return self.request.state


def give_passkey(person: User) -> Authenticator:
    device, session = Authenticator(ORIGIN), Client().session
    options = json.loads(passkeys.question_to_register(session, person))
    passkeys.register(session, person, name="laptop", answer=device.create(options))
    return device


def test_a_fresh_sign_in(ask: Ask, dana: User, asking: Callable[[str], None]) -> None:
    asking("recent")
    for proved in (None, sessions.RECENT + 5):
        page = Page(ask(), dana, proved=proved)
        assert "Confirm that it is you" in page.text()
        assert 'value="approve"' not in page.text()
        refused = page.answer()
        assert (refused.status_code, "older than five minutes" in refused.content.decode()) == (409, True)
        assert page.state() == "PENDING"
    page = Page(ask(), dana, proved=10)
    assert 'value="approve"' in page.text()
    assert page.answer().status_code == 302
    assert page.state() == "APPROVED"
    assert '"proof":"a fresh sign-in"' in Entry.objects.get(kind="approval.approved").canonical


def test_a_passkey(ask: Ask, dana: User, asking: Callable[[str], None]) -> None:
    asking("passkey")
    page = Page(ask(), dana, proved=0)
    assert "you have none yet" in page.text()
    device = give_passkey(dana)
    assert 'data-passkey="get"' in page.text()
    assert page.answer().status_code == 409
    assert page.answer(passkey=device.get(page.question())).status_code == 302
    assert page.state() == "APPROVED"
    assert '"proof":"passkey laptop"' in Entry.objects.get(kind="approval.approved").canonical


def test_a_passkeys_answer_is_about_one_request(ask: Ask, dana: User, asking: Callable[[str], None]) -> None:
    asking("passkey")
    device = give_passkey(dana)
    page = Page(ask(), dana)
    other = ask(binding="cd" * 32)
    answer = device.get(page.question())
    page.path = f"/approvals/{other.pk}/"
    refused = page.answer(passkey=answer)
    assert (refused.status_code, "not the right one" in refused.content.decode()) == (409, True)
    other.refresh_from_db()
    assert other.state == "PENDING"


def test_a_no_needs_no_proof(ask: Ask, dana: User, asking: Callable[[str], None]) -> None:
    for kind in ("recent", "passkey"):
        asking(kind)
        page = Page(ask(), dana)
        assert page.answer("reject").status_code == 302
        assert page.state() == "REJECTED"


def test_the_link_alone_is_not_enough(ask: Ask, dana: User, owner: User, asking: Callable[[str], None]) -> None:
    asking("recent")
    path = re.sub("^.*?(?=/approvals/)", "", links.approver_url(ask().pk, dana.pk, int(time.time()) + 60))
    for answer in (Client().get(path), Client().post(path, {"answer": "approve"})):
        assert unquote(answer["Location"]) == f"/login?next={path}"
    stranger = Client()
    stranger.force_login(owner)
    assert (stranger.get(path).status_code, stranger.post(path, {"answer": "approve"}).status_code) == (403, 403)
    page = Page(ApprovalRequest.objects.get(), dana, proved=1)
    page.path = path
    assert page.answer().status_code == 302
    assert page.state() == "APPROVED"


def test_only_the_page_can_take_a_proof(ask: Ask, dana: User, asking: Callable[[str], None]) -> None:
    asking("passkey")
    request = ask()
    page = Page(request, dana, proved=1)
    refused = page.client.post(f"/api/v1/approvals/{request.pk}/approve", {}, content_type="application/json")
    assert (refused.status_code, refused["Content-Type"]) == (403, "application/problem+json")
    assert links.request_url(request.pk) in refused.json()["detail"]
    with pytest.raises(CommandError, match="asks for a passkey"):
        call_command("approvals", "approve", str(request.pk), "--as", "dana", stdout=StringIO())
    with pytest.raises(services.Refused, match="asks for a passkey"):
        services.decide(request, actor=dana, approve=True)
    assert page.state() == "PENDING"


def test_a_proof_of_something_else_is_none(ask: Ask, dana: User, owner: User, asking: Callable[[str], None]) -> None:
    asking("passkey")
    request = ask()
    for proof in (
        step_up.Proof("recent", request.pk, dana.pk, "x"),
        step_up.Proof("passkey", ask(binding="cd" * 32).pk, dana.pk, "x"),
        step_up.Proof("passkey", request.pk, owner.pk, "x"),
    ):
        with pytest.raises(services.Refused):
            services.decide(request, actor=dana, approve=True, proof=proof)


def test_others_may_not_even_ask(ask: Ask, asking: Callable[[str], None]) -> None:
    asking("passkey")
    page = Page(ask(), User.objects.create(username="eve"))
    assert page.client.post(f"{page.path}passkey").status_code == 404
    assert Client().post(f"{page.path}passkey").status_code == 302
    assert page.client.get(f"{page.path}passkey").status_code == 405
