"""Settings come from the environment, and nothing starts without its secrets."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from controlplane import environment

FERNET_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="  # nobody's: test processes must agree on what their cases are called


def test_the_stack_file_fills_in_what_the_environment_leaves_open(tmp_path: Path) -> None:
    (tmp_path / "stack.env").write_text("# made by a stack\nTIDEGATE_SECRET_KEY=from=file\nTIDEGATE_BROKER_URL=redis://file\n")
    found = environment.read_environment({"TIDEGATE_STACK_DIR": str(tmp_path), "TIDEGATE_BROKER_URL": "redis://given"})
    assert found["TIDEGATE_SECRET_KEY"] == "from=file"
    assert found["TIDEGATE_BROKER_URL"] == "redis://given"


def test_a_stack_directory_without_a_stack_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"TIDEGATE_STACK_DIR: cannot read .*stack\.env"):
        environment.read_environment({"TIDEGATE_STACK_DIR": str(tmp_path)})


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (environment.secret_key, "TIDEGATE_SECRET_KEY"),
        (environment.fernet_keys, "TIDEGATE_FERNET_KEYS"),
        (environment.signing_seed, "TIDEGATE_SIGNING_KEY"),
        (environment.database, "TIDEGATE_DATABASE_URL"),
        (environment.mail, "TIDEGATE_EMAIL_URL"),
        (environment.public_url, "TIDEGATE_PUBLIC_URL"),
    ],
)
def test_what_is_missing_is_named(read, name: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"{name} is not set"):
        read({name: "  "})


@pytest.mark.parametrize(
    ("read", "name", "value"),
    [
        (environment.secret_key, "TIDEGATE_SECRET_KEY", "tooshortasecret"),
        (environment.fernet_keys, "TIDEGATE_FERNET_KEYS", f"{FERNET_KEY},nonsense"),
        (environment.signing_seed, "TIDEGATE_SIGNING_KEY", base64.b64encode(b"31 bytes are one too few, so no.").decode()[:-4]),
        (environment.signing_seed, "TIDEGATE_SIGNING_KEY", "not base64!"),
        (environment.database, "TIDEGATE_DATABASE_URL", "sqlite:///file"),
        (environment.database, "TIDEGATE_DATABASE_URL", "postgresql://host"),
        (environment.mail, "TIDEGATE_EMAIL_URL", "imap://host"),
        (environment.public_url, "TIDEGATE_PUBLIC_URL", "control.example.com"),
    ],
)
def test_what_is_wrong_is_named_and_never_shown(read, name: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=name) as refused:
        read({name: value})
    assert value not in str(refused.value)


def test_a_database_address_is_taken_apart() -> None:
    found = environment.database({"TIDEGATE_DATABASE_URL": "postgresql://us%40er:p%2Fw@db:6543/control?sslmode=require"})
    assert (found["NAME"], found["USER"], found["PASSWORD"], found["HOST"], found["PORT"]) == ("control", "us@er", "p/w", "db", "6543")
    assert found["OPTIONS"] == {"sslmode": "require"}


def test_mail_goes_to_files_or_to_a_server() -> None:
    assert environment.mail({"TIDEGATE_EMAIL_URL": "file:///var/mail/out"}).directory == "/var/mail/out"
    server = environment.mail({"TIDEGATE_EMAIL_URL": "smtp://us%40er:secret@mx:587?tls=1"})
    assert (server.host, server.port, server.user, server.password, server.tls) == ("mx", 587, "us@er", "secret", True)


def test_only_named_hosts_are_answered() -> None:
    public = "https://control.example.com"
    assert environment.allowed_hosts({"TIDEGATE_ALLOWED_HOSTS": "a, b"}, public) == ["a", "b", "control.example.com"]
    with pytest.raises(ImproperlyConfigured, match="name the hosts"):
        environment.allowed_hosts({"TIDEGATE_ALLOWED_HOSTS": "*"}, public)
