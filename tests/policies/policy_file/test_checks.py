"""Names that dangle and combinations that cannot be; each with its line, and nothing is changed."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group

from tests.policies.conftest import apply, refused

pytestmark = pytest.mark.django_db
CRM = "{name: crm, host: db, dbname: crm, user: u"
WORKFLOW = "workflows: [{name: w, approvers: {}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("subjects: [{name: b, groups: [agnets]}]", "policy.yaml:3: there is no group 'agnets'; did you mean 'agents'?"),
        ("subjects: [{name: b, owner: dan}]", "policy.yaml:3: there is no user 'dan'"),
        ("subjects: [{name: b, oidc: {issuer: corp, subject: s}}]", "policy.yaml:3: there is no OIDC issuer 'corp'"),
        ("grants:\n - to: {groups: [agents]}\n   connections: [crn]\n   actions: [select]", "policy.yaml:5: there is no connection 'crn'"),
        ("grants: [{to: {subjects: [b]}, connections: [], actions: [select]}]", "needs at least one entry"),
        (f"connections: [{CRM}, unanalyzable: {{approve: ownrs}}}}]", "there is no workflow 'ownrs'"),
        ("masking: [{name: m, columns: [a.b.c], method: redact, cleared: {groups: [nobody]}}]", "there is no group 'nobody'"),
        ("rules: [{name: r, when: {subjects: [b]}, then: deny}]", "there is no subject 'b'"),
        ("rules: [{name: r, then: {approve: ow}}]", "there is no workflow 'ow'"),
        ("workflows: [{name: w, approvers: {users: [dana]}}]", "there is no user 'dana'"),
        ("subjects: [{name: b}, {name: b}]", "'b' is already in subjects"),
        ("users: [{username: d, roles: [approver]}]", "needs an email"),
        (f"connections: [{CRM}, tls: {{mode: require, ca: x}}}}]", "checks no certificate"),
        (f"connections: [{CRM}, tls: {{ca: x, ca_file: y}}}}]", "exclude each other"),
        (f"connections: [{CRM}, tls: {{client_cert: x, client_cert_file: y, client_key_env: K}}}}]", "exclude each other"),
        (
            f"connections:\n - {CRM},\n    tls: {{mode: disable,\n     client_cert_file: x, client_key_env: K}}}}",
            "policy.yaml:6: TLS mode disable shows no certificate",
        ),
        (f"connections:\n - {CRM},\n    tls: {{\n     client_key_file: x}}}}", "policy.yaml:6: client_key_file is the key of a client"),
        ("grants: [{to: {}, connections: [c], actions: [select]}]", "the grant is to nobody"),
        ("masking: [{name: m, columns: [a.b], method: redact}]", "'a.b' is not of the form schema.table.column"),
        ("masking: [{name: m, columns: [a.b.c], method: redact, cleared: {until: 2027-01-01T00:00:00Z}}]", "nobody is cleared"),
        ('masking: [{name: m, columns: [a.b.c], method: {fixed: "a\\0b"}}]', "policy.yaml:3: method: fixed.text"),
        ("rules: [{name: r, when: {matches: '('}, then: deny}]", "not an RE2 expression"),
        ("rules: [{name: r, when: {from: [10.0.0.1/8]}, then: deny}]", "when.from"),
        ("rules: [{name: r, when: {between: {from: '10:00', to: '10:00'}}, then: deny}]", "same minute"),
        ("rules: [{name: r, when: {between: {from: '10:00', to: '11:00', tz: Nowhere}}, then: deny}]", "unknown time zone"),
        (f"{WORKFLOW}, hold: ticket, max_wait: 5m}}]", "nobody waits"),
        (f"{WORKFLOW}, expires: 1m, max_wait: 5m}}]", "longer than the request lives"),
        (f"{WORKFLOW}, expires: 5m, escalate: {{after: 5m, to: {{groups: [agents]}}}}}}]", "expired before it is escalated"),
        (f"{WORKFLOW}, escalate: {{after: 5m, to: {{}}}}}}]", "escalates to nobody"),
    ],
)
def test_what_cannot_be(text: str, problem: str) -> None:
    found = refused(f"groups: [agents]\n{text}")
    assert any(problem in line for line in found), found
    assert not Group.objects.exists()


def test_one_name_twice() -> None:
    assert refused("groups: [agents,\n agents]") == ["policy.yaml:3: 'agents' is already in groups, at policy.yaml:2"]


def test_a_grant_must_begin_before_it_ends() -> None:
    valid = "valid: {from: 2027-01-01T00:00:00Z, until: 2026-12-31T23:00:00+02:00}"
    grant = f"{{to: {{subjects: [b]}}, connections: [crm], actions: [select], {valid}}}"
    text = f"connections: [{CRM}}}]\nsubjects: [{{name: b}}]\ngrants: [{grant}]"
    assert refused(text) == ["policy.yaml:4: the grant would end before it begins"]
    impossible = refused(text.replace("2027-01-01", "2027-02-30"))
    assert impossible == ["policy.yaml:4: '2027-02-30T00:00:00Z' is no time that exists"]


def test_what_cannot_be_understood_passes_without_masks_only() -> None:
    both = f"connections: [{CRM}, unanalyzable: allow}}]\nmasking: [{{name: m, columns: [a.b.c], method: redact}}]"
    (problem,) = refused(both)
    assert problem.startswith("policy.yaml:2: 'allow' is possible only without masking rules")
    apply(both.splitlines()[0])
    assert any("only without masking rules" in line for line in refused(both.splitlines()[1]))  # the other half stands in the database


def test_two_subjects_of_one_token() -> None:
    issuer = "oidc: [{name: corp, issuer: 'https://i.example.com', audience: t, algorithms: [RS256]}]"
    subjects = "subjects:\n - {name: a, oidc: {issuer: corp, subject: s}}\n - {name: b, oidc: {issuer: corp, subject: s}}"
    (problem,) = refused(f"{issuer}\n{subjects}")
    assert problem == "policy.yaml:5: the subject 'a' (policy.yaml:4) has the same issuer and subject"


def test_names_in_the_database_may_be_used_unless_they_are_pruned() -> None:
    apply("groups: [agents]")
    subject = "subjects: [{name: b, groups: [agents]}]"
    assert any("no group 'agents'" in line for line in refused(subject, prune=True))
    assert apply(subject) == ["+ create subject b"]
