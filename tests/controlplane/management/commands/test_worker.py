"""`manage.py worker`: scripts read the token from standard output, so nothing else may be there."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from controlplane import workers
from controlplane.models import EnrolmentToken, Worker
from worker.identity import _new_keys, _public_keys

pytestmark = pytest.mark.django_db


def enrol(token: str, name: str = "host-a") -> Worker:
    return workers.enrol(token=token, name=name, **_public_keys(_new_keys()))


def token(capsys: pytest.CaptureFixture[str]) -> str:
    call_command("worker", "token", "--name", "host-a")
    (printed,) = capsys.readouterr().out.splitlines()
    return printed


def test_a_printed_token_enrols(capsys: pytest.CaptureFixture[str]) -> None:
    assert enrol(token(capsys)).enrolled_with == EnrolmentToken.objects.get()


def test_list_and_revoke(capsys: pytest.CaptureFixture[str]) -> None:
    enrol(token(capsys))
    call_command("worker", "list")
    assert "host-a  active" in capsys.readouterr().out
    call_command("worker", "revoke", "host-a")
    assert not Worker.objects.active().exists()
    capsys.readouterr()
    call_command("worker", "list")
    assert "host-a  revoked" in capsys.readouterr().out


def test_a_name_that_two_have_is_not_enough(capsys: pytest.CaptureFixture[str]) -> None:
    one = enrol(token(capsys))
    enrol(token(capsys))
    with pytest.raises(CommandError, match="2 workers"):
        call_command("worker", "revoke", "host-a")
    call_command("worker", "revoke", str(one.pk))
    assert Worker.objects.active().count() == 1
    with pytest.raises(CommandError, match="0 workers"):
        call_command("worker", "revoke", "nobody")


def test_a_name_that_cannot_be_is_refused() -> None:
    with pytest.raises(CommandError, match="letters"):
        call_command("worker", "token", "--name", "a b")
