"""The analysis of one query text: what each statement is and touches, and how masked columns are kept from the client.

This is the one entrance to the package: :func:`analyse`. It is a pure function of its arguments and never raises for what
the text says; what cannot be analysed is said to be so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from proxy.sql.bodies import Outcome, follow, follow_block
from proxy.sql.catalog import Catalog, Relation
from proxy.sql.classify import TRANSACTION, changes_names, changes_reading
from proxy.sql.constants import Constants, keep
from proxy.sql.copy_out import copy_out
from proxy.sql.counting import count_of
from proxy.sql.effective import EffectiveMasks
from proxy.sql.facts import Analysis, AnalysisRequest, Facts, MaskPlan, SyntaxProblem
from proxy.sql.inline import inline
from proxy.sql.parser import Node, Statement, SyntaxFailure, TooMuch, normalise, parse
from proxy.sql.plan import Verdict, plan_statement
from proxy.sql.planned import can_be_planned, planned_text
from proxy.sql.scan import CannotSplice, splice
from proxy.sql.statements import read_statement
from proxy.sql.walk import Qualified, Reader

_INLINED = 8  # how deep views and functions that use one another are replaced


def analyse(request: AnalysisRequest, catalog: Catalog | None) -> Analysis:
    """Analyse one query text under one catalog, search path and set of masks."""
    try:
        statements = parse(request.sql)
    except SyntaxFailure as failure:
        return Analysis(syntax=SyntaxProblem(failure.message, failure.position))
    except TooMuch as problem:
        return Analysis(problem=str(problem), plan=_refused(request, str(problem)))
    try:
        constants = keep(request.sql, statements)
        text = _Text(request, catalog, statements, constants)
        analysis = text.analysis()
        if analysis.plan.kind == "refuse":
            analysis = _with_planned(request, _with_inlined(text, analysis))  # of this text alone, as every text that is rewritten
        else:
            analysis = _with_planned(request, analysis)
            analysis = replace(analysis, constants_matter=not _is_general(analysis, constants))
        return _with_count(request, catalog, analysis) if request.counting else analysis
    except RecursionError:
        problem_text = "the statement is nested too deeply to be analysed"
        return Analysis(problem=problem_text, plan=_refused(request, problem_text))


def _is_general(analysis: Analysis, constants: Constants | None) -> bool:
    """Whether this is the analysis of every text of the same shape: nothing in it comes from the constants or their places."""
    if constants is None or constants.seen or analysis.plan.kind == "scan" or analysis.planned:
        return False
    (facts,) = analysis.statements
    return not facts.problem and constants.left_nothing(facts.normalised)


def _with_inlined(text: _Text, analysis: Analysis) -> Analysis:
    """A refused text once more, with views and SQL functions that read masked columns replaced by their queries."""
    request, statements, masks = text.request, text.statements, text.masks
    if text.catalog is None or len(statements) > 1:
        return analysis

    def concerns(outcome: Outcome) -> bool:
        return any(masks.masked(reference.sources) for _, body in outcome.bodies for reference in body.references)

    def hides(view: Relation) -> bool:
        return bool(masks.of(view).refuse)

    for _ in range(_INLINED):
        try:
            sql = inline(request.sql, statements, text.catalog, request.search_path, request.trusted_functions, concerns, hides)
            statements = parse(sql) if sql is not None else ()
        except (SyntaxFailure, TooMuch):
            return analysis
        if sql is None:
            return analysis
        request = replace(request, sql=sql)
        plan = _Text(request, text.catalog, statements).analysis().plan
        if plan.kind != "refuse":
            masked = tuple(sorted({*analysis.plan.masked, *plan.masked}))
            return replace(analysis, plan=replace(plan, kind="scan", sql=plan.sql or sql, masked=masked))
    return analysis


def _with_planned(request: AnalysisRequest, analysis: Analysis) -> Analysis:
    """What the planner is asked about, of a statement that holds the query that it runs."""
    if len(analysis.statements) != 1 or not analysis.statements[0].planned or analysis.statements[0].action not in _AROUND_A_QUERY:
        return analysis
    text = planned_text(analysis.plan.sql or request.sql)
    return replace(analysis, planned=text, statements=(replace(analysis.statements[0], planned=text != ""),))


_AROUND_A_QUERY = frozenset({"explain", "copy_to", "copy_file", "copy_program"})


def _with_count(request: AnalysisRequest, catalog: Catalog | None, analysis: Analysis) -> Analysis:
    if analysis.plan.kind == "refuse":
        return analysis
    count = count_of(analysis.plan.sql or request.sql, request, catalog)
    return replace(analysis, count=count, constants_matter=True)  # they stand in what counts


def _refused(request: AnalysisRequest, reason: str) -> MaskPlan:
    return MaskPlan("refuse", reason=reason) if request.masks else MaskPlan()


@dataclass(slots=True)
class _Read:
    """One statement, read."""

    facts: Facts
    verdict: Verdict
    qualified: list[Qualified] = field(default_factory=list)


class _Text:
    """Goes through the statements of a text in the order in which the server will bind their names."""

    def __init__(
        self, request: AnalysisRequest, catalog: Catalog | None, statements: Sequence[Statement], constants: Constants | None = None
    ) -> None:
        self.request, self.catalog, self.statements, self.constants = request, catalog, statements, constants
        self.data = request.sql.encode()
        self.masks = EffectiveMasks(catalog, request)
        self.path: tuple[str, ...] | None = request.search_path  # None: an earlier statement of the text may have changed it
        self.created: set[str] = set()  # by earlier statements of the text
        self.redefined = False  # an earlier statement may have changed what names stand for
        self.unknown: set[str] = set()
        self.unknown_function = ""

    def analysis(self) -> Analysis:
        read = [self._statement(statement) for statement in self.statements]
        return Analysis(
            statements=tuple(one.facts for one in read), plan=self._plan(read), unknown_relations=frozenset(self.unknown),
            unknown_function=self.unknown_function,
        )

    def _statement(self, statement: Statement) -> _Read:
        reader = Reader(self.catalog, self.path or self.request.search_path, self.request.trusted_functions)
        action = read_statement(reader, statement.kind, statement.node)
        text = self.data[statement.start : statement.start + statement.length].decode()
        outcome = follow(reader)
        outcome.block_read = statement.kind == "DoStmt" and follow_block(text, reader, outcome)
        self.unknown |= reader.unknown - self.created
        if len(self.statements) == 1:
            self.unknown_function = next((verdict.name for verdict in reader.calls if verdict.kind == "unknown"), "")
        problem = reader.problem or outcome.problem or self._binding_problem(reader)
        facts = _facts(statement, action, reader, outcome, problem, normalise(text))
        if problem:
            verdict = Verdict("refuse", problem) if self.masks else Verdict()
        else:
            general = self.constants.text if self.constants is not None else text
            verdict = plan_statement(statement, general, reader, outcome, self.masks, self.request)
        self._go_on(statement, facts)
        return _Read(facts, verdict, reader.qualified)

    def _binding_problem(self, reader: Reader) -> str:
        """Names of a later statement of the text may mean something else when the server comes to it."""
        names = reader.uses or reader.unknown - self.created or reader.writes
        if self.path is None and names:
            return "an earlier statement of the same query changes what names mean; send them one by one"
        if self.redefined and (names or reader.calls):
            return "an earlier statement of the same query changes definitions; send them one by one"
        return ""

    def _go_on(self, statement: Statement, facts: Facts) -> None:
        """What the statement means for those after it."""
        kind, node = statement.kind, statement.node
        if kind in ("CreateStmt", "CreateTableAsStmt", "SelectStmt") and facts.schema_changes and not facts.opaque_functions:
            # New and not there before, so nothing that is known means something else now, but for its own name.
            target = node.get("relation") or (node.get("into") or node.get("intoClause") or {}).get("rel") or {}
            name = ".".join(str(target[key]) for key in ("schemaname", "relname") if key in target)
            known = self.catalog.resolve(name.split("."), self.path or ()) if self.catalog else None
            self.created.add(name)
            self.redefined = self.redefined or known is not None or self.catalog is None
        elif kind == "VariableSetStmt" and facts.names_change:
            self.path = self._path_after(node)
        elif facts.names_change and kind != "TransactionStmt":
            self.path = None
        elif facts.schema_changes and kind not in ("IndexStmt", "CreateSeqStmt", "CommentStmt"):
            self.redefined = True
        elif kind == "TransactionStmt" and facts.names_change and self.path != self.request.search_path:
            self.path = None

    def _path_after(self, node: Node) -> tuple[str, ...] | None:
        """The path that ``SET search_path TO a, b`` makes, if it names schemas that exist; None where that is not known."""
        values = [argument.get("A_Const", {}).get("sval", {}).get("sval") for argument in node.get("args", ())]
        plain = node.get("kind") == "VAR_SET_VALUE" and str(node.get("name", "")).lower() == "search_path" and self.path is not None
        if not plain or self.catalog is None or any(not isinstance(value, str) or value == "$user" for value in values):
            return None
        if any(str(value).startswith("pg_temp") or "," in str(value) for value in values):
            return None
        temporary = [schema for schema in self.path or () if schema.startswith("pg_temp")]
        named = [str(value) for value in values if value in self.catalog.schemas]
        return (*temporary, *(() if "pg_catalog" in named else ("pg_catalog",)), *named)

    def _plan(self, read: Sequence[_Read]) -> MaskPlan:
        masked = tuple(sorted({name for one in read for name in one.verdict.masked}))
        sanitise = any(one.verdict.sanitise_errors for one in read)
        written = tuple(one for each in read for one in each.verdict.written)
        for one in read:
            if one.verdict.kind == "refuse":
                return MaskPlan("refuse", masked=masked, reason=one.verdict.reason, sanitise_errors=True)
        replacements = [replacement for one in read for replacement in one.verdict.replacements]
        if replacements:
            try:
                sql = splice(self.request.sql, self.statements, replacements, [item for one in read for item in one.qualified])
            except CannotSplice as reason:
                why = f"{', '.join(masked)} cannot be masked in this statement: {reason}"
                return MaskPlan("refuse", masked=masked, reason=why, sanitise_errors=True)
            return MaskPlan("scan", sql, masked, sanitise_errors=sanitise, written=written)
        kind = "result" if any(one.verdict.kind == "result" for one in read) else "none"
        return MaskPlan(kind, masked=masked, sanitise_errors=sanitise, written=written)


def _facts(statement: Statement, action: str, reader: Reader, outcome: Outcome, problem: str, normalised: str) -> Facts:
    kind, node = statement.kind, statement.node
    bodies = [body for _, body in outcome.bodies] + [action.reader for action in outcome.rules]
    everyone = [reader, *bodies]
    actions = reader.actions | outcome.actions | ({"unanalyzable"} if problem else set())
    return Facts(
        action="unanalyzable" if problem else action,
        actions=frozenset(actions),
        reads=frozenset(name for one in everyone for name in one.reads),
        writes=frozenset(name for one in everyone for name in one.writes),
        columns=frozenset(name for one in everyone for _, name in one.sources_named()),
        functions=frozenset(outcome.functions),
        opaque_functions=frozenset(outcome.opaque),
        without_where=any(one.without_where for one in everyone),
        names_change=changes_names(kind, node) or outcome.names_change,
        reading_changes=changes_reading(kind, node) or bool(outcome.opaque) or any(one.setting_calls for one in everyone),
        runs_prepared=reader.runs_prepared,
        planned=can_be_planned(kind, node) and not problem and not outcome.opaque and not any(body.writes for body in bodies),
        schema_changes=bool(outcome.opaque) or action in ("do", "call") or not actions.isdisjoint(("create", "alter", "drop")),
        transaction=TRANSACTION.get(node.get("kind", ""), "") if kind == "TransactionStmt" else "",
        start=statement.start,
        normalised=normalised,
        problem=problem,
        copy_out=copy_out(kind, node, reader.copied_out, reader.catalog),
    )
