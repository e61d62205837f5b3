"""The approver's pages: who sees what, and that only a POST by the right person decides."""

from __future__ import annotations

import re
import uuid
from urllib.parse import urlsplit

import pytest
from django.core import signing
from django.utils import timezone

from approvals import links, services
from approvals.models import ApprovalRequest, Vote
from approvals.states import State
from controlplane.models import User
from tests.approvals.conftest import person
from tests.approvals.test_services import overdue

pytestmark = pytest.mark.django_db


def link_of(request: ApprovalRequest, user: User) -> str:
    return urlsplit(links.approver_url(request.pk, user.pk, int(request.expires_at.timestamp()))).path


def answer(browser, path: str, choice: str, comment: str = ""):
    """Look at the page, then send its form with the CSRF token that it holds."""
    page = browser.get(path)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.content.decode())
    assert token, page.content.decode()
    return browser.post(path, {"answer": choice, "comment": comment, "csrfmiddlewaretoken": token[1]})


# --- the link -----------------------------------------------------------------------------------------------------------


def test_the_page_shows_everything_exactly(ask, dana, browser):
    request = ask(
        sql="DELETE  FROM t\n\tWHERE x = '<b>\u202e\u200b\u043e'",
        parameters=[{"n": 1, "oid": 25, "text": "  7 \u00a0"}, {"n": 2, "oid": 0, "text": None}],
    )
    page = browser.get(link_of(request, dana)).content.decode()
    assert "DELETE  FROM t\n\tWHERE x = &#x27;&lt;b&gt;" in page
    assert (
        '<span class="hidden" title="Right-to-left override">U+202E</span><span class="hidden" title="Zero width space">U+200B</span>'
        in page
    )
    assert 'class="foreign" title="U+043E Cyrillic small letter o"' in page
    assert "  7 <span" in page
    for part in (
        "support-bot",
        "api-key",
        "crm",
        "10.1.2.3:5555",
        "psql",
        "nightly",
        "deletes need a yes",
        "crm.customers.ssn",
        "NULL",
        "dana",
        "UTC",
        "waiting",
    ):
        assert part in page
    assert "\u202e" not in page


def test_a_leading_empty_line_is_shown(ask, dana, browser):
    page = browser.get(link_of(ask(sql="\n\nDROP TABLE t"), dana)).content.decode()
    assert "\n\n\nDROP TABLE t</pre>" in page  # HTML drops the one that follows <pre>


@pytest.mark.parametrize("method", ["get", "head", "options", "put", "delete", "patch"])
def test_only_a_post_decides(ask, dana, browser, method):
    request = ask()
    for extra in ("", "?answer=approve", "?answer=reject"):
        response = getattr(browser, method)(link_of(request, dana) + extra, headers={"Sec-Purpose": "prefetch"})
        assert response.status_code in ((200,) if method in ("get", "head") else (405, 403))
    request.refresh_from_db()
    assert request.state == State.PENDING
    assert not Vote.objects.exists()


def test_the_page_is_not_kept_by_caches(ask, dana, browser):
    response = browser.get(link_of(ask(), dana))
    assert "no-store" in response["Cache-Control"]
    assert response["Referrer-Policy"] == "same-origin"
    assert "'unsafe-inline'" not in response["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", response.content.decode())


def test_approving_by_the_link(ask, dana, browser):
    request = ask()
    link = link_of(request, dana)  # one link: the second at which it was signed is part of it
    response = answer(browser, link, "approve", "fine by me")
    assert (response.status_code, response["Location"]) == (302, link)
    request.refresh_from_db()
    assert (request.state, request.votes.get().user, request.comment) == (State.APPROVED, dana, "fine by me")
    result = browser.get(link_of(request, dana)).content.decode()
    assert "you approved this" in result
    assert "<button name=" not in result


def test_rejecting_by_the_link(ask, dana, browser):
    request = ask()
    answer(browser, link_of(request, dana), "reject", "no <b>way</b>")
    request.refresh_from_db()
    assert request.state == State.REJECTED
    assert "no &lt;b&gt;way&lt;/b&gt;" in browser.get(link_of(request, dana)).content.decode()


