from __future__ import annotations

import pytest
import yaml
from django.core.management import call_command

from controlplane.models import Subject


@pytest.mark.django_db
def test_yaml_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    Subject.objects.create(name="bot")
    call_command("export-policy")
    assert yaml.safe_load(capsys.readouterr().out) == {"version": 1, "subjects": [{"name": "bot"}]}
