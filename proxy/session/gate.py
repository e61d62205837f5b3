"""From a text to a decision: under which policy, catalog, masks and search path it is analysed, and what may stop it.

The gate answers; :mod:`proxy.session.relay` waits, forwards and refuses.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy import errors
from proxy.errors import Refusal
from proxy.policy import engine
from proxy.policy.bundle import Bundle, Connection
from proxy.policy.decision import Allow, Decision, Deny
from proxy.policy.engine import MaskSet, Question
from proxy.policy.placeholders import is_placeholder
from proxy.session.names import Names, codec, given_back_within, need_names
from proxy.session.prepared import AnalysisKey, Portal
from proxy.session.state import State
from proxy.sql.catalog import Catalog
from proxy.sql.facts import Analysis, AnalysisRequest, Facts

_NO_MASKS = MaskSet({}, "", float("inf"))
# Statements whose rows, if they have any, say where their columns come from: what a ``result`` plan can hold for.
_ROWS_BY_ORIGIN = frozenset({"select", "insert", "update", "delete", "merge", "set", "transaction", "listen", "lock"})
_SCHEMA_WORK = frozenset({"alter", "drop"})


@dataclass(frozen=True, slots=True)
class Context:
    """What analyses depend on besides the text.

    ``names_matter``: some rule or mask depends on what a name means. ``reading_matters``: some decision depends on the text.
    """

    bundle: Bundle
    connection: Connection
    catalog: Catalog | None
    masks: MaskSet
    path: tuple[str, ...]
    names_matter: bool
    reading_matters: bool
    estimates: tuple[int, ...]  # numbers of rows between which the policy makes a difference; none: it asks for no estimate
    key: AnalysisKey

    @property
    def catalog_digest(self) -> str:
        return self.catalog.digest if self.catalog is not None else ""


@dataclass(slots=True, eq=False)
class Prospect:
    """A statement that somebody wants to run: a simple Query, or an Execute with its portal (or a refused Parse)."""

    statement: str  # uuid
    decision_id: str  # uuid
    protocol: str  # simple | extended
    text: str
    analysis: Analysis
    context: Context
    message: bytes = b""  # Query or Execute, as received
    portal: Portal | None = None  # of an Execute
    estimated_rows: int | None = None  # by the planner, where the decision depends on it

    def parameter_texts(self) -> list[str | None] | None:
        return None if self.portal is None else self.portal.parameter_texts()


class Gate:
    def __init__(self, state: State, names: Names) -> None:
        self._state = state
        self._names = names
        self._context: Context | None = None
        self.catalog_changed = False  # this session changed the schema: read the catalog again before trusting it
        self.schema_work = False  # … by ALTER or DROP, in a transaction that is still open

    def context(self) -> Context:
        """The context in force now; the same object for as long as nothing has changed."""
        state, known = self._state, self._context
        bundle = state.bundle()
        catalog = state.environment.catalogs.get((state.connection, state.database))
        if (
            known is not None
            and known.bundle is bundle
            and known.catalog is catalog
            and known.path == (self._names.path or ())
            and state.now < known.masks.valid_until
        ):
            return known
        self._context = self._build(bundle, catalog)
        return self._context

    def _build(self, bundle: Bundle, catalog: Catalog | None) -> Context:
        connection, who = self._state.policy(), self._state.who
        matter = names_matter(bundle, connection)
        masks = _NO_MASKS
        if catalog is not None and matter:
            find = self._state.environment.mask_sets.find
            masks = find(bundle, catalog, connection.name, who.subject, who.groups, self._state.now)
        path = self._names.path or ()
        digest = catalog.digest if catalog is not None else ""
        key = (digest, path, masks.digest, connection.trusted_functions, connection.derived_use)
        limits = engine.estimates(bundle, connection.name)
        return Context(bundle, connection, catalog, masks, path, matter, reading_matters(bundle, connection), limits, key)

    def request(self, text: str, context: Context) -> AnalysisRequest:
        return AnalysisRequest(
            sql=text,
            catalog_digest=context.catalog_digest,
            search_path=context.path,
            masks=context.masks.by_column,
            mask_digest=context.masks.digest,
            trusted_functions=frozenset(context.connection.trusted_functions),
            derived_use=context.connection.derived_use,
        )

    def decode(self, sql: bytes, context: Context) -> str | Refusal:
        """The text of a statement, if gateway and target are sure to read the same."""
        parameters = self._state.parameters
        encoding = parameters.get("client_encoding", "UTF8")
        name = codec(encoding)
        if context.reading_matters:
            if self._names.reading_in_doubt:
                reason = "an earlier statement of the same pipeline may have changed how the server reads this one"
                return errors.undecidable(reason, hint="Send it again after the pipeline's Sync.")
            if name is None:
                return errors.undecidable(f"client_encoding {encoding} is not supported under rules or masks", hint="Use UTF8.")
            if parameters.get("standard_conforming_strings", "on") != "on":
                reason = "standard_conforming_strings = off is not supported under rules or masks"
                return errors.undecidable(reason, hint="Connect again, and leave it on.")
        try:
            return sql.decode(name or "latin-1")
        except UnicodeDecodeError:
            if not context.reading_matters:
                return sql.decode(name or "latin-1", "backslashreplace")  # whether it is an error, the server says
            return Refusal("22021", f'invalid byte sequence for encoding "{encoding}"')

    def encode(self, text: str) -> bytes:
        return text.encode(codec(self._state.parameters.get("client_encoding", "UTF8")) or "latin-1")

    def shown(self, data: bytes) -> str:
        """What the target sent, for a person to read."""
        return data.decode(codec(self._state.parameters.get("client_encoding", "UTF8")) or "latin-1", "replace")

    def decide(self, analysis: Analysis, context: Context, *, in_transaction: bool, estimated_rows: int | None = None) -> Decision:
        """The engine's decision, after what only the session knows to be in doubt."""
        if doubt := self._doubt(analysis, context):
            return doubt
        state, who = self._state, self._state.who
        question = Question(
            context.bundle, who.subject, who.groups, state.connection, state.database, analysis, state.client_ip, state.now, in_transaction,
            estimated_rows,
        )  # fmt: skip
        decision = engine.decide(question)
        unknown = analysis.unknown_function
        if unknown and not self.catalog_changed and not isinstance(decision, Allow) and not decision.rules:
            # What it is about could only be known with it; the server has no other answer either.
            return Deny(f"function {unknown} does not exist", "No function of that name takes these arguments.", sqlstate="42883")
        return decision

    def _doubt(self, analysis: Analysis, context: Context) -> Deny | None:
        statements = analysis.statements
        if context.connection.detectors == "mask" and (reason := self._unwatched(analysis)):
            return Deny(f"{reason}, so detectors could not look into its rows", "Use UTF8 and the options of the manual.", sqlstate="TG003")
        if analysis.syntax is not None or not context.names_matter:
            return None
        if self._names.path is None and need_names(statements):
            reason = "an earlier statement of the same pipeline or transaction may have changed what names mean"
            return Deny(reason, "Send it again after the pipeline's Sync, or in a Query of its own.", sqlstate="TG003")
        if self._names.changed_in_transaction and given_back_within(statements):
            reason = "the end of the transaction may change what names mean for a later statement of the same Query"
            return Deny(reason, "Send the statements one by one.", sqlstate="TG003")
        if not context.masks.by_column:
            return None
        if self.schema_work and any((f.reads or f.writes) and not f.schema_changes for f in statements):
            reason = "tables were altered in this transaction, so masks cannot be matched with them yet"
            return Deny(reason, "COMMIT first.", sqlstate="TG003")
        plan = analysis.plan
        if plan.kind == "result" and plan.masked and any(f.action not in _ROWS_BY_ORIGIN for f in statements):
            return Deny("masked columns cannot be followed through this statement", sqlstate="TG003")
        return None

    def _unwatched(self, analysis: Analysis) -> str:
        for copy in [facts.copy_out for facts in analysis.statements if facts.copy_out is not None]:
            encoding = copy.encoding or self._state.parameters.get("client_encoding", "UTF8")
            if copy.problem:
                return copy.problem
            if codec(encoding.replace("-", "")) is None and copy.form.name != "binary":
                return f"COPY in the encoding {encoding} cannot be read"
        return ""

    def forwarded(self, facts: Facts) -> None:
        """A statement is on its way: the catalog may be out of date after it."""
        if facts.schema_changes:
            self.catalog_changed = True
            self.schema_work = self.schema_work or not _SCHEMA_WORK.isdisjoint(facts.actions)


