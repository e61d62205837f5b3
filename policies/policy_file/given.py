"""Secrets and files that an entry names: read when the policy is applied, never written back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policies.policy_file.document import Item, Problem


@dataclass
class Reader:
    """Reads what entries name, and collects what went wrong or deserves a warning."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def secret(self, item: Item, name: str, *path: str) -> str | None:
        """The secret given as ``name``, ``name_env`` or ``name_file`` below ``path``; None if it is not given."""
        place = _below(item.value, path)
        ways = [way for way in (name, f"{name}_env", f"{name}_file") if way in place]
        if not ways:
            return None
        if len(ways) > 1:
            self.problems.append(Problem(item.at(*path, ways[1]), f"{' and '.join(ways)} exclude each other"))
            return None
        (way,) = ways
        where = item.at(*path, way)
        if way == name:
            self.warnings.append(Problem(where, f"'{name}' stands in the file in plain text; {name}_env or {name}_file keep it out"))
            return str(place[way])
        return self._variable(where, place[way]) if way.endswith("_env") else self.file(item, where, place[way], secret=True)

    def _variable(self, where: str, name: str) -> str | None:
        value = self.environment.get(name)
        if not value:
            self.problems.append(Problem(where, f"the environment variable {name} is not set"))
        return value or None

    def file(self, item: Item, where: str, name: str, *, secret: bool = False) -> str | None:
        """The text of a file; a relative name starts at the policy file's directory."""
        path = Path(item.source.name).parent / name
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            self.problems.append(Problem(where, f"cannot read {path}: {getattr(problem, 'strerror', None) or 'not UTF-8 text'}"))
            return None
        return text.rstrip("\r\n") if secret else text.strip()


def _below(value: Any, path: tuple[str, ...]) -> Mapping[str, Any]:
    for step in path:
        value = value.get(step) or {}
    found: Mapping[str, Any] = value
    return found
