"""What the analysis says of statements on their way to a server, with the server's catalog as it is at each of them."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field, replace

import psycopg
from psycopg.pq import ExecStatus

from proxy.policy.masks import Mask, fitted
from proxy.sql.analysis import analyse
from proxy.sql.catalog import FIRST_USER_OID, QUERIES, Catalog
from proxy.sql.facts import Analysis, AnalysisRequest
from proxy.sql.parser import SyntaxFailure, TooMuch, parse
from tests.proxy.sql.shapes import plainly_analysed, varied

Rows = dict[str, list[list[str | None]]]

MASKED = ("public.onek.stringu1", "public.tenk1.stringu2", "public.person.name")
_NAME = re.compile(r"\w+\.\w+")
# What is PostgreSQL's own in the answers to these is read once: reading all of it for each statement that changes something takes hours.
_MOSTLY_SYSTEM = ("relations", "columns")


@dataclass(slots=True)
class Look:
    """A text with what the analysis says of it. ``kind``: of its only statement."""

    text: str
    analysis: Analysis
    kind: str = ""
    makes_table: bool = False  # SELECT … INTO

    @property
    def refusal(self) -> str:
        """Why it would be refused, or ""."""
        problems = [facts.problem for facts in self.analysis.statements if facts.problem]
        plan = self.analysis.plan
        return self.analysis.problem or next(iter(problems), "") or (plan.reason if plan.kind == "refuse" else "")

    @property
    def opaque(self) -> bool:
        return any(facts.opaque_functions for facts in self.analysis.statements)


@dataclass
class Analyst:
    """``seen`` counts what came of the statements; ``refused`` holds SELECTs that PostgreSQL ran and the gateway would not have."""

    dsn: str
    masked: tuple[str, ...] = MASKED
    seen: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[str, str]] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    stale: bool = True
    _chance: random.Random = field(default_factory=lambda: random.Random(7))
    _catalog: Catalog | None = None
    _system: Catalog | None = None
    _connection: psycopg.Connection[tuple[object, ...]] | None = None

    def examine(self, text: str, path: tuple[str, ...], *, idle: bool) -> Look:
        """Analyse a text; ``idle``: no transaction is open, so that the catalog can be known."""
        if self.stale and idle:
            self._read_catalog()
        look = self._look(text, path)
        if look.analysis.unknown_relations and idle:  # the gateway, too, reads the catalog anew then
            self._read_catalog()
            look = self._look(text, path)
        return look

    def conclude(self, look: Look, sqlstate: str) -> None:
        """What the server made of it: an error's code, or nothing."""
        analysis, seen = look.analysis, self.seen
        statements = analysis.statements
        self.stale = self.stale or not statements or any(f.schema_changes or f.names_change or f.problem for f in statements)
        seen["texts"] += 1
        if analysis.syntax is not None:
            seen["syntax errors"] += 1
            if not sqlstate:
                self.faults.append((f"a syntax error to the analysis, none to the server: {analysis.syntax.message}", look.text))
            return
        seen["statements with facts"] += sum(not facts.problem for facts in statements)
        seen["unanalyzable"] += sum(bool(facts.problem) for facts in statements) + bool(analysis.problem)
        for problem in filter(None, (analysis.problem, *(facts.problem for facts in statements))):
            seen[f"unanalyzable: {_NAME.sub('…', problem)}"] += 1
        if look.refusal:
            seen[f"refused: {look.kind or 'several'}"] += 1
        if look.kind != "SelectStmt" or sqlstate:
            return
        seen["SELECTs that the server ran"] += 1
        if look.opaque:
            seen["SELECTs with unknown functions"] += 1
        elif look.refusal:
            seen["SELECTs refused"] += 1
            self.refused.append((look.refusal, look.text))
        elif analysis.plan.kind != "none":
            seen[f"SELECTs masked by {analysis.plan.kind}"] += 1

    def broken(self, look: Look, message: str) -> None:
        """The server does not run what masking made of a SELECT that it ran."""
        self.seen["SELECTs refused"] += 1
        self.refused.append((f"masked, and then: {message}", look.text))

    @property
    def rate(self) -> float:
        """Refused SELECTs of those that call no unknown function."""
        judged = self.seen["SELECTs that the server ran"] - self.seen["SELECTs with unknown functions"]
        return self.seen["SELECTs refused"] / max(judged, 1)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _look(self, text: str, path: tuple[str, ...]) -> Look:
        digest = self._catalog.digest if self._catalog else ""
        request = AnalysisRequest(text, digest, path, self._masks(), digest)
        try:
            analysis = analyse(request, self._catalog)
            self._compare(request, analysis)
        except Exception as error:  # what the analysis promises never to do
            self.faults.append((f"{type(error).__name__}: {error}", text))
            analysis = Analysis(problem="crashed")
        try:
            statements = parse(text)
        except (SyntaxFailure, TooMuch):
            statements = ()
        if len(statements) != 1:
            return Look(text, analysis)
        return Look(text, analysis, statements[0].kind, "intoClause" in statements[0].node)

    def _compare(self, request: AnalysisRequest, found: Analysis) -> None:
        """What is said to hold for all texts of a shape is what another one of them gets by its own words."""
        if found.constants_matter:
            return
        self.seen["texts analysed for all of their shape"] += 1
        other = varied(request.sql, self._chance)
        made = plainly_analysed(replace(request, sql=other), self._catalog)
        if replace(found, constants_matter=True) != made:
            self.faults.append((f"another analysis with other constants: {other}", request.sql))

    def _masks(self) -> dict[tuple[int, int], Mask]:
        found = {}
        for name in self.masked:
            schema, relation_name, column_name = name.split(".")
            relation = self._catalog.resolve((schema, relation_name), ()) if self._catalog else None
            column = relation.column(column_name) if relation else None
            if relation is not None and column is not None:
                found[relation.oid, column.attnum] = fitted(Mask("redact", rule="regress"), column)
        return found

    def _read_catalog(self) -> None:
        """Where a lock of the session that is watched is in the way, the old one stays, as in the gateway."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self.dsn, autocommit=True, options="-c lock_timeout=200 -c statement_timeout=10000")
        if self._system is None:
            self._system = Catalog.load({name: self._rows(query) or [] for name, query in QUERIES.items()})
        rows: Rows = {}
        for name, query in QUERIES.items():
            if name != "builtins":
                own = f"SELECT * FROM ({query}) AS q (first) WHERE first >= {FIRST_USER_OID}"
                read = self._rows(own if name in _MOSTLY_SYSTEM else query)
                if read is None:
                    return
                rows[name] = read
        own_part, system = Catalog.load(rows), self._system
        self._catalog = replace(
            own_part,
            builtins=system.builtins,
            relations={**{oid: one for oid, one in system.relations.items() if oid < FIRST_USER_OID}, **own_part.relations},
            _by_name={**{key: oid for key, oid in system._by_name.items() if oid < FIRST_USER_OID}, **own_part._by_name},
        )
        self.stale = False

    def _rows(self, query: str) -> list[list[str | None]] | None:
        assert self._connection is not None
        result = self._connection.pgconn.exec_(query.encode())
        if result.status != ExecStatus.TUPLES_OK:
            self.seen["catalogs that could not be read"] += 1
            return None
        cells = range(result.nfields)
        return [[None if (cell := result.get_value(i, j)) is None else cell.decode() for j in cells] for i in range(result.ntuples)]
