"""Patterns of policy files: ``schema.table.column`` with ``*`` and ``?``, parts double-quoted as in SQL.

An unquoted part is folded to lower case, as PostgreSQL folds identifiers; quoting keeps case and dots. Wildcards work
in quoted parts too: a mask that covers one column too many is the safe mistake.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A qualified name pattern, one compiled expression per part."""

    source: str
    parts: tuple[re.Pattern[str], ...]
    any_schema: bool  # the first part is a bare ``*``

    def matches(self, names: tuple[str, ...]) -> bool:
        """Whether exactly these name parts match, part by part."""
        return len(names) == len(self.parts) and all(part.fullmatch(name) for part, name in zip(self.parts, names, strict=True))

    def matches_fact(self, name: str, *, certain: bool) -> bool:
        """Whether a dotted name of the facts matches.

        Facts leave the schema out where it could not be resolved, and a name may itself hold dots. Such a name matches
        if it *could* be meant; with ``certain`` (rules that allow) only if it cannot be anything else.
        """
        names = tuple(name.split("."))
        if len(names) == len(self.parts):
            return self.matches(names)
        if len(names) > len(self.parts):
            return not certain
        given = self.parts[-len(names) :]
        fits = all(part.fullmatch(text) for part, text in zip(given, names, strict=True))
        missing = self.parts[: -len(names)]
        return fits and (not certain or all(part.pattern == ".*" for part in missing))


def parse_pattern(source: str, *, parts: int, default_schema: str | None = None) -> NamePattern:
    """Compile ``source`` to a pattern of exactly ``parts`` parts.

    With ``default_schema`` a pattern that is one part short gets that first part. Raises ValueError saying what is wrong.
    """
    found = _split(source)
    if default_schema is not None and len(found) == parts - 1:
        found.insert(0, default_schema)
    if len(found) != parts:
        shape = {1: "name", 2: "schema.name", 3: "schema.table.column"}[parts]
        raise ValueError(f"{source!r} is not of the form {shape}")
    return NamePattern(source, tuple(wildcard(part) for part in found), found[0] == "*")


def split_name(source: str, parts: int) -> tuple[str, ...]:
    """The parts of one name, as PostgreSQL reads it. Raises ValueError where they are not so many."""
    found = tuple(_split(source))
    if len(found) != parts:
        raise ValueError(f"{source!r} has {len(found)} part{'s' * (len(found) != 1)} in place of {parts}")
    return found


def wildcard(text: str) -> re.Pattern[str]:
    """Compile ``*`` (any characters) and ``?`` (one character); everything else stands for itself."""
    collapsed = re.sub(r"\*+", "*", text)
    translated = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in collapsed)
    return re.compile(translated, re.DOTALL)


def _split(source: str) -> list[str]:
    """Split at the dots outside double quotes, as PostgreSQL reads a qualified name."""
    parts: list[str] = []
    position = 0
    while True:
        match = re.compile(r'"((?:[^"]|"")+)"|([^".\s]+)').match(source, position)
        if match is None:
            raise ValueError(f"{source!r} is not a name: expected a name at character {position + 1}")
        quoted, plain = match.groups()
        parts.append(quoted.replace('""', '"') if quoted is not None else _fold(plain))
        position = match.end()
        if position == len(source):
            return parts
        if source[position] != ".":
            raise ValueError(f"{source!r} is not a name: expected a dot at character {position + 1}")
        position += 1


def _fold(name: str) -> str:
    # PostgreSQL folds ASCII letters always and others by locale only in single-byte encodings.
    return re.sub("[A-Z]+", lambda match: match.group().lower(), name)
