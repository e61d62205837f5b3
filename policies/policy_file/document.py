"""YAML as plain values that remember the line each came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Steps = tuple[str | int, ...]  # the way from the document's top: ("rules", 2, "then")
_MAX_VALUES = 200_000  # aliases can make a small file expand without end


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file; printed as ``file:line: message``."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class PolicyFileError(Exception):
    """A policy that cannot be applied; nothing was changed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=_by_line))
        super().__init__("\n".join(map(str, self.problems)))


def _by_line(problem: Problem) -> tuple[str, int]:
    name, _, line = problem.where.rpartition(":")
    return (name, int(line)) if line.isdigit() else (problem.where, 0)


@dataclass(frozen=True, slots=True)
class Source:
    """One file, read."""

    name: str
    data: Any
    lines: dict[Steps, int] = field(repr=False)

    def at(self, *steps: str | int) -> str:
        """``file:line`` of what is there, or of the nearest thing around it."""
        while steps not in self.lines and steps:
            steps = steps[:-1]
        return f"{self.name}:{self.lines.get(steps, 1)}"


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a section and where it stands."""

    value: Any
    source: Source
    steps: Steps

    def at(self, *steps: str | int) -> str:
        return self.source.at(*self.steps, *steps)


def items(sources: Sequence[Source], section: str) -> Iterator[Item]:
    """The entries of a section, in all files."""
    for source in sources:
        for position, value in enumerate(source.data.get(section) or []):
            yield Item(value, source, (section, position))


def read_file(path: Path) -> Source:
    """Read one file. Raises PolicyFileError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise PolicyFileError([Problem(str(path), f"cannot be read: {problem.strerror}")]) from None
    except UnicodeDecodeError:
        raise PolicyFileError([Problem(str(path), "is not UTF-8 text")]) from None
    return read_text(text, str(path))


def read_text(text: str, name: str) -> Source:
    """Parse YAML. Raises PolicyFileError with the line."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        said = getattr(problem, "problem", None) or getattr(problem, "context", None) or "cannot be read"
        raise PolicyFileError([Problem(where, f"not YAML: {said}")]) from None
    if node is None:
        raise PolicyFileError([Problem(f"{name}:1", "the file is empty; it begins with 'version: 1'")])
    reader = _Reader(name)
    data = reader.value(node, ())
    if reader.problems:
        raise PolicyFileError(reader.problems)
    return Source(name, data, reader.lines)


class _Reader:
    """Builds values from YAML nodes, with a line for every step."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Steps, int] = {}
        self.problems: list[Problem] = []
        self._scalars = yaml.SafeLoader("")
        self._open: set[int] = set()
        self._count = 0

    def value(self, node: yaml.Node, steps: Steps) -> Any:
        self.lines.setdefault(steps, node.start_mark.line + 1)
        self._count += 1
        if id(node) in self._open or self._count > _MAX_VALUES:
            self._problem(node, "this alias contains itself, or the file expands to too much")
            return None
        self._open.add(id(node))
        try:
            return self._inside(node, steps)
        finally:
            self._open.discard(id(node))

    def _inside(self, node: yaml.Node, steps: Steps) -> Any:
        if node.tag not in _TAGS:
            self._problem(node, f"the tag {node.tag} is not supported")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, steps)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*steps, position)) for position, child in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, steps: Steps) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key, str) or key_node.tag == "tag:yaml.org,2002:merge":
                self._problem(key_node, "a key is plain text; merge keys (<<) are not supported")
                continue
            if key in found:
                self._problem(key_node, f"'{key}' is there twice")
            self.lines[(*steps, key)] = key_node.start_mark.line + 1
            found[key] = self.value(value_node, (*steps, key))
        return found

    def _scalar(self, node: yaml.Node) -> Any:
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value  # read later, where a time is expected: a name may look like a date
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError):
            self._problem(node, f"{node.value!r} cannot be read")
            return None

    def _problem(self, node: yaml.Node, message: str) -> None:
        self.problems.append(Problem(f"{self.name}:{node.start_mark.line + 1}", message))


_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp"))
