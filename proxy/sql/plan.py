"""How one statement's masked columns are kept from the client: not at all needed, in the result, at the scan, or refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from proxy.policy.masks import Mask
from proxy.policy.placeholders import is_placeholder
from proxy.sql.bodies import Outcome, mentions, reads_errors, words_of
from proxy.sql.catalog import Relation, implicit
from proxy.sql.effective import EffectiveMasks
from proxy.sql.expressions import constant, parameter
from proxy.sql.facts import AnalysisRequest
from proxy.sql.functions import REVEALING_CLASSES
from proxy.sql.lineage import proves_bare_output
from proxy.sql.parser import CHANGES, Node, Statement
from proxy.sql.scan import Replacement
from proxy.sql.scope import Source, Use
from proxy.sql.statements import REWRITABLE
from proxy.sql.walk import LOOKUP, OUTPUT, PREDICATE, VALUE, WRITE, Reader

# Changes to a relation by which its masks could be shed, or by which its values could be tried out.
_UNSAFE_CHANGES = frozenset({
    "AlterTableStmt", "RenameStmt", "AlterObjectSchemaStmt", "RuleStmt", "CreateTrigStmt", "CreatePolicyStmt", "AlterPolicyStmt",
    "AlterTableMoveAllStmt", "ViewStmt",
})  # fmt: skip
# Ways around every mask, whatever relation they name.
_WAYS_AROUND = frozenset({
    "CreateForeignTableStmt", "ImportForeignSchemaStmt", "AlterDomainStmt", "CreateCastStmt", "CreateTransformStmt", "CreateEventTrigStmt",
})  # fmt: skip
_HARMLESS_TO_ERRORS = frozenset({"select", "explain", "set", "transaction", "cursor", "prepare", "listen", "lock"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """For one statement; ``replacements`` where its kind is ``scan``."""

    kind: str = "none"
    reason: str = ""
    masked: frozenset[str] = frozenset()
    replacements: tuple[Replacement, ...] = ()
    sanitise_errors: bool = False
    written: tuple[tuple[int, Mask], ...] = ()  # parameters that are assigned to masked columns


def plan_statement(
    statement: Statement, text: str, reader: Reader, outcome: Outcome, masks: EffectiveMasks, request: AnalysisRequest
) -> Verdict:
    """The plan for one statement that was read without problems; ``text`` is its own part of the query text."""
    if not masks:
        return Verdict()
    reason, written = _written_back(reader, outcome, masks)
    if reason:
        return Verdict("refuse", reason)
    verdict = _plan(statement, text, reader, outcome, masks, request)
    return replace(verdict, written=written) if written else verdict


def _plan(
    statement: Statement, text: str, reader: Reader, outcome: Outcome, masks: EffectiveMasks, request: AnalysisRequest
) -> Verdict:
    touched = frozenset(
        masks.name(source) for reference in reader.references for source in masks.masked(reference.sources)
    )
    reason = _refusal(statement, reader, outcome, masks)
    if reason:
        return Verdict("refuse", reason, touched)
    sanitise = _sanitise(reader, outcome, masks)
    used = [reference for reference in reader.references if reference.context != WRITE]
    hidden = [(one.context, source) for one in used if not one.target for source in masks.masked(one.sources)]
    partial = [use.relation.full_name for use in reader.uses if not use.target and masks.of(use.relation).rows]
    if not hidden and not partial:
        returned = any(one.target and one.context == OUTPUT and masks.masked(one.sources) for one in used)
        # Of a statement's own RETURNING, results name the origin of their cells.
        if returned and statement.kind not in CHANGES:
            return Verdict("refuse", f"masked column {min(touched)} is returned by a statement inside another one", touched)
        return Verdict("result" if returned else "none", "", touched, (), sanitise)
    derived = [source for context, source in hidden if _is_derived(context, source, masks)]
    if derived and request.derived_use == "deny":
        return Verdict("refuse", f"column {masks.name(derived[0])} is masked and may only be used as a plain output column", touched)
    if partial and request.derived_use == "deny":
        return Verdict("refuse", f"{partial[0]} shows values of masked columns", touched)
    plain = statement.kind == "SelectStmt" and "intoClause" not in statement.node and not derived and not partial
    if plain and _proven(text, reader, hidden, masks):
        return Verdict("result", "", touched, (), sanitise)
    replacements = tuple(
        Replacement(use, found.masks, found.made, found.rows)
        for use in reader.uses
        if not use.target and ((found := masks.of(use.relation)).masks or found.rows)
    )
    return _scanned(statement, reader, replacements, touched, sanitise)


def _scanned(
    statement: Statement, reader: Reader, replacements: tuple[Replacement, ...], touched: frozenset[str], sanitise: bool
) -> Verdict:
    if statement.kind not in REWRITABLE:
        what = f"masked column {min(touched)}" if touched else replacements[0].use.relation.full_name
        return Verdict("refuse", f"{what} is used in a statement that cannot be masked", touched)
    replaced = {id(replacement.use) for replacement in replacements}
    for use in reader.dependent:
        if id(use) in replaced:
            why = f"{use.relation.full_name} has masked columns and is grouped by its primary key: name every shown column in GROUP BY"
            return Verdict("refuse", why, touched)
    return Verdict("scan", "", touched, replacements, sanitise)


def _is_derived(context: str, source: Source, masks: EffectiveMasks) -> bool:
    mask = masks.mask(source)
    return context in (VALUE, PREDICATE) or (context == LOOKUP and not (mask is not None and mask.lookups))


def _proven(text: str, reader: Reader, hidden: list[tuple[str, Source]], masks: EffectiveMasks) -> bool:
    """Both parsers see the masked columns as nothing but output, and results name their origin under the mask's key."""
    if not all(masks.is_own(source) for _, source in hidden):
        return False
    relations = [tuple(use.node[key] for key in ("schemaname", "relname") if key in use.node) for use in reader.uses]
    relations += [tuple(name.split(".")) for name in reader.unknown]
    names = frozenset(masks.name(source).rsplit(".", 1)[-1] for _, source in hidden)
    lookups = frozenset(masks.name(source).rsplit(".", 1)[-1] for context, source in hidden if context == LOOKUP)
    return proves_bare_output(text, relations, names, lookups)


