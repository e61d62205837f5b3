from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from audit.models import Entry
from controlplane.models import User

pytestmark = pytest.mark.django_db
GIVEN = {"username": "root", "email": "root@example.com", "interactive": False, "stdout": StringIO()}


def test_an_admin_made_on_the_command_line_is_in_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "even longer words")
    call_command("createsuperuser", **GIVEN)
    assert User.objects.get().check_password("even longer words")
    entry = Entry.objects.get(kind="admin.changed")
    assert '"action":"create"' in entry.canonical
    assert "even longer words" not in entry.canonical + entry.disclosures
    assert '"is_superuser":true' in entry.disclosures.replace(" ", "")


def test_nothing_is_written_where_nobody_was_made() -> None:
    User.objects.create(username="root")
    with pytest.raises(CommandError):
        call_command("createsuperuser", **GIVEN)
    assert not Entry.objects.filter(kind="admin.changed").exists()