def test_a_post_without_the_csrf_token_decides_nothing(ask, dana, browser):
    request = ask()
    assert browser.post(link_of(request, dana), {"answer": "approve"}).status_code == 403
    assert not Vote.objects.exists()


def test_a_post_without_an_answer_decides_nothing(ask, dana, browser):
    assert answer(browser, link_of(ask(), dana), "maybe").status_code == 400
    assert not Vote.objects.exists()


def test_answering_twice_is_refused(ask, dana, browser, workflow):
    workflow.approvers.add(person("pat", is_approver=True))
    workflow.quorum = 2
    workflow.save()
    request = ask()
    path = link_of(request, dana)
    page = browser.get(path).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    assert browser.post(path, {"answer": "approve", "csrfmiddlewaretoken": token}).status_code == 302
    second = browser.post(path, {"answer": "reject", "csrfmiddlewaretoken": token})
    assert second.status_code == 409
    assert "answered this request already" in second.content.decode()


def test_forged_links_show_nothing(ask, dana, browser):
    request = ask()
    path = link_of(request, dana)
    pat = person("pat", is_approver=True)
    good = path.split("/")[-2]
    forged = [
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        link_of(request, pat).split("/")[-2].split(":")[0] + ":" + good.split(":", 1)[1],
        signing.dumps({"r": request.pk.hex, "u": dana.pk, "e": 2**40}),  # signed, for another purpose
        signing.dumps({"r": request.pk.hex}, salt=links.SALT),
        signing.dumps([1], salt=links.SALT),
        "x",
    ]
    for token in forged:
        response = browser.get(f"/approvals/r/{token}/")
        assert response.status_code == 404
        assert "DELETE" not in response.content.decode()


def test_an_expired_link_shows_nothing_and_decides_nothing(ask, dana, browser):
    request = overdue(ask)
    for response in (browser.get(link_of(request, dana)), browser.post(link_of(request, dana), {"answer": "approve"})):
        assert response.status_code in (403, 410)
        assert "DELETE" not in response.content.decode()
    assert not Vote.objects.exists()


@pytest.mark.parametrize("who", ["owner", "stranger", "left"])
def test_the_link_of_someone_who_may_not_decide_shows_nothing(ask, dana, owner, browser, who):
    request = ask()
    if who == "left":
        User.objects.filter(pk=dana.pk).update(is_active=False)
    user = {"owner": owner, "stranger": person("sam", is_approver=True), "left": dana}[who]
    response = browser.get(link_of(request, user))
    assert response.status_code == 403
    assert "DELETE" not in response.content.decode()


def test_the_link_counts_for_its_person_whoever_is_signed_in(ask, dana, owner, browser):
    request = ask()
    browser.force_login(owner)
    assert "signed in as olga" in browser.get(link_of(request, dana)).content.decode()
    answer(browser, link_of(request, dana), "approve")
    assert Vote.objects.get().user == dana


def test_a_link_for_a_request_that_does_not_exist(dana, browser):
    assert browser.get(urlsplit(links.approver_url(uuid.uuid4(), dana.pk, 2**40)).path).status_code == 404


# --- signed in ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def people(dana, owner, workflow) -> dict[str, User]:
    return {
        "dana": dana, "olga": owner, "sam": person("sam", is_approver=True), "ari": person("ari", is_auditor=True),
        "root": person("root", is_superuser=True), "gone": person("gone", is_superuser=True, is_active=False),
    }  # fmt: skip


@pytest.mark.parametrize(("who", "sees", "may_answer"), [
    ("dana", True, True), ("olga", True, False), ("ari", True, False), ("root", True, False), ("sam", False, False),
])  # fmt: skip
def test_who_sees_a_request(ask, people, browser, who, sees, may_answer):
    request = ask()
    browser.force_login(people[who])
    page = browser.get(f"/approvals/{request.pk}/")
    assert page.status_code == (200 if sees else 404)
    assert ('name="answer"' in page.content.decode()) == may_answer
    assert ("DELETE FROM crm.orders" in browser.get("/approvals/").content.decode()) == sees


