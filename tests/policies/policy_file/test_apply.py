"""A policy file applied: a plan, one transaction, one entry for each change, and nothing the second time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.apps import apps

from approvals.models import ApprovalRequest, Vote, Workflow
from approvals.webhooks import opened
from audit.models import Entry
from controlplane import services
from controlplane.models import ApiKey, BundleVersion, Connection, Grant, Subject, User
from policies.models import MaskingRule, Retention, StatementRule
from policies.policy_file import apply as apply_module
from policies.policy_file.apply import apply_files
from policies.policy_file.document import PolicyFileError
from proxy.policy.bundle import Bundle
from tests.certificates import issued
from tests.policies.conftest import ACTOR, WEBHOOK_SECRET, apply, refused

pytestmark = pytest.mark.django_db
CRM = "{name: crm, host: db, dbname: crm, user: u"


def test_the_example(example: Path) -> None:
    entries = Entry.objects.filter(kind="admin.changed")
    first = apply_files([example], actor=ACTOR)
    assert {step.sign for step in first.steps} == {"+"}
    assert len(first.steps) == 23
    # One entry each; a connection's password and a subject's key are entries of their own.
    assert entries.count() == 23 + 2
    second = apply_files([example], actor=ACTOR)
    assert second.steps == ()
    assert entries.count() == 23 + 2
    assert BundleVersion.objects.count() == 1
    bundle = Bundle.load(BundleVersion.objects.get().payload.encode(), services.connection_secrets())
    assert bundle.password("crm") == "target-password"
    assert bundle.subject("report-bot").scram is not None
    assert bundle.subject_by_token("corp", "client:support-bot").name == "support-bot"
    assert bundle.connection_for("crm/tenant_7")[1] == "tenant_7"
    assert [rule.name for rule in bundle.rules if rule.shadow] == ["try before enforcing"]
    assert bundle.workflow("owners").has_approvers
    assert Retention.objects.get().entries_days == 400
    assert opened(Workflow.objects.get().notify["webhook"]) == {
        "url": "https://hooks.example.com/t0ken", "secret": WEBHOOK_SECRET, "format": "generic",
    }  # fmt: skip


def test_secrets_are_nowhere(example: Path) -> None:
    apply_files([example], actor=ACTOR)
    kept = json.dumps(list(Entry.objects.values("canonical", "disclosures"))) + BundleVersion.objects.get().payload
    kept += json.dumps(list(Workflow.objects.values("notify")))
    for secret in ("target-password", "abcdefghijklmnopqrstuvwxyz0123456789", WEBHOOK_SECRET, "t0ken"):
        assert secret not in kept
    assert Workflow.objects.get().notify["webhook"]["secret"] not in json.dumps(list(Entry.objects.values("disclosures")))


def test_two_at_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one committed between the plan and the change."""
    plan = apply_module.make_plan

    def overtaken(*arguments: object) -> object:
        steps = plan(*arguments)
        apps.get_model("auth", "Group").objects.bulk_create([apps.get_model("auth", "Group")(name="agents")])
        return steps

    monkeypatch.setattr(apply_module, "make_plan", overtaken)
    monkeypatch.setattr("django.contrib.auth.models.Group.full_clean", lambda self: None)
    assert refused("groups: [agents]") == ["policy: somebody else made or removed the same at this moment; apply it again"]


def test_a_dry_run_changes_nothing(example: Path) -> None:
    outcome = apply_files([example], actor=ACTOR, dry_run=True)
    assert len(outcome.steps) == 23
    for model in (Subject, Connection, Grant, MaskingRule, StatementRule, BundleVersion, Entry, ApiKey):
        assert not model.objects.exists(), model


def test_a_dry_run_finds_what_the_real_one_would() -> None:
    assert any("key: An API key has 32" in line for line in refused("subjects: [{name: b, key: short}]"))
    assert any(
        "policy.yaml:2" in line and "host name" in line for line in refused("connections: [{name: c, host: 'a b', dbname: d, user: u}]")
    )


def test_one_mistake_and_nothing_is_applied() -> None:
    refused("groups: [agents]\nconnections: [{name: c, host: 'a b', dbname: d, user: u}]")
    assert not apps.get_model("auth", "Group").objects.exists()
    assert not Entry.objects.filter(kind="admin.changed").exists()


