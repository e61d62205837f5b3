from __future__ import annotations

from io import StringIO
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command

from audit.models import Entry
from controlplane.models import User

pytestmark = pytest.mark.django_db


def change(username: str, *typed: str) -> None:
    with patch("getpass.getpass", side_effect=typed):
        call_command("changepassword", username, stdout=StringIO(), stderr=StringIO())


def test_a_password_changed_on_the_command_line_is_in_the_audit() -> None:
    User.objects.create(username="dana")
    change("dana", "even longer words", "even longer words")
    assert User.objects.get(username="dana").check_password("even longer words")
    entry = Entry.objects.get(kind="admin.changed")
    assert "command line" in entry.canonical
    assert "even longer words" not in entry.canonical + entry.disclosures


def test_nothing_is_written_where_nothing_changed() -> None:
    User.objects.create(username="dana")
    with pytest.raises(CommandError, match="Aborting"):
        change("dana", *["short", "short"] * 3)
    with pytest.raises(CommandError, match="does not exist"):
        change("nobody")
    assert not Entry.objects.filter(kind="admin.changed").exists()