def sanitises(prospect: Prospect) -> bool:
    """Whether errors and notices of a statement may hold a masked value."""
    if prospect.analysis.plan.sanitise_errors:
        return True
    # What runs is in another text, which may touch anything.
    named = any(facts.runs_prepared or "cursor" in facts.actions for facts in prospect.analysis.statements)
    return named and bool(prospect.context.masks.by_column)


def written_back(prospect: Prospect) -> Deny | None:
    """A portal whose parameters would put what a mask shows in the place of the real value."""
    written = prospect.analysis.plan.written
    texts = (prospect.parameter_texts() if written else None) or []
    for number, mask in written:
        text = texts[number - 1] if number <= len(texts) else None
        if text is not None and is_placeholder(mask, text):
            reason = f"parameter ${number} is what a mask shows, and would take the place of the real value of a masked column"
            return Deny(reason, "Leave the column out.", sqlstate="TG003")
    return None


def names_matter(bundle: Bundle, connection: Connection) -> bool:
    """Whether any mask, rule or setting of the connection depends on what a name in a statement means."""
    if bundle.masking_on(connection.name) or connection.opaque_functions != "allow":
        return True
    for rule in bundle.rules:
        when = rule.when
        if (when.connections is None or connection.name in when.connections) and (
            when.relations or when.columns or when.functions or when.touches_masked is not None
        ):
            return True
    return False


def reading_matters(bundle: Bundle, connection: Connection) -> bool:
    """Whether any decision on the connection depends on what a statement says: if not, the gateway is transparent."""
    settings = (connection.default, connection.unanalyzable, connection.opaque_functions)
    return (
        settings != ("allow", "allow", "allow")
        or bool(bundle.masking_on(connection.name))
        or any(rule.when.connections is None or connection.name in rule.when.connections for rule in bundle.rules)
    )


def refusal(decision: Deny, analysis: Analysis, decision_id: str) -> Refusal:
    """A denial as the client gets it; a syntax error is PostgreSQL's own."""
    if analysis.syntax is not None:
        return errors.syntax_error(analysis.syntax.message, analysis.syntax.position)
    if decision.sqlstate == "42883":
        return errors.undefined_function(decision.reason, decision=decision_id, hint=decision.hint)
    if decision.sqlstate == "TG003":
        return errors.undecidable(decision.reason, decision=decision_id, hint=decision.hint)
    return errors.denied(decision.reason, decision=decision_id, hint=decision.hint)


def forwarded_text(analysis: Analysis, text: str) -> str:
    """What the server gets."""
    return analysis.plan.sql if analysis.plan.kind == "scan" else text
