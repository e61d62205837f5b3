"""Every address that the control plane answers at: who gets in, and how many queries that takes.

The committed baseline is every_address.json, a line for each; a new address fails here until it has one. After a change that is
meant, TIDEGATE_WRITE_ADDRESSES=1 writes it anew: read the difference like code, it says who sees what.

Nobody's browser has no session, a person's no role. Of the approvers only the first is one of the request's workflow; the owner
answers for the subject that the statements are of. A worker signs its requests, and people's programs send tokens.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models, transaction
from django.http import HttpResponseBase
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from approvals import links
from approvals import services as approval_services
from approvals.models import BreakGlass, Delivery, ShapeApproval, Workflow
from audit import sealing, services, web_exports
from audit.models import SavedReport, Statement
from controlplane import access_tokens, sessions
from controlplane import services as control
from controlplane.models import (
    AccessToken,
    ApiKey,
    Connection,
    EnrolmentToken,
    Grant,
    OidcIssuer,
    Passkey,
    Subject,
    User,
)
from policies.models import MaskingRule, Retention, StatementRule, WhatIf
from tests.approvals.conftest import payload
from tests.audit.conftest import Process

pytestmark = pytest.mark.django_db
BASELINE = Path(__file__).with_name("every_address.json")
PEOPLE: dict[str, dict[str, bool]] = {
    "person": {}, "owner": {}, "approver": {"is_approver": True}, "other approver": {"is_approver": True}, "auditor": {"is_auditor": True},
    "admin": {"is_superuser": True},
}  # fmt: skip
# What those see who have no account, or not yet.
OPEN = {
    "healthz", "login", "logout", "oidc_begin", "oidc_callback", "policy-schema", "admin:login", "admin:logout", "approvals:link",
    "worker-enrol",
}  # fmt: skip
# What workers only may ask.
WORKERS = {
    "worker-approval", "worker-approval-cancel", "worker-approval-claim", "worker-approval-consume", "worker-audit", "worker-bundle",
    "worker-catalog", "worker-heartbeat",
}  # fmt: skip
OUT = {"logout", "admin:logout"}  # what leads to the sign-in although anybody may ask for it


@pytest.fixture(autouse=True)
def _no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session is written anew every minute, which would be one query more."""
    monkeypatch.setattr(sessions, "SEEN_EVERY", 3600)


