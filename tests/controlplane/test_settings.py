"""The settings module as a process sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from tests import engines

ROOT = Path(__file__).resolve().parents[2]
SHOW = """
import json, django
from django.conf import settings as s
names = ["SECURE_HSTS_SECONDS", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SESSION_COOKIE_NAME", "DEBUG", "ALLOWED_HOSTS"]
print(json.dumps({name: getattr(s, name) for name in names}))
"""


def python(*arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    process = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
    wanted = {**process, **engines.environment(), "DJANGO_SETTINGS_MODULE": "controlplane.settings", **changes}
    given = {name: value for name, value in wanted.items() if value is not None}
    return subprocess.run([sys.executable, *arguments], env=given, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "name", ["TIDEGATE_SECRET_KEY", "TIDEGATE_FERNET_KEYS", "TIDEGATE_SIGNING_KEY", "TIDEGATE_DATABASE_URL", "TIDEGATE_BROKER_URL"]
)
def test_no_start_without_a_secret(name: str) -> None:
    ended = python("manage.py", "check", **{name: None})
    assert ended.returncode != 0
    assert f"{name} is not set" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_https_address_hardens_cookies_and_transport() -> None:
    found = json.loads(python("-c", SHOW, TIDEGATE_PUBLIC_URL="https://control.example.com").stdout)
    assert found["SECURE_HSTS_SECONDS"] >= 31_536_000
    assert found["SESSION_COOKIE_SECURE"]
    assert found["CSRF_COOKIE_SECURE"]
    assert found["SESSION_COOKIE_NAME"].startswith("__Host-")
    assert "control.example.com" in found["ALLOWED_HOSTS"]
    assert found["DEBUG"] is False


def test_django_finds_nothing_to_harden() -> None:
    ended = python("manage.py", "check", "--deploy", "--fail-level", "WARNING", TIDEGATE_PUBLIC_URL="https://control.example.com")
    # W008: the reverse proxy in front redirects. W005, W021: whether other hosts of the domain use TLS is not ours to say.
    others = [
        line for line in ended.stderr.splitlines() if "security." in line and not any(code in line for code in ("W008", "W005", "W021"))
    ]
    assert others == []


def test_what_the_broker_brings_is_data() -> None:
    assert settings.CELERY_ACCEPT_CONTENT == ["json"]
