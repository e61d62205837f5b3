"""What names and addresses may look like; every message says what is allowed."""

from __future__ import annotations

import ipaddress
import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

# One pattern for names of all kinds: they appear in startup packets, URLs, logs and policy files.
name = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z", "Use 1 to 63 letters, digits, '-', '_' or '.', starting with a letter or digit."
)
_HOST = re.compile(
    r"\A(?=.{1,253}\Z)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?\Z"
)
_FUNCTION = re.compile(r'\A(("([^"]|"")+"|[A-Za-z_*?][\w$*?]*)\.)?("([^"]|"")+"|[A-Za-z_*?][\w$*?]*)\Z')


def subject_name(value: str) -> None:
    name(value)
    if value.lower() in ("oidc", "oauth"):
        raise ValidationError(f"'{value}' is what agents give as user name when they sign in with a token; choose another name.")


def connection_name(value: str) -> None:
    name(value)
    if value.lower() in ("postgres", "template0", "template1", "pgbouncer", "replication"):
        raise ValidationError(f"'{value}' is a database name that tools connect to by themselves; choose another name.")


def host(value: str) -> None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        if not _HOST.match(value):
            raise ValidationError("Give a host name or an IP address, without port or scheme.") from None


def printable(value: str) -> None:
    """PostgreSQL refuses NUL in every text, and control characters in names only confuse people."""
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ValidationError("Control characters are not allowed here.")


def database_pattern(value: str) -> None:
    printable(value)
    if not value or len(value.encode()) > 63 or "/" in value:
        raise ValidationError("A database name has 1 to 63 bytes; '*' and '?' stand for many and one character.")


def function_name(value: str) -> None:
    if not _FUNCTION.match(value):
        raise ValidationError(f"'{value}' is no function name: write name or schema.name, without brackets and arguments.")


def issuer_url(value: str) -> None:
    if not re.match(r"\Ahttps?://[^\s/?#@]+(/[^\s?#]*)?\Z", value):
        raise ValidationError("An issuer is an https:// address without user, query and fragment, written exactly as in its tokens.")
    if value.startswith("http://") and not re.match(r"\Ahttp://(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?(/|\Z)", value):
        raise ValidationError("An issuer must use https:// (http:// only on this machine): its keys decide who signs in.")


def uri(value: str) -> None:
    if not re.match(r"\A[A-Za-z][A-Za-z0-9+.-]*:[!-~]+\Z", value):
        raise ValidationError("A URI begins with its scheme, such as spiffe://, and holds printable ASCII without spaces.")


def certificate_bundle(value: str) -> None:
    if not value:
        return
    if "PRIVATE KEY" in value:
        raise ValidationError("There is a private key in this; give the certificates alone: everybody who reads the policy sees them.")
    try:
        x509.load_pem_x509_certificates(value.encode())
    except ValueError:
        raise ValidationError("This is no PEM certificate (-----BEGIN CERTIFICATE-----).") from None


def key_of_certificate(key: str, certificate: str) -> None:
    """``key`` must be that of the first certificate, which is the owner's."""
    try:
        public = load_pem_private_key(key.encode(), password=None).public_key()
    except TypeError:
        raise ValidationError("The client certificate's key is encrypted with a passphrase; give it without one.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValidationError("The client certificate's key is no private key in PEM (-----BEGIN PRIVATE KEY-----).") from None
    if public != x509.load_pem_x509_certificates(certificate.encode())[0].public_key():
        raise ValidationError("The client certificate and its key do not fit together.")
