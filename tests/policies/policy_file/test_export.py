"""What is exported is a policy file again, without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.policy_file.apply import apply_files, apply_sources
from policies.policy_file.document import Source, read_text
from policies.policy_file.export import policy_document, policy_text
from tests.certificates import issued
from tests.policies.conftest import ACTOR, apply

pytestmark = pytest.mark.django_db


def test_applying_an_export_changes_nothing(example: Path) -> None:
    apply_files([example], actor=ACTOR)
    outcome = apply_sources([read_text(policy_text(), "export")], actor=ACTOR, prune=True)
    assert outcome.steps == ()


def test_no_secret_is_exported(example: Path) -> None:
    apply_files([example], actor=ACTOR)
    for secret in ("target-password", "abcdefghijklmnopqrstuvwxyz0123456789", "whsec_abc", "t0ken", "gAAAA"):
        assert secret not in policy_text()


def test_an_export_makes_the_same_policy_elsewhere(example: Path) -> None:
    apply_files([example], actor=ACTOR)
    exported = policy_text()
    apply("groups: []", prune=True)
    assert set(policy_document()) <= {"version", "users"}
    apply_sources([read_text(exported, "export")], actor=ACTOR)
    assert policy_text() == exported


@pytest.mark.parametrize(("given", "kept"), [("off", None), ("alert", "alert"), ("'off'", None)])
def test_a_bare_off_is_no_false(given: str, kept: str | None) -> None:
    apply(f"connections: [{{name: crm, host: db, dbname: crm, user: u, detectors: {given}}}]")
    (connection,) = policy_document()["connections"]
    assert connection.get("detectors") == kept


def test_limits_are_spelt_as_they_were_given() -> None:
    limits = {"statement_timeout": "30s", "idle_timeout": "15m", "max_sessions": 50, "detectors": "mask"}
    limits["max_sessions_per_subject"] = 5
    apply(f"connections: [{ {'name': 'crm', 'host': 'db', 'dbname': 'crm', 'user': 'u', **limits}!r}]")
    (connection,) = policy_document()["connections"]
    assert {name: connection[name] for name in limits} == limits


def test_defaults_are_left_out() -> None:
    apply("connections: [{name: crm, host: db, dbname: crm, user: u}]\nsubjects: [{name: b}]\nrules: [{name: r, then: deny}]")
    assert policy_document() == {
        "version": 1,
        "subjects": [{"name": "b"}],
        "connections": [{"name": "crm", "host": "db", "dbname": "crm", "user": "u"}],
        "rules": [{"name": "r", "then": "deny"}],
    }


@pytest.mark.parametrize(
    "method", ["redact", {"partial": {"first": 0, "last": 4}}, {"round": 1000}, {"fixed": "n/a"}, {"fixed": ""}, {"fixed": "true"}]
)
def test_methods_come_back(method: object) -> None:
    source = read_text(f"version: 1\nmasking: [{{name: m, columns: [a.b.c], method: {method!r}}}]", "f")
    apply_sources([source], actor=ACTOR)
    assert policy_document()["masking"][0]["method"] == method
    assert apply_sources([read_text(policy_text(), "e")], actor=ACTOR).steps == ()


@pytest.mark.parametrize(
    "workflow", ["hold: ticket", "expires: 5m", "hold: wait, max_wait: 90s, expires: 2h, quorum: 2", "notify: {email: false}"]
)
def test_workflows_come_back(workflow: str) -> None:
    apply(f"workflows: [{{name: w, approvers: {{}}, {workflow}}}]")
    assert apply_sources([read_text(policy_text(), "e")], actor=ACTOR).steps == ()


@pytest.mark.parametrize("certificate", [{"uri": "spiffe://example.com/b"}, {"common_name": "b"}])
def test_certificates_come_back(certificate: dict[str, str]) -> None:
    apply(f"subjects: [{{name: b, certificate: {certificate!r}}}]")
    assert policy_document()["subjects"] == [{"name": "b", "certificate": certificate}]
    assert apply_sources([read_text(policy_text(), "e")], actor=ACTOR).steps == ()
    apply("subjects: [{name: b}]")  # a key that is left out means its default
    assert policy_document()["subjects"] == [{"name": "b"}]


def test_of_a_client_certificate_the_key_stays_here() -> None:
    own = issued("tidegate")
    connection = {"name": "crm", "host": "db", "dbname": "crm", "user": "u", "tls": {"client_cert": own.certificate, "client_key": own.key}}
    apply_sources([Source("f", {"version": 1, "connections": [connection]}, {})], actor=ACTOR)
    assert policy_document()["connections"][0]["tls"] == {"mode": "verify-full", "client_cert": own.certificate.strip()}
    assert apply_sources([read_text(policy_text(), "e")], actor=ACTOR).steps == ()
