from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from controlplane import validators
from tests.certificates import issued

OWN, OTHER = issued("tidegate"), issued("another")


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (validators.name, "report-bot"),
        (validators.subject_name, "Bot_1.x"),
        (validators.connection_name, "crm"),
        (validators.host, "db.internal"),
        (validators.host, "10.0.0.1"),
        (validators.host, "::1"),
        (validators.host, "my_db"),
        (validators.database_pattern, "tenant_*"),
        (validators.function_name, "crm.order_total"),
        (validators.function_name, '"Odd Schema".f'),
        (validators.issuer_url, "https://id.example.com/realms/agents"),
        (validators.issuer_url, "http://127.0.0.1:8900"),
        (validators.certificate_bundle, ""),
        (validators.certificate_bundle, OWN.certificate + OTHER.certificate),
        (validators.uri, "spiffe://example.org/agents/bot"),
        (validators.uri, "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
    ],
)
def test_what_is_right_passes(check, value: str) -> None:
    check(value)


@pytest.mark.parametrize(
    ("check", "value", "why"),
    [
        (validators.name, "a b", "letters"),
        (validators.name, "x\n", "letters"),
        (validators.name, "", "letters"),
        (validators.name, "x" * 64, "63"),
        (validators.subject_name, "oidc", "choose another"),
        (validators.subject_name, "OIDC", "choose another"),
        (validators.subject_name, "oauth", "choose another"),
        (validators.connection_name, "postgres", "choose another"),
        (validators.host, "https://db", "without port or scheme"),
        (validators.host, "db:5432", "without port or scheme"),
        (validators.host, "db\0", "without port or scheme"),
        (validators.printable, "a\0b", "Control characters"),
        (validators.database_pattern, "a/b", "database name"),
        (validators.function_name, "f()", "without brackets"),
        (validators.function_name, "a.b.c", "without brackets"),
        (validators.issuer_url, "http://id.example.com", "https"),
        (validators.issuer_url, "http://127.0.0.1.evil.example", "https"),
        (validators.issuer_url, "https://user@id.example.com", "https"),
        (validators.certificate_bundle, "hello", "PEM"),
        (validators.certificate_bundle, OWN.certificate + OWN.key, "private key in this"),
        (validators.uri, "report-bot", "scheme"),
        (validators.uri, "spiffe://a b", "spaces"),
        (validators.uri, "spiffe://a\n", "spaces"),
    ],
)
def test_what_is_wrong_is_explained(check, value: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        check(value)


def test_a_key_belongs_to_the_first_certificate() -> None:
    validators.key_of_certificate(OWN.key, OWN.certificate + OTHER.certificate)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (OTHER.key, "do not fit together"),
        (OWN.encrypted_key(), "encrypted with a passphrase"),
        (OWN.certificate, "no private key in PEM"),
        (OWN.key[:100], "no private key in PEM"),
        ("", "no private key in PEM"),
    ],
    ids=["of another", "encrypted", "a certificate", "cut off", "empty"],
)
def test_a_key_that_is_of_no_use_is_explained(key: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        validators.key_of_certificate(key, OWN.certificate)
