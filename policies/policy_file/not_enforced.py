"""Features that a policy may use already, although nothing acts on them yet. They are accepted, checked and reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from policies.policy_file.document import Problem, Source, items

# section → (where in the entry, the value that needs it or None for any, what does not happen yet)
NOT_ENFORCED_YET: dict[str, tuple[tuple[tuple[str, ...], tuple[Any, ...] | None, str], ...]] = {
    "connections": (
        (("row_evidence",), ("keys", "digest"), "the audit keeps the count of rows, neither keys nor digest"),
    ),
    "workflows": (
        (("auto_approve",), None, "nothing is approved without a person"),
        (("notify", "webhook"), None, "approvers hear by e-mail only"),
        (("escalate",), None, "requests are not escalated"),
    ),
}
RETENTION = "values in the audit are not erased"


def notes(sources: Sequence[Source]) -> Iterator[Problem]:
    """One line for every use of such a feature."""
    for section, features in NOT_ENFORCED_YET.items():
        for item in items(sources, section):
            for path, values, consequence in features:
                value = _at(item.value, path)
                if value is not None and (values is None or value in values):
                    yield Problem(item.at(*path), f"{'.'.join(path)} is not enforced yet: {consequence}")
    for source in sources:
        if "retention" in source.data:
            yield Problem(source.at("retention"), f"retention is not enforced yet: {RETENTION}")


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value
