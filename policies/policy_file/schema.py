"""The JSON Schema of the policy file, and its complaints in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from approvals import webhooks
from controlplane.models import ROLES, OidcIssuer
from policies.policy_file.document import Problem, Source
from proxy.sql.facts import ACTIONS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
NAME: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$", "title": "1 to 63 letters, digits, '-', '_' or '.'"}
LABEL: Schema = {"type": "string", "minLength": 1, "maxLength": 100}
YES: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer", "minimum": 1}
DURATION: Schema = {"type": "string", "pattern": r"^[1-9][0-9]*(ms|s|m|h|d|w)$", "title": "a duration such as 30s, 15m, 4h or 400d"}
MOMENT: Schema = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?\s*(Z|z|[+-]\d\d:?\d\d)$",
    "title": "a time with its zone, such as 2026-12-31T00:00:00Z",
}
ACTION: Schema = {"enum": sorted(ACTIONS)}


def some(item: Schema) -> Schema:
    """A list of at least one."""
    return {"type": "array", "items": item, "minItems": 1}


def any_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def record(required: Sequence[str] = (), /, **properties: Schema) -> Schema:
    """A mapping with exactly these keys; a trailing underscore keeps Python's own words out of the way."""
    named = {name.rstrip("_"): schema for name, schema in properties.items()}
    return {"type": "object", "properties": named, "required": list(required), "additionalProperties": False}


def secret(name: str) -> dict[str, Schema]:
    """The three ways to give a secret."""
    return {name: TEXT, f"{name}_env": TEXT, f"{name}_file": TEXT}


