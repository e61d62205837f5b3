"""What the process environment says: every setting comes from here, and a missing secret stops the start.

With ``TIDEGATE_STACK_DIR=DIR`` the file ``DIR/stack.env`` (``KEY=VALUE`` lines) supplies what the environment itself
does not set, so that a command acts on a running stack. ``NAME_FILE=PATH`` stands for ``NAME`` with the file's content, which is
how secrets of containers and services arrive. See docs/contracts.md §7.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured


def read_environment(process: Mapping[str, str] | None = None) -> dict[str, str]:
    """The process environment over the running stack's file.

    Raises ImproperlyConfigured when ``TIDEGATE_STACK_DIR`` names a directory without a readable ``stack.env``.
    """
    given = _with_files(dict(os.environ if process is None else process))
    directory = given.get("TIDEGATE_STACK_DIR", "")
    if not directory:
        return given
    path = Path(directory) / "stack.env"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as problem:
        raise ImproperlyConfigured(
            f"TIDEGATE_STACK_DIR: cannot read {path} ({problem.strerror}). It names the --dir of a stack that was started there."
        ) from None
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {**{name.strip(): value for name, value in pairs}, **given}


def _with_files(given: dict[str, str]) -> dict[str, str]:
    """``TIDEGATE_X`` from the file that ``TIDEGATE_X_FILE`` names, where it is not set itself."""
    for name, path in list(given.items()):
        plain = name.removesuffix("_FILE")
        if plain == name or not name.startswith("TIDEGATE_") or not path or given.get(plain):
            continue
        try:
            given[plain] = Path(path).read_text(encoding="utf-8").strip()
        except OSError as problem:
            raise ImproperlyConfigured(f"{name}: cannot read {path} ({problem.strerror}).") from None
    return given


def required(environment: Mapping[str, str], name: str, what: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise ImproperlyConfigured(
            f"{name} is not set: {what}. To act on a stack, set TIDEGATE_STACK_DIR to its directory; deployments set it in the environment."
        )
    return value


def secret_key(environment: Mapping[str, str]) -> str:
    value = required(environment, "TIDEGATE_SECRET_KEY", "a random text of 50 characters or more that signs sessions and links")
    if len(value) < 32:
        raise ImproperlyConfigured("TIDEGATE_SECRET_KEY is too short: 32 random characters at least, 50 or more are better.")
    return value


def fernet_keys(environment: Mapping[str, str]) -> list[str]:
    value = required(environment, "TIDEGATE_FERNET_KEYS", "comma-separated Fernet keys that encrypt upstream passwords, the first encrypts")
    keys = [key.strip() for key in value.split(",") if key.strip()]
    for number, key in enumerate(keys, 1):
        try:
            Fernet(key)
        except ValueError:
            raise ImproperlyConfigured(
                f"TIDEGATE_FERNET_KEYS: key number {number} is not a Fernet key (44 characters of URL-safe base64)."
            ) from None
    return keys


def signing_seed(environment: Mapping[str, str]) -> bytes:
    """The 32-byte Ed25519 seed that signs bundles and checkpoints."""
    value = required(environment, "TIDEGATE_SIGNING_KEY", "the base64 Ed25519 seed (32 bytes) that signs bundles and checkpoints")
    try:
        seed = base64.b64decode(value, validate=True)
    except binascii.Error:
        seed = b""
    if len(seed) != 32:
        raise ImproperlyConfigured("TIDEGATE_SIGNING_KEY is not base64 of exactly 32 bytes.")
    return seed


def database(environment: Mapping[str, str]) -> dict[str, object]:
    """Django's DATABASES entry for a ``postgresql://user:password@host:port/name?sslmode=…`` URL."""
    url = urlsplit(required(environment, "TIDEGATE_DATABASE_URL", "postgresql://user:password@host:port/name of the control database"))
    if url.scheme not in ("postgresql", "postgres") or not url.path.strip("/"):
        raise ImproperlyConfigured(
            "TIDEGATE_DATABASE_URL must look like postgresql://user:password@host:port/name; only PostgreSQL is supported."
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.strip("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.hostname or "",
        "PORT": str(url.port or 5432),
        "OPTIONS": {name: values[-1] for name, values in parse_qs(url.query).items()},
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


@dataclass(frozen=True, slots=True)
class Mail:
    """Django's e-mail settings."""

    backend: str
    directory: str = ""
    host: str = ""
    port: int = 25
    user: str = ""
    password: str = ""
    tls: bool = False


def mail(environment: Mapping[str, str]) -> Mail:
    """``file:///directory`` or ``smtp://user:password@host:port?tls=1``."""
    url = urlsplit(
        required(environment, "TIDEGATE_EMAIL_URL", "file:///directory or smtp://user:password@host:port?tls=1, for the approvers' e-mails")
    )
    if url.scheme == "file" and url.path:
        return Mail("django.core.mail.backends.filebased.EmailBackend", directory=unquote(url.path))
    if url.scheme == "smtp" and url.hostname:
        return Mail(
            "django.core.mail.backends.smtp.EmailBackend",
            host=url.hostname,
            port=url.port or 25,
            user=unquote(url.username or ""),
            password=unquote(url.password or ""),
            tls=parse_qs(url.query).get("tls", ["0"])[-1] == "1",
        )
    raise ImproperlyConfigured("TIDEGATE_EMAIL_URL must be file:///directory or smtp://user:password@host:port?tls=1.")


def public_url(environment: Mapping[str, str]) -> str:
    value = required(
        environment, "TIDEGATE_PUBLIC_URL", "the address under which people reach the control plane; links in e-mails start with it"
    )
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ImproperlyConfigured("TIDEGATE_PUBLIC_URL must be an http:// or https:// address.")
    return value.rstrip("/")


def allowed_hosts(environment: Mapping[str, str], public: str) -> list[str]:
    """The public address's host, and those of ``TIDEGATE_ALLOWED_HOSTS`` (comma separated); never every host."""
    named = [host.strip() for host in environment.get("TIDEGATE_ALLOWED_HOSTS", "").split(",") if host.strip()]
    if "*" in named:
        raise ImproperlyConfigured("TIDEGATE_ALLOWED_HOSTS: '*' would let anybody forge the links in e-mails; name the hosts.")
    return sorted({urlsplit(public).hostname or "", *named})


def local_sign_in(environment: Mapping[str, str]) -> str:
    """Who may sign in with a password: ``everybody``, or only ``admins``, when the identity provider cannot be reached."""
    value = environment.get("TIDEGATE_LOCAL_SIGN_IN", "") or "everybody"
    if value not in ("everybody", "admins"):
        raise ImproperlyConfigured("TIDEGATE_LOCAL_SIGN_IN is everybody or admins.")
    return value
