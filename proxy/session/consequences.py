"""What else changes when a statement changes tables: triggers that fire, and foreign keys that carry the change on.

The worker's catalog says which tables can be reached; the target is asked about their triggers and foreign keys, in words
that mean the same under every search path. Conditions of triggers are not looked at: what is told may turn out not to happen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from proxy.session.questions import Question
from proxy.sql.catalog import Catalog
from proxy.sql.facts import Facts

_OID_ARRAY = 1028
# Of a partition, what its parent has too is told of the parent, if that is asked about.
_TRIGGERS = b"""
SELECT t.tgrelid, t.tgname, t.tgtype,
(SELECT pg_catalog.json_agg(a.attname) FROM pg_catalog.pg_attribute a
WHERE a.attrelid OPERATOR(pg_catalog.=) t.tgrelid AND a.attnum OPERATOR(pg_catalog.=) ANY (t.tgattr))
FROM pg_catalog.pg_trigger t
WHERE t.tgrelid OPERATOR(pg_catalog.=) ANY ($1) AND NOT t.tgisinternal
AND t.tgenabled OPERATOR(pg_catalog.=) ANY ('{O,A}'::pg_catalog."char"[])
AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger p
WHERE p.oid OPERATOR(pg_catalog.=) t.tgparentid AND p.tgrelid OPERATOR(pg_catalog.=) ANY ($1))
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
AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint p
WHERE p.oid OPERATOR(pg_catalog.=) k.conparentid AND p.confrelid OPERATOR(pg_catalog.=) ANY ($1))
ORDER BY k.oid
"""
_EVENTS = {"INSERT": 4, "DELETE": 8, "UPDATE": 16, "TRUNCATE": 32}  # bits of pg_trigger.tgtype
_CAUSES = {"insert": "INSERT", "copy_from": "INSERT", "update": "UPDATE", "delete": "DELETE", "truncate": "TRUNCATE"}
_ACTIONS = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_TABLES = frozenset({"r", "p", "f"})  # pg_class.relkind; changes of a view end in other tables
_MOST = 100  # of each kind that are shown


@dataclass(slots=True)
class Consequences:
    """What is asked for; once that is answered and read, :meth:`triggers` and :meth:`cascades` say what was found."""

    catalog: Catalog
    targets: Mapping[int, set[str]]  # relation → events
    assigned: frozenset[str]  # columns that get new values, schema.table.column
    read: Callable[[bytes], str]
    questions: tuple[Question, ...] = ()
    _changes: dict[tuple[int, str], set[str]] = field(default_factory=dict)  # by relation and event: columns
    _cascades: list[dict[str, object]] = field(default_factory=list)

    def read_answers(self) -> None:
        keys = [_Key.of(list(map(self._text, row))) for row in self.questions[1].rows]
        left = [(oid, event, self._assigned_of(oid)) for oid, events in self.targets.items() for event in sorted(events)]
        seen: set[tuple[_Key, str]] = set()
        while left:
            oid, event, columns = left.pop(0)
            for descendant in self.catalog.family(oid):
                self._changes.setdefault((descendant, event), set()).update(columns)
                for key in keys:
                    action = key.action(descendant, event, columns)
                    if not action or (key, event) in seen or (event == "TRUNCATE" and key.child in self.targets):
                        continue
                    seen.add((key, event))
                    self._cascades.append({"relation": self._name(key.child), "columns": list(key.columns), "action": f"{event} {action}"})
                    left.append((key.child, event if action == "CASCADE" else "UPDATE", frozenset(key.columns)))

    def triggers(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        for owner, name, kinds, of in (list(map(self._text, row)) for row in self.questions[0].rows):
            for event, bit in _EVENTS.items():
                changed = self._changes.get((int(owner), event))
                of_others = event == "UPDATE" and of and changed is not None and changed.isdisjoint(json.loads(of))
                if changed is not None and int(kinds) & bit and not of_others:
                    found.append({"relation": self._name(int(owner)), "name": name, "event": event})
        return found[:_MOST]

    def cascades(self) -> list[dict[str, object]]:
        return self._cascades[:_MOST]

    def _text(self, value: bytes | None) -> str:
        return self.read(value or b"")

    def _name(self, oid: int) -> str:
        relation = self.catalog.relation(oid)
        return relation.full_name if relation is not None else f"table {oid}"

    def _assigned_of(self, oid: int) -> frozenset[str]:
        prefix = self._name(oid) + "."
        return frozenset(column.removeprefix(prefix) for column in self.assigned if column.startswith(prefix))


@dataclass(frozen=True, slots=True)
class _Key:
    parent: int
    child: int
    on_delete: str
    on_update: str
    columns: tuple[str, ...]
    referred: tuple[str, ...]

    @classmethod
    def of(cls, row: Sequence[str]) -> _Key:
        parent, child, on_delete, on_update, columns, referred = row
        return cls(int(parent), int(child), on_delete, on_update, tuple(json.loads(columns)), tuple(json.loads(referred)))

    def action(self, oid: int, event: str, changed: frozenset[str]) -> str:
        """What this key does about it, if anything."""
        if self.parent != oid:
            return ""
        if event == "TRUNCATE":
            return "CASCADE"  # without that word the target refuses to leave out a table that refers to it
        if event == "DELETE":
            return _ACTIONS.get(self.on_delete, "")
        return _ACTIONS.get(self.on_update, "") if event == "UPDATE" and not changed.isdisjoint(self.referred) else ""


def changes_rows(facts: Facts) -> bool:
    return not facts.actions.isdisjoint(_CAUSES)


def consequences(
    catalog: Catalog, facts: Facts, assigned: frozenset[str] | None, read: Callable[[bytes], str]
) -> Consequences | None:
    """What to ask about a statement; None where it changes no rows, or none of a table that the catalog knows.

    ``assigned``: the columns that get new values, where that is known; ``read``: what makes text of the target's answers.
    """
    events = {event for action, event in _CAUSES.items() if action in facts.actions}
    written = [relation for relation in catalog.relations.values() if relation.full_name in facts.writes]
    if not events or not written or any(relation.kind not in _TABLES or relation.has_rules for relation in written):
        return None
    targets = {relation.oid: set(events) for relation in written}
    reached = {found.oid for oid in targets for found in catalog.changed_with(oid)}
    if "TRUNCATE" in events:
        reached |= set(_referring(catalog, targets))
    oids = "{" + ",".join(map(str, sorted(reached))) + "}"
    asked = tuple(Question(sql, (_OID_ARRAY,), (), (oids.encode(),)) for sql in (_TRIGGERS, _FOREIGN_KEYS))
    return Consequences(catalog, targets, facts.columns if assigned is None else assigned, read, asked)


def _referring(catalog: Catalog, oids: Iterable[int]) -> list[int]:
    """Tables that refer to these by foreign keys, however far."""
    found = list(oids)
    for oid in found:
        referring = [other.oid for other in catalog.relations.values() if any(key[1] == oid for key in other.foreign_keys)]
        found += [other for other in referring if other not in found]
    return found
