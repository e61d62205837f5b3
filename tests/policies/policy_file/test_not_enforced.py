"""Nothing of a policy is silently ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.policy_file.apply import apply_files
from policies.policy_file.document import read_text
from policies.policy_file.not_enforced import NOT_ENFORCED_YET, notes
from policies.policy_file.schema import POLICY
from tests.policies.conftest import ACTOR


@pytest.mark.django_db
def test_the_example_says_what_is_not_enforced(example: Path) -> None:
    said = [note.message.partition(" is not")[0] for note in apply_files([example], actor=ACTOR).not_enforced]
    assert said == ["auto_approve", "notify.webhook", "escalate", "retention"]


def test_values_that_are_enforced_are_not_reported() -> None:
    text = "version: 1\nconnections: [{name: c, host: h, dbname: d, user: u, row_evidence: %s}]"
    assert list(notes([read_text(text % "count", "f")])) == []
    (note,) = notes([read_text(text % "keys", "f")])
    assert str(note).startswith("f:2: row_evidence is not enforced yet")


def test_every_feature_of_the_table_is_one_of_the_file() -> None:
    for section, features in NOT_ENFORCED_YET.items():
        for path, _, _ in features:
            schema = POLICY["properties"][section]["items"]
            for step in path:
                schema = schema["properties"][step]