OUTCOME: Schema = {"oneOf": [{"enum": ["deny", "allow"]}, record(("approve",), approve=TEXT)]}
PEOPLE = record(groups=any_of(TEXT), users=any_of(TEXT))
WHO = record(groups=any_of(TEXT), subjects=any_of(TEXT))
METHOD: Schema = {
    "oneOf": [
        {"enum": ["redact", "nullify", "email", "card", "hash", "year"]},
        record(
            partial=record(first={"type": "integer", "minimum": 0}, last={"type": "integer", "minimum": 0}),
            round={"type": "integer", "minimum": 1},
            fixed={"type": ["string", "integer", "number", "boolean"]},
        )
        | {"minProperties": 1, "maxProperties": 1},
    ]
}
WHEN = record(
    actions=some(ACTION),
    relations=some(TEXT),
    columns=some(TEXT),
    functions=some(TEXT),
    subjects=some(TEXT),
    groups=some(TEXT),
    connections=some(TEXT),
    without_where=YES,
    matches=TEXT,
    from_=some(TEXT),
    not_from=some(TEXT),
    estimated_rows=record(("over",), over={"type": "integer", "minimum": 0}),
    touches_masked=YES,
    multiple_statements=YES,
    between=record(
        ("from", "to"),
        **{"from": {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$", "title": 'a time of day in quotes, such as "22:00"'}},
        to={"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$", "title": 'a time of day in quotes, such as "06:00"'},
        tz=TEXT,
    ),
)

OIDC = record(
    ("name", "issuer", "audience", "algorithms"),
    name=NAME,
    issuer=TEXT,
    audience=TEXT,
    jwks_uri=TEXT,
    subject_claim=TEXT,
    groups_claim=TEXT,
    algorithms=some({"enum": list(OidcIssuer.ALGORITHMS)}),
)
USER = record(
    ("username",),
    username=TEXT,
    email=TEXT,
    groups=any_of(TEXT),
    roles=any_of({"enum": list(ROLES)}),
    oidc=record(("issuer", "subject"), issuer=TEXT, subject=TEXT),
)
SUBJECT = record(
    ("name",),
    name=NAME,
    kind={"enum": ["agent", "human", "service"]},
    owner=TEXT,
    groups=any_of(TEXT),
    oidc=record(("issuer", "subject"), issuer=TEXT, subject=TEXT),
    certificate=record(uri=TEXT, common_name=TEXT) | {"minProperties": 1, "maxProperties": 1},
    **secret("key"),
)
CONNECTION = record(
    ("name", "host", "dbname", "user"),
    name=NAME,
    host=TEXT,
    port={"type": "integer", "minimum": 1, "maximum": 65535},
    dbname=TEXT,
    databases=any_of(TEXT),
    user=TEXT,
    **secret("password"),
    tls=record(
        mode={"enum": ["disable", "require", "verify-ca", "verify-full"]},
        ca_file=TEXT,
        ca=TEXT,
        client_cert_file=TEXT,
        client_cert=TEXT,
        **secret("client_key"),
    ),
    default={"enum": ["deny", "allow"]},
    unanalyzable=OUTCOME,
    opaque_functions=OUTCOME,
    trusted_functions=any_of(TEXT),
    derived_use={"enum": ["scan", "deny"]},
    detectors={"enum": ["off", "alert", "mask", False]},  # YAML reads a bare `off` as false
    row_evidence={"enum": ["count", "keys", "digest"]},
    max_rows=WHOLE,
    statement_timeout=DURATION,
    idle_timeout=DURATION,
    max_sessions=WHOLE,
    max_sessions_per_subject=WHOLE,
)
GRANT = record(
    ("to", "connections", "actions"),
    to=WHO,
    connections=some(TEXT),
    actions=some(ACTION),
    valid=record(**{"from": MOMENT}, until=MOMENT),
)
MASKING = record(
    ("name", "columns", "method"),
    name=LABEL,
    connections=some(TEXT),
    columns=some(TEXT),
    method=METHOD,
    lookups={"enum": ["deny", "allow"]},
    cleared=record(groups=any_of(TEXT), subjects=any_of(TEXT), until=MOMENT),
)
RULE = record(("name", "then"), name=LABEL, when=WHEN, then=OUTCOME, message={"type": "string", "maxLength": 300}, shadow=YES)
WORKFLOW = record(
    ("name", "approvers"),
    name=LABEL,
    approvers=PEOPLE,
    quorum={"type": "integer", "minimum": 1, "maximum": 20},
    expires=DURATION,
    hold={"enum": ["wait", "ticket"]},
    max_wait=DURATION,
    step_up={"enum": ["none", "recent", "passkey"]},
    exclude_owner=YES,
    auto_approve=record(
        ("actions", "affected_rows"),
        actions=some(ACTION),
        affected_rows=record(("at_most",), at_most={"type": "integer", "minimum": 0}),
    ),
    notify=record(email=YES, webhook=record(format={"enum": list(webhooks.FORMATS)}, **secret("url"), **secret("secret"))),
    escalate=record(("after", "to"), after=DURATION, to=PEOPLE),
    break_glass=PEOPLE,
    shapes=YES,
)

SECTIONS = ("oidc", "groups", "users", "subjects", "connections", "grants", "masking", "rules", "workflows")

POLICY: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Tidegate policy",
    **record(
        ("version",),
        version={"const": 1},
        oidc=any_of(OIDC),
        groups=any_of({"type": "string", "minLength": 1, "maxLength": 150}),
        users=any_of(USER),
        subjects=any_of(SUBJECT),
        connections=any_of(CONNECTION),
        grants=any_of(GRANT),
        masking=any_of(MASKING),
        rules=any_of(RULE),
        workflows=any_of(WORKFLOW),
        retention=record(entries=DURATION),
    ),
}


def problems_in(source: Source) -> list[Problem]:
    """Everything in the file that the schema does not allow, by line."""
    return [problem for error in Draft202012Validator(POLICY).iter_errors(source.data) for problem in _explain(source, error)]


def nearest(word: str, known: Sequence[str]) -> str:
    """``; did you mean 'x'?`` where something known is close, else nothing."""
    close = difflib.get_close_matches(word.lower(), {name.lower(): name for name in known}, n=1, cutoff=0.6)
    original = next((name for name in known if close and name.lower() == close[0]), "")
    return f"; did you mean '{original}'?" if original else ""


def _explain(source: Source, error: ValidationError) -> Iterator[Problem]:
    steps = tuple(error.absolute_path)
    if error.validator == "oneOf":
        yield from _branch(source, error)
    elif error.validator == "additionalProperties":
        known = sorted(error.schema["properties"])
        for key in sorted(set(error.instance) - set(known)):
            hint = nearest(key, known) or f"; known: {', '.join(known)}"
            yield Problem(source.at(*steps, key), f"unknown key '{key}'{_in(steps)}{hint}")
    else:
        yield Problem(source.at(*steps), f"{_name(steps)}{_what(error)}")


def _branch(source: Source, error: ValidationError) -> Iterator[Problem]:
    """Of alternatives, the one that was meant: a mapping stands for the mapping, a word for the words."""
    meant = 1 if isinstance(error.instance, dict) else 0
    context = [sub for sub in error.context or () if sub.schema_path and sub.schema_path[0] == meant]
    for sub in context:
        yield from _explain(source, sub)


def _what(error: ValidationError) -> str:
    value, wanted = error.instance, error.validator_value
    match error.validator:
        case "required":
            missing = next(name for name in wanted if name not in value)
            return f"'{missing}' is missing"
        case "type":
            return f"must be {_type_name(wanted)}, not {_kind(value)}{_quotes(wanted, value)}"
        case "enum":
            return f"{_shown(value)} is none of {', '.join(map(str, wanted))}{nearest(str(value), [str(item) for item in wanted])}"
        case "pattern":
            return f"{_shown(value)} must be {error.schema.get('title', 'of another form')}"
        case "const":
            return f"must be {wanted}"
        case "minItems" | "minProperties":
            return "needs at least one entry"
        case "maxProperties":
            return f"takes exactly one of {', '.join(error.schema['properties'])}"
        case "minLength":
            return "must not be empty"
        case "minimum":
            return f"must be {wanted} or more"
        case "maximum":
            return f"must be {wanted} or less"
        case "maxLength":
            return f"is longer than {wanted} characters"
    return error.message


_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
}


def _type_name(wanted: str | list[str]) -> str:
    return _TYPES.get(wanted, wanted) if isinstance(wanted, str) else " or ".join(_TYPES.get(item, item) for item in wanted)


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return names[type(value)]


def _quotes(wanted: str | list[str], value: Any) -> str:
    return " (put it in quotes)" if wanted == "string" and isinstance(value, (bool, int, float)) else ""


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, (str, int, float)) and len(str(value)) <= 80 else _kind(value)


def _name(steps: tuple[str | int, ...]) -> str:
    words = [step for step in steps if isinstance(step, str)]
    return f"{words[-1]}: " if words else ""


def _in(steps: tuple[str | int, ...]) -> str:
    words = [step for step in steps if isinstance(step, str)]
    return f" in {words[-1]}" if words else ""