def _refusal(statement: Statement, reader: Reader, outcome: Outcome, masks: EffectiveMasks) -> str:
    for use in reader.uses:
        reason = masks.of(use.relation).refuse
        if reason:
            return reason
        for other in _namesakes(use, reader):
            if masks.of(other).masks or masks.of(other).closed:
                return f"{use.relation.full_name} and {other.full_name}, which has masked columns, can both be meant: write the schema"
    if any(name.startswith("pg_toast.") or name.rsplit(".", 1)[-1].startswith("pg_toast_") for name in reader.unknown):
        return "pg_toast shows values of masked columns"
    return (
        _change_refusal(statement.kind, statement.node, reader, masks)
        or _target_refusal(reader, masks)
        or _function_refusal(reader, outcome, masks)
        or _code_refusal(statement.kind, statement.node, reader, outcome, masks)
    )


def _namesakes(use: Use, reader: Reader) -> list[Relation]:
    """What a name without a schema would mean if another session drops or renames what it means now."""
    if "schemaname" in use.node or reader.catalog is None:
        return []
    path = implicit(reader.search_path)
    later = path[path.index(use.relation.schema) + 1 :] if use.relation.schema in path else ()
    found = [reader.catalog.resolve([schema, use.relation.name], ()) for schema in later]
    return [relation for relation in found if relation is not None]


def _change_refusal(kind: str, node: Node, reader: Reader, masks: EffectiveMasks) -> str:
    if kind in _WAYS_AROUND:
        return "this kind of statement could lead around the masks that are in force"
    for relation in reader.altered:
        if not masks.of(relation).masks:
            continue
        if kind == "ClusterStmt":
            return f"{relation.full_name} has masked columns: the order of its rows could reveal theirs"
        if kind in _UNSAFE_CHANGES:
            return f"{relation.full_name} has masked columns: its definition is not changed while they are in force"
        if kind == "CreateStmt" and relation.full_name in _referenced(node, reader):
            return f"{relation.full_name} has masked columns: a foreign key to it could try them out"
        if kind == "IndexStmt" and _has_expressions(node):
            return f"{relation.full_name} has masked columns: an index on expressions or with WHERE could reveal them"
    if kind in ("RenameStmt", "AlterObjectSchemaStmt") and (led := _led_functions(node, reader, masks)):
        return f"function {led} may read masked columns: it keeps its name while masks are in force"
    if kind in ("RuleStmt", "CreateFunctionStmt", "CreatePolicyStmt", "CreateSchemaStmt", "CreateTrigStmt"):
        for reference in reader.references:
            hidden = masks.masked(reference.sources)
            if hidden:
                return f"masked column {masks.name(hidden[0])} is used in a definition that cannot be masked"
    return ""


