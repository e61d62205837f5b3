"""Schemathesis asks every operation what its description allows, and what it does not: no answer may be a 5xx or undescribed.

A few questions for each in CI; ``make api-fuzz`` asks for longer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import Group
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from approvals.models import Workflow
from controlplane import access_tokens, services
from controlplane.models import AccessToken, BundleVersion, Connection, Grant, Subject, User, Worker
from controlplane.wsgi import application
from policies.models import MaskingRule, StatementRule
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
    yield
    for signal in ended:
        signal.connect(close_old_connections)


@pytest.fixture
def token(db: None) -> str:
    everybody = User.objects.create(username="all", email="all@example.com", is_superuser=True, is_approver=True, is_auditor=True)
    return access_tokens.create(everybody, name="schemathesis", scopes=AccessToken.SCOPES, days=1)[1]


def problems_of(operation: Any, known: dict[str, Any], headers: dict[str, str]) -> list[str]:
    """What is wrong with the answers of one operation, each asked of the same rows; half of the questions are about one that exists."""
    section = operation.path.removeprefix("/api/v1/").split("/")[0]
    how = settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=EXAMPLES < 10, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip

    @how
    @given(case=operation.as_strategy(), existing=booleans())
    def ask(case: schemathesis.Case, existing: bool) -> None:
        if existing and section in known and case.path_parameters:
            case.path_parameters = dict.fromkeys(case.path_parameters, known[section])
        with transaction.atomic():
            case.call_and_validate(headers=headers, checks=CHECKS)
            transaction.set_rollback(True)

    try:
        ask()
    except (FailureGroup, Failure) as found:
        return [f"{operation.label}: {found}"]
    return []


@pytest.fixture
def known(agents: Group, crm: Connection, bot: Subject, grant: Grant, worker: EnrolledWorker) -> dict[str, Any]:
    """One row of each section that has any, by the first part of its address."""
    workflow = services.save(Workflow(name="owners"), actor=ACTOR, links={"approvers": [User.objects.get(username="all")]})
    mask = services.save(MaskingRule(name="ssn", columns=["*.*.ssn"], method={"name": "redact"}), actor=ACTOR)
    rule = services.save(StatementRule(name="no", when={"actions": ["drop"]}, then="deny"), actor=ACTOR)
    services.create_key(bot, actor=ACTOR)
    rows = {"groups": agents, "connections": crm, "subjects": bot, "grants": grant, "workflows": workflow}
    rows |= {"masking-rules": mask, "statement-rules": rule, "workers": Worker.objects.get(), "users": User.objects.get(username="all")}
    return {section: str(row.pk) for section, row in rows.items()} | {"bundles": BundleVersion.objects.latest("serial").serial}


def test_every_answer_is_described(token: str, known: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    with one_connection():
        described = schemathesis.openapi.from_wsgi("/api/v1/schema?format=json", application, headers=headers)
        operations = [found.ok() for found in described.get_all_operations()]
        assert len(operations) > 60
        found = [problem for operation in operations for problem in problems_of(operation, known, headers)]
    assert not found, "\n\n".join(found)
