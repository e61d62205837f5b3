"""Differences that are known and stay, each with its reason. By suite, then by a pattern (fnmatch) of the test's name."""

EXPECTED: dict[str, dict[str, str]] = {}