_ROUTINES = frozenset({"OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_AGGREGATE"})


def _led_functions(node: Node, reader: Reader, masks: EffectiveMasks) -> str:
    """A function that gets another name, itself or with its schema, and leads to masked columns."""
    kind = node.get("renameType") or node.get("objectType")
    known = reader.catalog.functions.values() if reader.catalog is not None else ()
    if kind == "OBJECT_SCHEMA":
        renamed = [function for function in known if function.schema == node.get("subname")]
    elif kind in _ROUTINES:
        parts = [part["String"]["sval"] for part in node["object"]["ObjectWithArgs"]["objname"]]
        renamed = [function for function in known if function.name == parts[-1]]
    else:
        return ""
    names = masks.revealing_names()
    led = (one.full_name for one in renamed if not one.extension and mentions(one.language, one.source or one.definition, names))
    return next(led, "")


def _referenced(node: object, reader: Reader) -> set[str]:
    """The relations that foreign keys of a new table lead to."""
    if isinstance(node, list):
        return {name for part in node for name in _referenced(part, reader)}
    if not isinstance(node, dict):
        return set()
    if node.get("contype") == "CONSTR_FOREIGN":
        return {reader.target_name(node["pktable"])}
    return {name for part in node.values() for name in _referenced(part, reader)}


def _has_expressions(node: Node) -> bool:
    return "whereClause" in node or any("expr" in element["IndexElem"] for element in node.get("indexParams", ()))


def _written_back(reader: Reader, outcome: Outcome, masks: EffectiveMasks) -> tuple[str, tuple[tuple[int, Mask], ...]]:
    """What was shown masked must not take the place of the real value."""
    parameters = []
    bodies = [one for _, body in outcome.bodies for one in body.assigned]
    for assigned in (*reader.assigned, *bodies):
        mask = masks.mask(assigned.column)
        if mask is None:
            continue
        name = masks.name(assigned.column)
        if masks.masked(assigned.sources):
            return f"masked values would be written into masked column {name}, in the place of real ones", ()
        text = constant(assigned.value)
        if text is not None and is_placeholder(mask, text):
            return f"{name} would get what its mask shows, in the place of the real value", ()
        number = parameter(assigned.value)
        if number and assigned not in bodies:
            parameters.append((number, mask))
    return "", tuple(parameters)


def _target_refusal(reader: Reader, masks: EffectiveMasks) -> str:
    """Masked columns of the relation that a statement changes: only assigned, looked up where allowed, or plainly returned."""
    for reference in reader.references:
        if not reference.target or reference.context == WRITE:
            continue
        for source in masks.masked(reference.sources):
            if reference.context == OUTPUT and masks.is_own(source):
                continue
            if reference.context == OUTPUT or _is_derived(reference.context, source, masks):
                return f"masked column {masks.name(source)} is used in a condition or value of the statement that changes its table"
    return ""


def _function_refusal(reader: Reader, outcome: Outcome, masks: EffectiveMasks) -> str:
    for name, body in outcome.bodies:
        for use in body.uses:
            if reason := masks.of(use.relation).closed:
                return f"{_called(name)} reads {use.relation.full_name}: {reason}"
        for reference in body.references:
            hidden = masks.masked(reference.sources) if reference.context != WRITE else []
            if hidden:
                return f"{_called(name)} reads masked column {masks.name(hidden[0])}"
    for action in outcome.rules:
        for use in action.reader.uses:
            if reason := masks.of(use.relation).closed:
                return f"a rule on {action.relation.full_name} reads {use.relation.full_name}: {reason}"
        for reference in action.reader.references:
            hidden = masks.masked(reference.sources) if reference.context != WRITE else []
            # Where the row's own values go is known, and masked there.
            told = [source for source in hidden if action.shows or source[0] != action.relation.oid]
            if told:
                return f"a rule on {action.relation.full_name} reads masked column {masks.name(told[0])}"
    catching = next((name for name, body in outcome.bodies if body.catches), "")
    if catching:
        changed = [use.relation for _, body in outcome.bodies for use in body.uses if use.target]
        if any(masks.of(relation).masks or relation.triggers for relation in _reached(changed, reader, masks)):
            return f"{_called(catching)} reads what errors say, and errors of its changes could quote masked values"
    for name, kind in outcome.classes.items():
        if kind in REVEALING_CLASSES:
            return f"function {name} could show values of masked columns"
    for name, function in outcome.opaque.items():
        if function is None:
            return f"function {name} is not known: it could read masked columns"
        if mentions(function.language, function.source, masks.revealing_names()):
            return f"function {name} may read masked columns: its effect cannot be known"
    return ""


