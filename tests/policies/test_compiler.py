"""The bundle as docs/contracts.md §1 has it, loaded by the core."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.contrib.postgres.fields import ArrayField
from django.db.models import CharField
from django.utils import timezone

from approvals.models import Workflow
from controlplane import services
from controlplane.models import BundleVersion, Connection, Grant, OidcIssuer, Subject, User
from policies import compiler
from policies.models import MaskingRule, StatementRule
from proxy.policy.bundle import Bundle
from proxy.policy.payload import LONGEST
from tests.policies.conftest import ACTOR

pytestmark = pytest.mark.django_db


def content() -> dict:
    return compiler.compile_content(timezone.now())


def test_canonical_and_stable(bot: Subject, grant: Grant) -> None:
    text = compiler.canonical(content(), 7)
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert compiler.content_of(text) == content() == content()
    assert json.loads(text)["serial"] == 7


def test_the_core_loads_everything(bot: Subject, grant: Grant, crm: Connection, agents: Group) -> None:
    workflow = services.save(Workflow(name="owners"), actor=ACTOR)
    crm.unanalyzable, crm.unanalyzable_workflow = "approve", workflow
    crm.max_sessions, crm.max_sessions_per_subject, crm.idle_timeout = 50, 5, 900
    services.save(crm, actor=ACTOR)
    rule = StatementRule(name="r", when={"actions": ["delete"], "groups": ["agents"]}, then="approve", workflow=workflow, message="Ask.")
    services.save(rule, actor=ACTOR)
    mask = MaskingRule(name="m", columns=["*.*.ssn"], method={"name": "partial", "first": 0, "last": 4}, lookups=True)
    services.save(mask, actor=ACTOR, links={"connections": [crm], "cleared_groups": [agents]})
    bundle = Bundle.load(BundleVersion.objects.first().payload.encode(), services.connection_secrets())
    assert bundle.connection("crm").unanalyzable.approve == "owners"
    limited = bundle.connection("crm")
    assert (limited.max_sessions, limited.max_sessions_per_subject, limited.idle_timeout) == (50, 5, 900)
    assert bundle.rules[0].workflow == "owners"
    assert bundle.masking_on("crm")[0].cleared[0].groups == ("agents",)
    assert bundle.grants_on("crm")[0].actions == ("select",)


def test_the_core_loads_names_as_long_as_the_tables_hold_them() -> None:
    """Or the change that brings one could not be published, for a reason that nobody who reads the form expects."""

    def longest(model: type[Any], **given: Any) -> Any:
        row = model(**given)
        for field in model._meta.get_fields():
            if isinstance(field, ArrayField) and field.name not in given:
                setattr(row, field.name, ["x" * field.base_field.max_length])
            elif isinstance(field, CharField) and field.max_length and not field.choices and field.name not in given:
                setattr(row, field.name, "x" * field.max_length)
        row.save()
        return row

    group, owner, workflow = longest(Group), longest(User), longest(Workflow)
    subject = longest(Subject, owner=owner, oidc_issuer=longest(OidcIssuer), certificate_common_name="")
    named = longest(Subject, name="y" * 63, oidc_issuer=None, oidc_subject="", certificate_uri="")
    subject.groups.add(group)
    for one in (subject, named):
        services.create_key(one, actor=ACTOR, publish=False)
    connection = longest(Connection, unanalyzable="approve", unanalyzable_workflow=workflow)
    services.ensure_credential(connection)
    Grant.objects.create(actions=["select"]).connections.add(connection)
    columns = ["a.b." + "x" * (LONGEST - 4)]
    longest(MaskingRule, columns=columns, method={"name": "redact"}).cleared_groups.add(group)
    longest(StatementRule, when={"groups": [group.name]}, then="approve", workflow=workflow)
    bundle = Bundle.load(compiler.canonical(content(), 1).encode(), services.connection_secrets())
    assert len(bundle.issuers[0].issuer) == 500
    assert len(bundle.subjects) == 2


def test_what_does_not_apply_is_left_out(bot: Subject, grant: Grant) -> None:
    services.create_key(bot, actor=ACTOR)
    later = timezone.now() + timedelta(days=2)
    grant.valid_until = timezone.now() + timedelta(days=1)
    services.save(grant, actor=ACTOR)
    assert len(content()["grants"]) == 1
    assert compiler.compile_content(later)["grants"] == []
    Subject.objects.update(enabled=False)
    assert content()["subjects"] == []


def test_a_mask_without_connections_is_for_all() -> None:
    services.save(MaskingRule(name="m", columns=["*.*.ssn"], method={"name": "redact"}), actor=ACTOR)
    assert content()["masking"][0]["connections"] is None


def test_who_may_approve_is_known(agents: Group) -> None:
    workflow = services.save(Workflow(name="owners"), actor=ACTOR, links={"approver_groups": [agents]})
    assert content()["workflows"][0]["has_approvers"] is False
    services.save(User(username="d", email="d@example.com", password="!", is_approver=True), actor=ACTOR, links={"groups": [agents]})
    assert json.loads(BundleVersion.objects.first().payload)["workflows"][0]["has_approvers"] is True
    assert content()["workflows"][0]["quorum"] == workflow.quorum


def test_no_query_per_row(crm: Connection, agents: Group, django_assert_max_num_queries) -> None:
    for number in range(10):
        subject = Subject.objects.create(name=f"bot-{number}")
        subject.groups.add(agents)
        Grant.objects.create(actions=["select"]).connections.add(crm)
        MaskingRule.objects.create(name=str(number), columns=["a.b.c"], method={"name": "redact"}).connections.add(crm)
    with django_assert_max_num_queries(18):
        content()


@pytest.mark.parametrize(("field", "kind"), [("certificate_uri", "uri"), ("certificate_common_name", "common_name")])
def test_a_subjects_certificate_reaches_the_workers(bot: Subject, field: str, kind: str) -> None:
    assert content()["subjects"][0]["certificate"] is None
    setattr(bot, field, "spiffe://corp/bot")
    services.save(bot, actor=ACTOR)
    assert content()["subjects"][0]["certificate"] == {kind: "spiffe://corp/bot"}
    subject = Bundle.load(BundleVersion.objects.first().payload.encode(), {}).subject("report-bot")
    assert subject is not None
    assert getattr(subject.certificate, kind) == "spiffe://corp/bot"