def test_without_sign_in_there_is_only_the_sign_in_page(ask, browser):
    for path in ("/approvals/", f"/approvals/{ask().pk}/"):
        response = browser.get(path)
        assert response.status_code == 302
        assert response["Location"].startswith("/login")


def test_deciding_when_signed_in(ask, dana, browser):
    request = ask()
    browser.force_login(dana)
    answer(browser, f"/approvals/{request.pk}/", "approve")
    assert ApprovalRequest.objects.get().state == State.APPROVED


def test_the_owner_cannot_decide_when_signed_in(ask, owner, browser):
    request = ask()
    browser.force_login(owner)
    page = browser.get(f"/approvals/{request.pk}/").content.decode()
    assert "nobody approves their own request" in page
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    response = browser.post(f"/approvals/{request.pk}/", {"answer": "approve", "csrfmiddlewaretoken": token})
    assert response.status_code == 409
    assert ApprovalRequest.objects.get().state == State.PENDING


def test_the_inbox_shows_what_waits_by_default(ask, dana, browser, subject):
    waiting, decided = ask(connection="crm"), ask(connection="erp")
    services.decide(decided, actor=dana, approve=True)
    browser.force_login(dana)
    page = browser.get("/approvals/").content.decode()
    assert str(waiting.pk) in page
    assert str(decided.pk) not in page
    assert str(decided.pk) in browser.get("/approvals/?state=APPROVED").content.decode()
    both = browser.get("/approvals/?state=").content.decode()
    assert str(waiting.pk) in both
    assert str(decided.pk) in both


@pytest.mark.parametrize(("query", "count"), [
    ("connection=erp", 1), ("subject=SUPPORT", 3), ("sql=truncate", 1), ("sql=%00", 0), ("state=NOPE", 0), ("page=999", 3), ("page=x", 3),
])  # fmt: skip
def test_filters(ask, dana, browser, query, count):
    ask(), ask(connection="erp"), ask(sql="TRUNCATE t")
    browser.force_login(dana)
    response = browser.get(f"/approvals/?{query}")
    assert response.status_code == 200
    assert response.content.decode().count('<li class="panel">') == count


def test_many_requests_come_in_pages(ask, dana, browser):
    for _ in range(21):
        ask()
    browser.force_login(dana)
    first, second = browser.get("/approvals/?connection=crm"), browser.get("/approvals/?connection=crm&page=2")
    assert first.content.decode().count('<li class="panel">') == 20
    assert "connection=crm&amp;page=2" in first.content.decode()
    assert second.content.decode().count('<li class="panel">') == 1


def test_an_empty_inbox_says_so(dana, browser):
    browser.force_login(dana)
    assert "No statement waits" in browser.get("/approvals/").content.decode()


def test_a_request_that_is_over_says_so_before_the_beat_comes_by(ask, dana, browser):
    request = overdue(ask)
    assert request.expires_at < timezone.now()
    browser.force_login(dana)
    page = browser.get(f"/approvals/{request.pk}/").content.decode()
    assert "expired" in page
    assert 'name="answer"' not in page


def test_requests_that_differ_in_their_parameters_only_can_be_told_apart(ask, dana, browser):
    ask(parameters=[{"n": 1, "oid": 20, "text": "41"}])
    ask(binding="cd" * 32, parameters=[{"n": 1, "oid": 20, "text": "42"}, {"n": 2, "oid": 25, "text": None}])
    browser.force_login(dana)
    page = browser.get("/approvals/").content.decode()
    assert "$1 = 41<" in page
    assert "$1 = 42, $2 = NULL<" in page


def test_being_named_without_the_role_shows_nothing(ask, dana, browser):
    approval = ask()
    dana.is_approver = False
    dana.save()
    browser.force_login(dana)
    assert browser.get(f"/approvals/{approval.pk}/").status_code == 404
    assert "crm.orders" not in browser.get("/approvals/").content.decode()


def test_one_line_is_not_called_lines(ask, dana, browser):
    browser.force_login(dana)
    assert "1 line, 8 characters" in browser.get(f"/approvals/{ask(sql='SELECT 1').pk}/").content.decode()
