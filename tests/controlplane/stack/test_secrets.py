"""Secrets are made once, given ones win and are not copied, the file is for its owner only."""

from pathlib import Path

from controlplane.stack import secrets


def test_generated_once_and_kept(tmp_path: Path) -> None:
    first = secrets.prepare(tmp_path, {})
    secrets.write(tmp_path, first, {})
    assert secrets.prepare(tmp_path, {}) == first
    assert secrets.generate() != secrets.generate()


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    secrets.write(tmp_path, secrets.generate(), {})
    assert (tmp_path / "stack.env").stat().st_mode & 0o777 == 0o600


def test_the_environment_wins_and_is_not_copied(tmp_path: Path) -> None:
    given = {"TIDEGATE_SECRET_KEY": "given " * 10}
    values = secrets.prepare(tmp_path, given)
    assert values["TIDEGATE_SECRET_KEY"] == given["TIDEGATE_SECRET_KEY"]
    secrets.write(tmp_path, values, given)
    assert "TIDEGATE_SECRET_KEY" not in secrets.read(tmp_path)
    assert secrets.read(tmp_path).keys() == secrets.generate().keys() - {"TIDEGATE_SECRET_KEY"}


def test_values_may_hold_equals_signs(tmp_path: Path) -> None:
    secrets.write(tmp_path, {"A": "b=c="}, {})
    assert secrets.read(tmp_path) == {"A": "b=c="}
