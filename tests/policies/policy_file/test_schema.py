"""Complaints say the line, what is wrong, and what was probably meant."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from policies.policy_file.document import read_text
from policies.policy_file.schema import POLICY, nearest, problems_in
from tests.policies.conftest import EXAMPLE


def complaints(text: str) -> list[str]:
    return [str(problem) for problem in problems_in(read_text(f"version: 1\n{text}", "f"))]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(POLICY)


def test_the_example_of_the_documentation_is_right() -> None:
    assert problems_in(read_text(EXAMPLE, "f")) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("retentoin: {}", "f:2: unknown key 'retentoin'; did you mean 'retention'?"),
        ("groups: agents", "f:2: groups: must be a list, not text"),
        ("groups: [1]", "f:2: groups: must be text, not a number (put it in quotes)"),
        ("groups: [yes]", "f:2: groups: must be text, not true or false (put it in quotes)"),
        ("groups:\n", "f:2: groups: must be a list, not nothing"),
        ("subjects: [{nam: x}]", "f:2: subjects: 'name' is missing"),
        ("subjects: [{nam: x}]", "f:2: unknown key 'nam' in subjects; did you mean 'name'?"),
        ("subjects: [{name: 'a b'}]", "f:2: name: 'a b' must be 1 to 63 letters, digits, '-', '_' or '.'"),
        ("subjects: [{name: x, kind: Agent}]", "f:2: kind: 'Agent' is none of agent, human, service; did you mean 'agent'?"),
        ("connections: [{name: c, host: h, dbname: d, user: u, port: 70000}]", "f:2: port: must be 65535 or less"),
        (
            "connections: [{name: c, host: h, dbname: d, user: u, statement_timeout: 30}]",
            "f:2: statement_timeout: must be text, not a number",
        ),
        ("connections: [{name: c, host: h, dbname: d, user: u, unanalyzable: {aprove: w}}]", "unknown key 'aprove' in unanalyzable"),
        ("connections: [{name: c, host: h, dbname: d, user: u, unanalyzable: maybe}]", "'maybe' is none of deny, allow"),
        ("masking: [{name: m, columns: [a.b.c], method: {partial: {first: -1}}}]", "f:2: first: must be 0 or more"),
        ("subjects: [{name: b, certificate: {uri: 'a:b', common_name: c}}]", "f:2: certificate: takes exactly one of uri, common_name"),
        ("subjects: [{name: b, certificate: {cn: c}}]", "unknown key 'cn' in certificate"),
        ("masking: [{name: m, columns: [a.b.c], method: {round: 9, fixed: x}}]", "f:2: method: takes exactly one of partial, round, fixed"),
        ("masking: [{name: m, columns: [], method: redact}]", "f:2: columns: needs at least one entry"),
        (
            "rules: [{name: r, when: {between: {from: 22:00, to: '06:00'}}, then: deny}]",
            "f:2: from: must be text, not a number (put it in quotes)",
        ),
        ("rules: [{name: r, when: {actions: [selct]}, then: deny}]", "did you mean 'select'?"),
        ("grants: [{to: {groups: [a]}, connections: [c], actions: [select], valid: {until: 2026-01-01}}]", "a time with its zone"),
        ("workflows: [{name: w, approvers: {}, expires: 0s}]", "a duration such as 30s"),
    ],
)
def test_complaints(text: str, complaint: str) -> None:
    found = complaints(text)
    assert any(complaint in line for line in found), found


def test_the_version_is_asked_for() -> None:
    assert [str(problem) for problem in problems_in(read_text("groups: []", "f"))] == ["f:1: 'version' is missing"]
    assert [str(problem) for problem in problems_in(read_text("version: 2", "f"))] == ["f:1: version: must be 1"]
    assert "must be a mapping" in str(problems_in(read_text("[]", "f"))[0])


def test_the_nearest_name() -> None:
    assert nearest("agnets", ["agents", "owners"]) == "; did you mean 'agents'?"
    assert nearest("zzz", ["agents"]) == ""
