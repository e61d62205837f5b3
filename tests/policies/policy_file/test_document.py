"""YAML with line numbers, and what YAML allows that a policy does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.policy_file.document import PolicyFileError, Problem, items, read_file, read_text


def wrong(text: str) -> str:
    with pytest.raises(PolicyFileError) as error:
        read_text(text, "f.yaml")
    return str(error.value)


def test_every_value_knows_its_line() -> None:
    source = read_text("version: 1\ngroups:\n  - a\n  - b\nusers:\n  - {username: x,\n     email: y}\n", "f.yaml")
    assert source.data == {"version": 1, "groups": ["a", "b"], "users": [{"username": "x", "email": "y"}]}
    assert source.at("groups", 1) == "f.yaml:4"
    assert source.at("users", 0, "email") == "f.yaml:7"
    assert source.at("users", 0, "email", "deeper") == "f.yaml:7"
    assert source.at("nowhere") == "f.yaml:1"
    (item,) = items([source], "users")
    assert item.at("email") == "f.yaml:7"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "f.yaml:1: the file is empty"),
        ("# nothing\n", "f.yaml:1: the file is empty"),
        ("a: 1\na: 2\n", "f.yaml:2: 'a' is there twice"),
        ("a: [1\nb: 2\n", "f.yaml:2: not YAML"),
        ("a: 1\n---\nb: 2\n", "not YAML"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n", "f.yaml:3: a key is plain text; merge keys"),
        ("a: !!python/object/apply:os.system [id]\n", "not supported"),
        ("a: !!binary aGk=\n", "f.yaml:1: the tag"),
        ("a: &a [*a]\n", "f.yaml:1: this alias contains itself"),
        ("{1: 2, ? [a] : b}", "a key is plain text"),
        ("a: \0", "not YAML"),
    ],
)
def test_what_is_no_policy(text: str, problem: str) -> None:
    assert problem in wrong(text)


def test_a_small_file_cannot_become_endless() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "expands to too much" in wrong("\n".join(["l0: &l0 [x]", *levels]))


def test_what_looks_like_a_time_stays_text() -> None:
    assert read_text("a: 2026-01-01\nb: 2026-01-01T00:00:00Z", "f").data == {"a": "2026-01-01", "b": "2026-01-01T00:00:00Z"}


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"a: \xe9")
    for name, why in (("missing", "cannot be read"), ("latin", "UTF-8")):
        with pytest.raises(PolicyFileError, match=why):
            read_file(tmp_path / name)


def test_problems_come_in_the_order_of_lines() -> None:
    error = PolicyFileError([Problem("f:10", "b"), Problem("f:9", "a"), Problem("policy", "c")])
    assert [problem.message for problem in error.problems] == ["a", "b", "c"]
