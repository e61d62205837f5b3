from __future__ import annotations

from pathlib import Path

import pytest

from policies.policy_file.document import Item, Source
from policies.policy_file.given import Reader


def item(tmp_path: Path, **value: str) -> Item:
    return Item(value, Source(str(tmp_path / "p.yaml"), {}, {}), ("connections", 0))


def test_three_ways(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("from file\n")
    reader = Reader(environment={"PW": "from environment"})
    assert reader.secret(item(tmp_path), "password") is None
    assert reader.secret(item(tmp_path, password_env="PW"), "password") == "from environment"
    assert reader.secret(item(tmp_path, password_file="pw"), "password") == "from file"
    assert reader.warnings == []
    assert reader.secret(item(tmp_path, password="plain"), "password") == "plain"
    assert "plain text" in str(reader.warnings[0])
    assert reader.problems == []


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"password_env": "NOT_SET"}, "NOT_SET is not set"),
        ({"password_file": "missing"}, "cannot read"),
        ({"password": "a", "password_env": "PW"}, "exclude each other"),
    ],
)
def test_what_goes_wrong(tmp_path: Path, value: dict[str, str], why: str) -> None:
    reader = Reader(environment={"PW": "x"})
    assert reader.secret(item(tmp_path, **value), "password") is None
    assert why in str(reader.problems[0])
