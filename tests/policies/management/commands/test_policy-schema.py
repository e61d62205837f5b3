from __future__ import annotations

import json

import pytest
from django.core.management import call_command

from policies.policy_file.schema import POLICY


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("policy-schema")
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(POLICY))
