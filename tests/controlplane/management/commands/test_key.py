"""`manage.py key`: scripts read the key from standard output, so nothing else may be there."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from controlplane import services
from controlplane.models import ApiKey, Subject

pytestmark = pytest.mark.django_db


@pytest.fixture
def bot() -> Subject:
    return services.save(Subject(name="report-bot"), actor="a test")


def test_create_prints_the_key_alone(bot: Subject, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("key", "create", "report-bot", "--expires", "90d")
    printed = capsys.readouterr()
    (key,) = printed.out.splitlines()
    assert services.key_in_use(bot, key)
    assert key not in printed.err
    assert ApiKey.objects.get().expires_at is not None


def test_list_and_revoke(bot: Subject, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("key", "create", "report-bot")
    key = capsys.readouterr().out.strip()
    call_command("key", "list")
    listed = capsys.readouterr().out
    assert ApiKey.objects.get().key_id in listed
    assert "active" in listed
    assert key not in listed
    call_command("key", "revoke", ApiKey.objects.get().key_id)
    assert not services.key_in_use(bot, key)
    capsys.readouterr()
    call_command("key", "list", "report-bot")
    assert "revoked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("create", "nobody"), "no subject 'nobody'"),
        (("create", "report-bot", "--expires", "soon"), "neither a span"),
        (("create", "report-bot", "--expires", "2020-01-01"), "already have expired"),
        (("revoke", "k0"), "no key k0"),
    ],
)
def test_what_is_wrong_is_said(bot: Subject, arguments: tuple[str, ...], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        call_command("key", *arguments)
    assert not ApiKey.objects.exists()