def test_only_what_differs_is_changed() -> None:
    apply(f"groups: [agents]\nconnections: [{CRM}, max_sessions: 5}}]")
    assert apply(f"groups: [agents]\nconnections: [{CRM}, port: 5433, max_sessions: 5}}]") == ["~ change connection crm: port"]
    assert apply(f"connections: [{CRM}}}]") == ["~ change connection crm: port, max_sessions"]  # what is left out is as by default
    last = Entry.objects.filter(kind="admin.changed").latest("id")
    assert json.loads(last.disclosures)["before"]["value"] == {"max_sessions": 5, "port": 5433}


def test_secrets_change_when_they_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"connections: [{CRM}, password_env: PW}}]\nsubjects: [{{name: b, key_env: KEY}}]"
    monkeypatch.setenv("PW", "one")
    monkeypatch.setenv("KEY", "abcdefghijklmnopqrstuvwxyz0123456789")
    apply(text)
    assert apply(text) == []
    monkeypatch.setenv("PW", "two")
    monkeypatch.setenv("KEY", "9876543210abcdefghijklmnopqrstuvwxyz")
    assert apply(text) == ["~ change subject b: key", "~ change connection crm: password"]
    assert services.connection_secrets()["connections"]["crm"]["password"] == "two"
    assert ApiKey.objects.count() == 2  # the earlier key goes on until it is revoked
    assert apply(f"connections: [{CRM}}}]\nsubjects: [{{name: b}}]") == []  # a file without secrets takes none away


def test_a_client_certificate_and_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, renewed = issued("tidegate"), issued("tidegate")
    certificate, key = tmp_path / "client.crt", tmp_path / "client.key"
    text = f"connections:\n - {CRM}, tls: {{mode: require, client_cert_file: {certificate}, client_key_file: {key}}}}}"

    def given(cert: str, secret: str) -> str:
        certificate.write_text(cert)
        key.write_text(secret)
        return text

    where = "policy.yaml:3: + create connection crm: tls_client_"
    assert refused(given(own.certificate, renewed.key)) == [f"{where}key: The client certificate and its key do not fit together."]
    assert refused(given(own.certificate, own.encrypted_key()))[0].startswith(f"{where}key: The client certificate's key is encrypted")
    assert refused(given(own.certificate + own.key, own.key))[0].startswith(f"{where}cert: There is a private key in this")
    without = given(own.certificate, own.key).replace(f", client_key_file: {key}", "")
    assert refused(without) == [f"{where}key: The client certificate needs its private key."]
    (unreadable,) = refused(text.replace("client.key", "missing.key"))
    assert unreadable == f"policy.yaml:3: cannot read {tmp_path}/missing.key: No such file or directory"
    assert apply(text) == ["+ create connection crm"]
    assert apply(text) == []
    assert apply(given(renewed.certificate, renewed.key)) == ["~ change connection crm: tls, client_key"]
    monkeypatch.setenv("CLIENT_KEY", renewed.key + "\n")
    assert apply(text.replace(f"client_key_file: {key}", "client_key_env: CLIENT_KEY")) == []
    assert apply(without) == [], "a file without the key leaves the one that is kept"
    given(own.certificate, "")
    assert refused(without) == [
        "policy.yaml:3: ~ change connection crm: tls: tls_client_key: The client certificate and its key do not fit together."
    ]
    bundle = Bundle.load(BundleVersion.objects.first().payload.encode(), services.connection_secrets())
    assert bundle.client_key("crm") == renewed.key.strip()
    assert apply(f"connections: [{CRM}, tls: {{mode: require}}}}]") == ["~ change connection crm: tls"]
    assert services.connection_secrets()["connections"]["crm"]["client_key"] is None


def test_grants_meet_by_what_they_say() -> None:
    base = f"groups: [a, b]\nconnections: [{CRM}}}]\n"
    one, two = "{to: {groups: [a]}, connections: [crm], actions: [select]}", "{to: {groups: [b]}, connections: [crm], actions: [select]}"
    apply(f"{base}grants: [{one}, {two}]")
    assert apply(f"{base}grants: [{two}, {one}]") == []
    more = one.replace("[select]", "[select, insert]")
    assert apply(f"{base}grants: [{more}, {two}]") == ["~ change grant to group a on crm: insert, select: actions"]
    assert apply(f"{base}grants: [{more}]", prune=True) == ["- remove grant to group b on crm: select"]
    assert Grant.objects.count() == 1


