"""Which columns are masked for a subject: masking rules crossed with the columns of a catalog."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from proxy.policy.bundle import Bundle, MaskingRule
from proxy.policy.masks import Column, Mask, fitted

# A bare ``*`` for the schema means the schemas that people made; what PostgreSQL's own views show of values is the
# analysis' concern, and masking e.g. every ``name`` of pg_catalog would break every client.
SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema"})


class Relation(Protocol):
    """What is asked of :class:`proxy.sql.catalog.Relation`."""

    @property
    def oid(self) -> int: ...
    @property
    def schema(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def columns(self) -> Iterable[Column]: ...


class Catalog(Protocol):
    """What is asked of :class:`proxy.sql.catalog.Catalog`."""

    @property
    def relations(self) -> Mapping[int, Relation]: ...


@dataclass(frozen=True, slots=True)
class MaskSet:
    """The masks in force for one subject on one database."""

    by_column: Mapping[tuple[int, int], Mask]  # (relation oid, attribute number)
    digest: str  # equal sets have equal digests
    valid_until: float  # seconds since the epoch; a clearance ends then (``inf``: none does)


def masks_for(bundle: Bundle, subject: str, connection: str, catalog: Catalog, now: float, groups: frozenset[str] = frozenset()) -> MaskSet:
    """The first matching rule that the subject is not cleared for masks a column. ``groups``: those that a token adds."""
    known = bundle.subject(subject) is not None
    member = bundle.groups_of(subject, groups)
    rules = bundle.masking_on(connection)
    in_force = [rule for rule in rules if not known or not is_cleared(rule, subject, member, now)]
    by_column = {
        (relation.oid, column.attnum): fitted(rule.mask, column)
        for relation in catalog.relations.values()
        for column in relation.columns
        if (rule := _first(in_force, relation, column)) is not None
    }
    ends = [clearance.until for rule in rules for clearance in rule.cleared if clearance.until is not None and now < clearance.until]
    return MaskSet(by_column, _digest(by_column), min(ends, default=math.inf))


def masks_by_name(
    bundle: Bundle, subject: str, connection: str, columns: Iterable[str], now: float, groups: frozenset[str] = frozenset()
) -> dict[str, Mask]:
    """As :func:`masks_for`, for dotted names of the facts where no catalog is at hand: a column that *could* be meant is masked."""
    member = bundle.groups_of(subject, groups)
    in_force = [rule for rule in bundle.masking_on(connection) if not is_cleared(rule, subject, member, now)]
    return {name: rule.mask for name in columns if (rule := _first_by_name(in_force, name)) is not None}


def is_cleared(rule: MaskingRule, subject: str, groups: frozenset[str], now: float) -> bool:
    """Whether the subject has the right to see this rule's columns unmasked at this moment."""
    return any(
        (clearance.until is None or now < clearance.until) and (subject in clearance.subjects or not groups.isdisjoint(clearance.groups))
        for clearance in rule.cleared
    )


def _first(rules: Iterable[MaskingRule], relation: Relation, column: Column) -> MaskingRule | None:
    names = (relation.schema, relation.name, column.name)
    own = relation.schema in SYSTEM_SCHEMAS
    for rule in rules:
        for pattern in rule.columns:
            if pattern.matches(names) and not (own and pattern.any_schema):
                return rule
    return None


def _first_by_name(rules: Iterable[MaskingRule], name: str) -> MaskingRule | None:
    own = name.split(".", 1)[0] in SYSTEM_SCHEMAS
    for rule in rules:
        if any(pattern.matches_fact(name, certain=False) and not (own and pattern.any_schema) for pattern in rule.columns):
            return rule
    return None


def _digest(by_column: Mapping[tuple[int, int], Mask]) -> str:
    content = [
        [oid, attnum, mask.method, list(mask.arguments), mask.rule, mask.lookups, mask.typmod]
        for (oid, attnum), mask in sorted(by_column.items())
    ]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
