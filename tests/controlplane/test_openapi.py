"""Schemathesis asks every operation what its description allows, and what it does not: no answer may be a 5xx or undescribed.

A few questions for each in CI; ``make api-fuzz`` asks for longer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import Group
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from approvals import services as approval_services
from approvals.models import BreakGlass, ShapeApproval, Vote, Workflow
from audit import sealing, web_exports
from audit import services as audit_services
from audit.models import Entry, Session, Statement
from controlplane import access_tokens, services
from controlplane.models import (
    AccessToken,
    BundleVersion,
    Connection,
    EnrolmentToken,
    Grant,
    OidcIssuer,
    Subject,
    User,
    Worker,
)
from controlplane.wsgi import application
from policies.models import MaskingRule, StatementRule
from tests.approvals.conftest import PREVIEW, payload
from tests.audit.conftest import Process
from tests.controlplane.conftest import ACTOR, EnrolledWorker

EXAMPLES = int(os.environ.get("TIDEGATE_TEST_API_EXAMPLES", "3"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

pytestmark = pytest.mark.django_db


@contextmanager
def one_connection() -> Iterator[None]:
    """All questions of a test are in its transaction, as Django's own client sees to."""
    ended = (request_started, request_finished)
    for signal in ended:
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in ended:
            signal.connect(close_old_connections)


@pytest.fixture
def token(db: None) -> str:
    everybody = User.objects.create(username="all", email="all@example.com", is_superuser=True, is_approver=True, is_auditor=True)
    return access_tokens.create(everybody, name="schemathesis", scopes=AccessToken.SCOPES, days=1)[1]


def problems_of(operation: Any, known: dict[str, Any], headers: dict[str, str]) -> list[str]:
    """What is wrong with the answers of one operation, each asked of the same rows; half of the questions are about one that exists."""
    parts = parts_of(operation, known)
    how = settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=EXAMPLES < 10, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip

    @how
    @given(case=operation.as_strategy(), existing=booleans())
    def ask(case: schemathesis.Case, existing: bool) -> None:
        if existing and parts:
            case.path_parameters = parts
        with transaction.atomic():
            case.call_and_validate(headers=headers, checks=CHECKS)
            transaction.set_rollback(True)

    try:
        if parts is not None and operation.method == "get":  # first a plain question about what is there
            answer = operation.Case(path_parameters=parts).call_and_validate(headers=headers, checks=CHECKS)
            assert answer.status_code == 200, (operation.label, answer.text)
        ask()
    except (FailureGroup, Failure) as found:
        return [f"{operation.label}: {found}"]
    return []


def parts_of(operation: Any, known: dict[str, Any]) -> dict[str, str] | None:
    """What stands in the operation's address where it is about something that exists; None: nothing does."""
    path = operation.path.removeprefix("/api/v1/")
    section = max((section for section in known if path.startswith(f"{section}/")), key=len, default=None)
    if section is None:
        return None
    return {part.name: known["subjects" if part.name == "subject_id" else section] for part in operation.path_parameters}


@pytest.fixture
def policy(token: str, agents: Group, crm: Connection, bot: Subject, grant: Grant, worker: EnrolledWorker) -> dict[str, Any]:
    """What an admin sets, a row of each kind."""
    workflow = Workflow(name="owners", shapes=True)
    services.save(workflow, actor=ACTOR, links={"approvers": [User.objects.get(username="all")]})
    mask = services.save(MaskingRule(name="ssn", columns=["*.*.ssn"], method={"name": "redact"}), actor=ACTOR)
    rule = services.save(StatementRule(name="no", when={"actions": ["drop"]}, then="deny"), actor=ACTOR)
    issuer = OidcIssuer(name="example", issuer="https://id.example.com", audience="tidegate", algorithms=["RS256"])
    services.save(issuer, actor=ACTOR)
    services.create_key(bot, actor=ACTOR)
    rows = {"groups": agents, "connections": crm, "subjects": bot, "grants": grant, "workflows": workflow, "masking-rules": mask}
    rows |= {"statement-rules": rule, "workers": Worker.objects.get(), "users": User.objects.get(username="all"), "oidc-issuers": issuer}
    rows |= {"enrolment-tokens": EnrolmentToken.objects.get(), "subjects/{subject_id}/keys": bot.keys.get()}
    return {section: row.pk for section, row in rows.items()} | {"bundles": BundleVersion.objects.latest("serial").serial}


@pytest.fixture
def evidence(policy: dict[str, Any], bot: Subject) -> dict[str, Any]:
    """A request with all that can be told of one, and what auditors read and keep."""
    process, everybody = Process("host-b"), User.objects.get(username="all")
    asked = payload(SimpleNamespace(row=process.worker), subject=bot.name, preview=PREVIEW, bound=12)
    request = approval_services.open_request(asked, process.worker)
    Vote.objects.create(request=request, user=everybody, approve=True)
    BreakGlass.objects.create(request=request, user=everybody, reason="It burns.")
    shape = ShapeApproval.objects.create(
        request=request, shape="s", subject=bot.name, connection="crm", workflow=request.workflow, granted_by="all",
        expires_at=timezone.now() + timedelta(hours=1), limit=5,
    )  # fmt: skip
    process.ship(process.session("DELETE FROM crm.orders", subject=bot.name, decision="approve", approval=str(request.pk)))
    saved = audit_services.save_report(actor=everybody, name="mine", shared=False, report="access", parameters={})
    export = web_exports.ask_report(actor=everybody, kind="access", form="csv", parameters={})
    web_exports.make(export.pk)
    sealing.seal()
    return {
        "approvals": request.pk, "approved-shapes": shape.pk, "audit/statements": Statement.objects.get().pk,
        "audit/sessions": Session.objects.get().pk, "audit/entries": Entry.objects.latest("pk").pk, "audit/exports": export.pk,
        "audit/saved-reports": saved.pk, "audit/reports": "access", "audit/checkpoints": None,
    }  # fmt: skip


@pytest.fixture
def known(policy: dict[str, Any], evidence: dict[str, Any]) -> dict[str, Any]:
    """One row of each kind, by the beginning of its addresses."""
    return {section: str(key) for section, key in (policy | evidence).items()}


def test_every_answer_is_described(token: str, known: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    with one_connection():
        described = schemathesis.openapi.from_wsgi("/api/v1/schema?format=json", application, headers=headers)
        operations = [found.ok() for found in described.get_all_operations()]
        assert len(operations) > 60
        found = [problem for operation in operations for problem in problems_of(operation, known, headers)]
    assert not found, "\n\n".join(found)