def test_prune_removes_what_is_not_named() -> None:
    User.objects.create(username="root", is_superuser=True)
    people = "groups: [a]\nusers: [{username: d}]\nsubjects: [{name: s, groups: [a], owner: d}]"
    apply(f"{people}\nconnections: [{CRM}}}]\nretention: {{entries: 1d}}")
    apply("rules: [{name: r, when: {groups: [a], subjects: [s], connections: [crm]}, then: deny}]")
    assert apply("groups: [b]", prune=True) == [
        "+ create group b",
        "- remove retention of entries",
        "- remove rule r",
        "- remove connection crm",
        "- remove subject s",
        "- remove user d",
        "- remove group a",
    ]
    assert [user.username for user in User.objects.all()] == ["root"]  # or nobody could sign in any more
    assert apply("groups: [b]", prune=True) == []


def test_a_person_in_the_evidence_is_closed_instead_of_removed() -> None:
    apply("users: [{username: d, email: d@example.com, roles: [approver]}]\nworkflows: [{name: w, approvers: {users: [d]}}]")
    user = User.objects.get(username="d")
    request = ApprovalRequest.objects.create(
        binding="0" * 64, workflow=Workflow.objects.get(), workflow_name="w", subject="s", connection="c", sql="", worker="0" * 32,
        expires_at="2030-01-01T00:00:00Z",
    )  # fmt: skip
    Vote.objects.create(request=request, user=user, approve=True)
    assert "- remove user d" in apply("groups: []", prune=True)
    user.refresh_from_db()
    assert (user.is_active, user.roles) == (False, [])
    assert apply("groups: []", prune=True) == []


def test_what_is_still_used_is_not_removed() -> None:
    apply("groups: []\nusers: [{username: d}]")
    Subject.objects.create(name="s", owner=User.objects.get())
    assert apply("subjects: [{name: s}]\nusers: []", prune=True) == ["~ change subject s: owner", "- remove user d"]


def test_several_files_are_one_policy(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("version: 1\ngroups: [agents]\n")
    two.write_text("version: 1\nsubjects: [{name: b, groups: [agents]}]\n")
    assert len(apply_files([one, two], actor=ACTOR).steps) == 2
    with pytest.raises(PolicyFileError, match=r"two\.yaml:2: 'b' is already in subjects, at .*two\.yaml:2"):
        apply_files([one, two, two], actor=ACTOR)


def test_an_impossible_whole_is_refused() -> None:
    """What only the compiled bundle shows."""
    StatementRule.objects.create(name="odd", when={"nonsense": 1}, then="deny")
    (problem,) = refused("groups: [a]")
    assert problem.startswith("policy: No worker could use")


def test_a_switched_off_subject_stays_off() -> None:
    apply("subjects: [{name: b}]")
    Subject.objects.update(enabled=False)
    apply("subjects: [{name: b, kind: service}]")
    assert not Subject.objects.get().enabled


def test_an_identity_stays_where_the_file_does_not_speak_of_it() -> None:
    dana = "{username: dana, oidc: {issuer: 'https://id.example.com', subject: '248'}}"
    apply(f"users: [{dana}]")
    assert apply("users: [{username: dana}]") == []
    user = User.objects.get()
    assert (user.oidc_issuer, user.oidc_subject) == ("https://id.example.com", "248")
    assert apply(f"users: [{dana.replace('248', '249')}]") == ["~ change user dana: oidc"]
    assert User.objects.get().oidc_subject == "249"


def test_what_a_yes_must_be_proved_with() -> None:
    people = "users: [{username: dana, email: d@example.com, roles: [approver]}]"
    workflow = people + "\nworkflows: [{name: owners, approvers: {users: [dana]}, step_up: %s}]"
    apply(workflow % "passkey")
    assert Workflow.objects.get().step_up == "passkey"
    assert apply(workflow % "passkey") == []
    assert "step_up" in refused(workflow % "password")[0]