def test_who_gets_in_everywhere_and_with_how_many_queries(office: dict[str, Any]) -> None:
    found: dict[str, dict[str, Any]] = {}
    for name, address in addresses(office):
        who, queries = [], 0
        for person, client in office["clients"].items():
            connection.queries_log.clear()  # which has an end
            with CaptureQueriesContext(connection) as counted:
                answer = ask(client, address)
            assert answer.status_code != 500, (name, person)
            if is_in(name, answer):
                who.append(person)
                queries = len(counted)  # of the last, who sees most
        found[name] = {"who": ", ".join(who), "queries": queries}
    if os.environ.get("TIDEGATE_WRITE_ADDRESSES"):
        lines = [f"{json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found)]
        BASELINE.write_text("{\n  " + ",\n  ".join(lines) + "\n}\n", encoding="utf-8")
    assert found == json.loads(BASELINE.read_text(encoding="utf-8"))


def test_what_the_baseline_can_never_say() -> None:
    """Whatever is written down there: what needs an account, administration, a worker."""
    for name, line in json.loads(BASELINE.read_text(encoding="utf-8")).items():
        who = set(filter(None, line["who"].split(", ")))
        assert "nobody" not in who or name in OPEN, name
        if name.startswith("admin:") and name not in OPEN | {"admin:jsi18n"}:
            assert who <= {"admin"}, name
        if name in WORKERS:
            assert who <= {"worker"}, name


def test_nobody_but_admins_writes_by_rest(office: dict[str, Any]) -> None:
    """Whoever decides requests or orders files writes these; a no is told before the content is looked at."""
    theirs = ("approval-", "approved-shape-", "export-", "saved-report-")
    for name, address in addresses(office):
        if not address.startswith("/api/v1/") or name.startswith(theirs) or name in WORKERS | {"worker-enrol"}:
            continue
        for person, client in office["clients"].items():
            for method in ("post", "put", "patch", "delete"):
                if person not in ("admin", "token"):  # which is the admin's
                    answer = getattr(client, method)(address, {}, content_type="application/json")
                    assert answer.status_code in (401, 403, 404, 405), (name, person, method)


def is_in(name: str, answer: HttpResponseBase) -> bool:
    where = answer.headers.get("Location", "")
    if answer.status_code in (301, 302) and name not in OUT:
        return not where.startswith(("/login", "/admin/login"))
    return answer.status_code not in (401, 403, 404, 405)


def ask(client: Client, address: str) -> HttpResponseBase:
    """By GET, or where that is not a method by a POST that says nothing; what that changes is taken back."""
    kept = {name: morsel.value for name, morsel in client.cookies.items()}
    with transaction.atomic():
        answer = client.get(address)
        if answer.status_code == 405:
            answer = client.post(address, content_type="application/json") if address.startswith("/api/") else client.post(address)
        transaction.set_rollback(True)
    client.cookies = SimpleCookie(kept)
    return cast("HttpResponseBase", answer)


def addresses(office: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each name of the URL configuration once, with an address of something that is there."""
    seen = set()
    for name, pattern in patterns(get_resolver()):
        if name and name not in seen:
            seen.add(name)
            yield (
                name,
                reverse(
                    name, kwargs={key: office["parts"].get(f"{name} {key}") or part(key, name, pattern, office) for key in keys(pattern)}
                ),
            )


def patterns(resolver: URLResolver, space: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from patterns(pattern, f"{space}{pattern.namespace}:" if pattern.namespace else space)
        elif pattern.name:
            yield space + pattern.name, pattern


def keys(pattern: URLPattern) -> list[str]:
    return [key for key in pattern.pattern.regex.groupindex if key != "format"]


def part(key: str, name: str, pattern: URLPattern, office: dict[str, Any]) -> Any:
    """The first object of the model that an address of the admin site or of the REST interface is about."""
    view: Any = getattr(pattern.callback, "cls", None)
    if office["parts"].get(key):
        return office["parts"][key]
    if view is not None:
        return getattr(first(view.queryset.model), key)
    found = [model for model in admin.site._registry if name.startswith(f"admin:{model._meta.app_label}_{model._meta.model_name}_")]
    assert found, f"{name}: say in office what its {key} is"
    return first(found[0]).pk


def first(model: type[models.Model]) -> models.Model:
    found = model._default_manager.order_by("pk").first()
    assert found is not None, f"the office has no {model.__name__}"
    return found


class Worker(Client):
    """A client that signs each request anew, since its tokens live for less than a minute."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self.process = process

    def generic(self, *args: Any, **options: Any) -> Any:
        return super().generic(*args, **options | {"headers": {"Authorization": self.process.bearer()}})


@pytest.fixture
def office() -> dict[str, Any]:
    """Something on every page; browsers of the people; what the addresses are about where the name of one does not say it."""
    process, now = Process(), timezone.now()
    ContentType.objects.get_for_models(*apps.get_models())  # a process keeps these
    process.worker.sealing_key = base64.b64encode(X25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    process.worker.save()
    people = {
        name: User.objects.create(username=name.replace(" ", "-"), email=f"{name[:5]}@example.com", **roles)
        for name, roles in PEOPLE.items()
    }
    root, person, approver = people["admin"], people["person"], people["approver"]
    subject = Subject.objects.create(name="support-bot", kind="agent", owner=people["owner"])
    crm = control.save(Connection(name="crm", host="db.example.com", dbname="crm", user="gateway", tls_mode="disable"), actor=root)
    control.set_password(crm, password="target-password", actor=root)
    grant = Grant.objects.create(actions=["select"])
    grant.subjects.add(subject)
    grant.connections.add(crm)
    Group.objects.create(name="data-owners")
    OidcIssuer.objects.create(name="example", issuer="https://id.example.com", audience="tidegate", algorithms=["RS256"])
    ApiKey.objects.create(
        subject=subject, key_id="k1", prefix="tgk_", last_four="last", stored_key=b"s" * 32, server_key=b"s" * 32, created_by="root"
    )
    Passkey.objects.create(user=person, name="telephone", credential_id=b"1", public_key=b"1")
    EnrolmentToken.objects.create(name="host-a", digest="d", created_by="root", expires_at=now + timedelta(days=1))
    MaskingRule.objects.create(name="ssn", columns=["*.*.ssn"], method={"name": "redact"})
    StatementRule.objects.create(name="no ddl", when={"actions": ["drop"]}, then="deny")
    Retention.objects.create(pk=1, entries_days=30)
    workflow = Workflow.objects.create(name="owners", shapes=True)
    workflow.approvers.add(approver)
    control.publish_bundle(actor=root)
    WhatIf.objects.create(created_by=root, draft=b"", since=now, until=now, state=WhatIf.State.FAILED)
    access_tokens.create(person, name="theirs", scopes=["read"], days=1)
    _, token = access_tokens.create(root, name="everything", scopes=list(AccessToken.SCOPES), days=1)

    request = approval_services.open_request(payload(SimpleNamespace(row=process.worker)), process.worker)
    Delivery.objects.get_or_create(request=request, user=approver)
    shape = ShapeApproval.objects.create(
        request=request, shape="s", subject=subject.name, connection="crm", workflow=workflow, granted_by="approver",
        expires_at=now + timedelta(hours=1), limit=5,
    )  # fmt: skip
    BreakGlass.objects.create(request=request, user=approver, reason="It burns.")
    process.ship(process.session("DELETE FROM crm.customers", decision="approve", approval=str(request.pk)))
    services.save_report(actor=people["auditor"], name="mine", shared=False, report="access", parameters={})
    export = web_exports.ask_report(actor=people["auditor"], kind="access", form="csv", parameters={})
    web_exports.make(export.pk)
    sealing.seal()

    clients = {"nobody": Client(), **{name: Client() for name in people}, "token": Client(headers={"Authorization": f"Bearer {token}"})}
    for name, user in people.items():
        clients[name].force_login(user)
    clients["worker"] = Worker(process)
    statement = Statement.objects.get()
    of_request = ("approvals:detail", "approvals:passkey_question", "worker-approval", "worker-approval-consume", "worker-approval-cancel")
    parts = {
        "app_label": "controlplane",
        "content_type_id": ContentType.objects.get_for_model(User).pk, "subject_id": subject.pk, "kind": "access",
        "session": statement.session, "token": links.token_for(request.pk, approver.pk, int(time.time()) + 3600), "url": "nothing",
        "passkey_change pk": person.passkeys.get().pk, "token_remove pk": person.access_tokens.get().pk,
        "approvals:revoke-shape pk": shape.pk, "audit:statement pk": statement.pk, "audit:proof pk": statement.pk,
        "audit:entry pk": statement.pk, "audit:delete-saved pk": SavedReport.objects.get().pk, "audit:download pk": export.pk,
        "admin:view_on_site object_id": subject.pk, "admin:auth_user_password_change id": person.pk,
        "admin:what-if pk": WhatIf.objects.get().pk, **{f"{name} pk": request.pk for name in of_request},
    }  # fmt: skip
    return {"clients": clients, "parts": parts}