def _called(name: str) -> str:
    return "the code block" if name == "DO" else f"function {name}"


def _code_refusal(kind: str, node: Node, reader: Reader, outcome: Outcome, masks: EffectiveMasks) -> str:
    """Code that is run or stored must not name anything that leads to masked values, unless all of it was read."""
    if kind == "DoStmt" and not outcome.block_read and _code_mentions(node.get("args", ()), "plpgsql", masks):
        return "the code block may read masked columns: its effect cannot be known"
    if kind == "CreateFunctionStmt" and "sql_body" not in node and _code_mentions(node.get("options", ()), "sql", masks):
        return "the function's code may read masked columns"
    if kind == "CreateFunctionStmt" and _quotes_errors(node, reader, masks):
        return "the function's code reads what errors say, and errors of its changes could quote masked values"
    if kind == "CreateTrigStmt" and reader.catalog is not None:
        name = [part["String"]["sval"] for part in node["funcname"]]
        for function in reader.catalog.functions_named(name, reader.search_path):
            if mentions(function.language, function.source, masks.revealing_names()):
                return f"the trigger's function {function.full_name} may read masked columns"
    return ""


def _quotes_errors(node: Node, reader: Reader, masks: EffectiveMasks) -> bool:
    """Code of triggers is not followed when they run, so it must not even be made."""
    text = " ".join(_texts({option["DefElem"]["defname"]: option["DefElem"].get("arg", {}) for option in node.get("options", ())}))
    if not reads_errors(text) or reader.catalog is None:
        return False
    words = words_of(text)
    named = [relation for relation in reader.catalog.relations.values() if relation.name.lower() in words]
    return any(masks.of(relation).masks or relation.triggers for relation in _reached(named, reader, masks))


def _texts(given: dict[str, Node]) -> list[str]:
    source = given.get("as", {})
    return [part["String"]["sval"] for part in (source["List"]["items"] if "List" in source else [source] if source else [])]


def _code_mentions(options: Sequence[Node], language: str, masks: EffectiveMasks) -> bool:
    given = {option["DefElem"]["defname"]: option["DefElem"].get("arg", {}) for option in options}
    language = given.get("language", {}).get("String", {}).get("sval", language).lower()
    return mentions(language, " ".join(_texts(given)), masks.revealing_names())


def _reached(changed: Iterable[Relation], reader: Reader, masks: EffectiveMasks) -> list[Relation]:
    """Every relation whose rows change with these: by foreign keys, by inheritance, through views."""
    oids = {oid for relation in changed for oid in (relation.oid, *masks.of(relation).bases)}
    return [found for oid in sorted(oids) for found in (reader.catalog.changed_with(oid) if reader.catalog else ())]


def _told(relation: Relation, reader: Reader, masks: EffectiveMasks) -> bool:
    """Whether code of the relation's triggers may get at masked values, and so tell of them."""
    known = reader.catalog.functions if reader.catalog is not None else {}
    functions = [known.get(oid) for oid in relation.triggers]
    names = masks.revealing_names()
    return any(one is not None and mentions(one.language, one.source or one.definition, names) for one in functions)


def _sanitise(reader: Reader, outcome: Outcome, masks: EffectiveMasks) -> bool:
    """Whether an error or notice of this statement could quote a masked value."""
    if outcome.opaque or ("do" in reader.actions and not outcome.block_read):
        return True
    everyone = [reader, *(body for _, body in outcome.bodies), *(action.reader for action in outcome.rules)]
    changed = [relation for one in everyone for relation in (*(use.relation for use in one.uses if use.target), *one.altered)]
    reached = _reached(changed, reader, masks)
    if any(masks.of(relation).masks or masks.of(relation).refuse or _told(relation, reader, masks) for relation in reached):
        return True
    if any(use.relation.kind == "v" and masks.of(use.relation).masks for use in reader.uses):
        return True  # what a view computes from masked values may fail on them
    return not reader.actions <= _HARMLESS_TO_ERRORS and not changed and any(one.writes for one in everyone)

