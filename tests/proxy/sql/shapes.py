"""Other texts of the same shape, and an analysis that is made as if there were no shapes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from unittest import mock

from proxy.sql import analysis
from proxy.sql.catalog import Catalog
from proxy.sql.constants import nodes_of
from proxy.sql.facts import Analysis, AnalysisRequest
from proxy.sql.parser import Statement, same
from proxy.sql.shape import plain_constants, shape

# What could matter to somebody: names, options, placeholders, other spellings, what looks like the end of the constant.
VALUES = {
    b"'a'": [
        "''", "'***'", "'***@***.com'", "'q''q'", "''''", "'-- no'", "'/* no'", "'$1'", "'$a$'", "'ü€'", "'1 day'", "'$.a'", "'{1,2}'",
        "'\"'", "'search_path'", "'role'", "'crm.customers'", "'vault.people'", "'2024-01-01'", "'a\nb'", "'%_'",
        "'select secret from vault.people'",
    ],
    b"0": ["0", "1", "2", "7", "2147483647", "000000000001", "999999999"],
    b"9999999999": ["2147483648", "4294967296", "123456789012345678901234567890"],
    b"0.0": ["0.0", "1.50", "99999999999999.1"],
}  # fmt: skip


def varied(sql: str, chance: random.Random) -> str:
    """A text of the same shape with other constants."""
    while True:
        data, done, parts = sql.encode(), 0, []
        for start, end, kind in plain_constants(data) or ():
            parts += [data[done:start], chance.choice(VALUES[kind]).encode()]
            done = end
        other = b"".join([*parts, data[done:]])
        if b"by " not in data.lower() or shape(other) == shape(data):  # ORDER BY 1000 must not become ORDER BY 7
            return other.decode()


def plainly_analysed(request: AnalysisRequest, catalog: Catalog | None) -> Analysis:
    """By the text's own tree and its own words alone."""
    with mock.patch.object(analysis, "keep", _keep_nothing):
        return analysis.analyse(request, catalog)


def _keep_nothing(sql: str, statements: Sequence[Statement]) -> None:
    return None


def equal_but_for_constants(one: Statement, other: Statement) -> bool:
    for statement in (one, other):
        for node in nodes_of(statement.node):
            node.update({field: {} for field in node.keys() & {"ival", "fval", "sval"}})
    return one.kind == other.kind and same(one.node, other.node)
