"""The people and the small policy of the control plane's tests, and the example of a whole policy file."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from django.utils import timezone

from policies.policy_file.apply import Outcome, apply_sources
from policies.policy_file.document import PolicyFileError, read_text
from tests.controlplane.conftest import admin, admin_user, agents, bot, client_of, crm, grant  # noqa: F401

WEBHOOK_SECRET = "whsec_c2VjcmV0LW9mLXR3ZW50eS1mb3VyLWJ5dGVz"
ACTOR = "a test"
# The documentation's own example, so that it stays right.
PAGE = (Path(__file__).parents[2] / "docs" / "policy-file.md").read_text()
EXAMPLE = PAGE.split("```yaml\n")[1].split("```")[0]


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The whole example as a file, with what it names."""
    monkeypatch.setenv("REPORT_BOT_KEY", "abcdefghijklmnopqrstuvwxyz0123456789")
    monkeypatch.setenv("CRM_PASSWORD", "target-password")
    monkeypatch.setenv("OWNERS_WEBHOOK", "https://hooks.example.com/t0ken")
    monkeypatch.setenv("OWNERS_WEBHOOK_SECRET", WEBHOOK_SECRET)
    (tmp_path / "db-ca.pem").write_text(authority())
    path = tmp_path / "policy.yaml"
    path.write_text(EXAMPLE.replace("/etc/ssl/db-ca.pem", "db-ca.pem"))
    return path


def authority() -> str:
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    now = timezone.now()
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timezone.timedelta(days=1))
    return builder.sign(key, None).public_bytes(Encoding.PEM).decode()


def apply(text: str, *, dry_run: bool = False, prune: bool = False) -> list[str]:
    """The plan's lines for a policy text without its first line."""
    return [str(step) for step in outcome(text, dry_run=dry_run, prune=prune).steps]


def outcome(text: str, *, dry_run: bool = False, prune: bool = False) -> Outcome:
    return apply_sources([read_text(f"version: 1\n{text}", "policy.yaml")], actor=ACTOR, dry_run=dry_run, prune=prune)


def refused(text: str, *, prune: bool = False) -> list[str]:
    """What is wrong with a policy text without its first line (so its first line is line 2)."""
    with pytest.raises(PolicyFileError) as error:
        outcome(text, prune=prune)
    return [str(problem) for problem in error.value.problems]
