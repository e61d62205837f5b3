from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from controlplane.models import Subject

pytestmark = pytest.mark.django_db


def test_the_plan_is_printed_and_carried_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("version: 1\nsubjects: [{name: bot, key: abcdefghijklmnopqrstuvwxyz0123456789}]\nretention: {entries: 1d}\n")
    call_command("apply", "-f", str(path), "--dry-run")
    printed = capsys.readouterr()
    assert "+ create subject bot" in printed.out
    assert "nothing was changed" in printed.out
    assert not Subject.objects.exists()
    call_command("apply", "-f", str(path))
    printed = capsys.readouterr()
    assert "Policy version 1 is published." in printed.out
    assert f"warning: {path}:2: 'key' stands in the file in plain text" in printed.err
    assert f"note: {path}:3: retention is not enforced yet" in printed.err
    call_command("apply", "-f", str(path))
    assert "Nothing to change." in capsys.readouterr().out


def test_a_mistake_ends_with_an_error(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("version: 1\nsubjects: [{name: bot, knid: agent}]\n")
    with pytest.raises(CommandError, match="unknown key 'knid' in subjects; did you mean 'kind'") as error:
        call_command("apply", "-f", str(path))
    assert f"{path}:2:" in str(error.value)
    assert "Nothing was changed." in str(error.value)
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("apply", "-f", str(tmp_path / "missing"))
