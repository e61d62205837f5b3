"""What else changes when a statement changes tables: triggers that fire, and foreign keys that carry the change on.

The worker's catalog says which tables can be reached; the target is asked about their triggers and foreign keys, in words
that mean the same under every search path.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from proxy.session.questions import Question
from proxy.sql.catalog import Catalog, Relation
from proxy.sql.facts import Facts

_OID_ARRAY = 1028
_TRIGGERS = b"""
SELECT t.tgrelid, t.tgname, t.tgtype
FROM pg_catalog.pg_trigger t
WHERE t.tgrelid OPERATOR(pg_catalog.=) ANY ($1) AND NOT t.tgisinternal AND t.tgparentid OPERATOR(pg_catalog.=) 0::pg_catalog.oid
AND t.tgenabled OPERATOR(pg_catalog.=) ANY ('{O,A}'::pg_catalog."char"[])
ORDER BY t.oid
"""
_FOREIGN_KEYS = b"""
SELECT k.confrelid, k.conrelid, k.confdeltype, k.confupdtype,
(SELECT pg_catalog.json_agg(a.attname ORDER BY u.n) FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u(c, n)
JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) k.conrelid AND a.attnum OPERATOR(pg_catalog.=) u.c),
(SELECT pg_catalog.json_agg(a.attname ORDER BY u.n) FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY u(c, n)
JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) k.confrelid AND a.attnum OPERATOR(pg_catalog.=) u.c)
FROM pg_catalog.pg_constraint k
WHERE k.contype OPERATOR(pg_catalog.=) 'f'::pg_catalog."char" AND k.confrelid OPERATOR(pg_catalog.=) ANY ($1)
AND k.conparentid OPERATOR(pg_catalog.=) 0::pg_catalog.oid
ORDER BY k.oid
"""
_EVENTS = {"INSERT": 4, "DELETE": 8, "UPDATE": 16, "TRUNCATE": 32}  # bits of pg_trigger.tgtype
_ACTIONS = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_MOST = 100  # of each kind that are shown


@dataclass(slots=True)
class Consequences:
    """What is asked for; then :meth:`triggers` and :meth:`cascades` say what was found."""

    catalog: Catalog
    targets: Mapping[int, set[str]]  # relation → events
    columns: frozenset[str]  # that the statement names, schema.table.column
    questions: tuple[Question, ...] = ()
    _events: dict[int, set[str]] = field(default_factory=dict)
    _cascades: list[dict[str, object]] = field(default_factory=list)

    def read(self) -> None:
        """Take the target's answers into account."""
        keys = [_Key.of(row) for row in self.questions[1].rows]
        left = [(oid, event, self._named(oid)) for oid, events in self.targets.items() for event in sorted(events)]
        seen = set()
        while left:
            oid, event, columns = left.pop(0)
            for descendant in self.catalog.family(oid):
                self._events.setdefault(descendant, set()).add(event)
            for key in keys:
                action = key.action(oid, event, columns)
                if action and (key, event) not in seen:
                    seen.add((key, event))
                    self._cascades.append({"relation": self._name(key.child), "columns": list(key.columns), "action": f"{event} {action}"})
                    left.append((key.child, "DELETE" if (event, action) == ("DELETE", "CASCADE") else "UPDATE", frozenset(key.columns)))

    def triggers(self) -> list[dict[str, object]]:
        found = []
        for owner, name, kinds in self.questions[0].rows:
            events = self._events.get(int(owner or b"0"), set())
            for event in sorted(event for event in events if int(kinds or b"0") & _EVENTS[event]):
                found.append({"relation": self._name(int(owner or b"0")), "name": (name or b"").decode("utf-8", "replace"), "event": event})
        return found[:_MOST]

    def cascades(self) -> list[dict[str, object]]:
        return self._cascades[:_MOST]

    def _name(self, oid: int) -> str:
        relation = self.catalog.relation(oid)
        return relation.full_name if relation is not None else f"table {oid}"

    def _named(self, oid: int) -> frozenset[str]:
        prefix = self._name(oid) + "."
        return frozenset(column.removeprefix(prefix) for column in self.columns if column.startswith(prefix))


@dataclass(frozen=True, slots=True)
class _Key:
    parent: int
    child: int
    on_delete: str
    on_update: str
    columns: tuple[str, ...]
    referred: tuple[str, ...]

    @classmethod
    def of(cls, row: Sequence[bytes | None]) -> _Key:
        parent, child, on_delete, on_update, columns, referred = ((value or b"").decode("utf-8", "replace") for value in row)
        return cls(int(parent), int(child), on_delete, on_update, tuple(json.loads(columns)), tuple(json.loads(referred)))

    def action(self, oid: int, event: str, changed: frozenset[str]) -> str:
        """What this key does about it, if anything."""
        if self.parent != oid:
            return ""
        if event == "DELETE":
            return _ACTIONS.get(self.on_delete, "")
        return _ACTIONS.get(self.on_update, "") if event == "UPDATE" and not changed.isdisjoint(self.referred) else ""


def consequences(catalog: Catalog, statements: Iterable[Facts]) -> Consequences | None:
    """What to ask about a text; None where it changes no table that the catalog knows."""
    names = {relation.full_name: relation for relation in catalog.relations.values()}
    targets: dict[int, set[str]] = {}
    columns: set[str] = set()
    for facts in statements:
        events = {event for event in _EVENTS if event.lower() in facts.actions}
        columns |= facts.columns
        for relation in (names[name] for name in facts.writes if name in names and events):
            targets.setdefault(relation.oid, set()).update(events)
    if not targets:
        return None
    reached = {found.oid for oid in targets for found in _reached(catalog, oid)}
    oids = "{" + ",".join(map(str, sorted(reached))) + "}"
    asked = tuple(Question(sql, (_OID_ARRAY,), (), (oids.encode(),)) for sql in (_TRIGGERS, _FOREIGN_KEYS))
    return Consequences(catalog, targets, frozenset(columns), asked)


def _reached(catalog: Catalog, oid: int) -> tuple[Relation, ...]:
    return catalog.changed_with(oid)
