"""The plan carried out: one transaction, one audit entry for each change, one bundle at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Model, ProtectedError

from approvals import webhooks
from controlplane import services
from controlplane.models import BundleVersion, Connection, Grant, OidcIssuer, Subject, User
from policies.models import MaskingRule, Retention, StatementRule
from policies.policy_file import checks, not_enforced, schema
from policies.policy_file.current import workflow_model
from policies.policy_file.document import PolicyFileError, Problem, Source, read_file
from policies.policy_file.given import Reader
from policies.policy_file.normal import Document
from policies.policy_file.plan import Step, make_plan

Links = Mapping[str, Collection[Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was (or, with ``dry_run``, would be) done."""

    steps: tuple[Step, ...]
    warnings: tuple[Problem, ...] = field(default=())
    not_enforced: tuple[Problem, ...] = field(default=())
    bundle: BundleVersion | None = None


def apply_files(paths: Sequence[Path], *, actor: services.Actor, dry_run: bool = False, prune: bool = False) -> Outcome:
    """Bring the database to what the files say. Raises PolicyFileError, and then nothing is changed.

    A dry run does the same and rolls it back, so that it finds whatever the real run would find.
    """
    return apply_sources([read_file(path) for path in paths], actor=actor, dry_run=dry_run, prune=prune)


def apply_sources(
    sources: Sequence[Source], *, actor: services.Actor, dry_run: bool = False, prune: bool = False, reader: Reader | None = None
) -> Outcome:
    """As :func:`apply_files`, for files that were read already. ``reader`` reads what they name."""
    _raise([problem for source in sources for problem in schema.problems_in(source)])
    reader = reader or Reader()
    with transaction.atomic():
        names = checks.names_after(sources, prune)
        _raise(checks.problems_in(sources, names))
        steps = make_plan(sources, reader, prune)
        _raise(reader.problems)
        try:
            bundle = _carry_out(steps, actor)
        except IntegrityError:
            raise PolicyFileError([Problem("policy", "somebody else made or removed the same at this moment; apply it again")]) from None
        if dry_run:
            transaction.set_rollback(True)
    return Outcome(tuple(steps), tuple(reader.warnings), tuple(not_enforced.notes(sources)), bundle)


def _raise(problems: Sequence[Problem]) -> None:
    if problems:
        raise PolicyFileError(problems)


def _carry_out(steps: Sequence[Step], actor: services.Actor) -> BundleVersion | None:
    problems = []
    for step in steps:
        try:
            with transaction.atomic():
                _remove(step, actor) if step.document is None else _write(step, step.document, actor)
        except ValidationError as problem:
            problems += [Problem(step.where or "prune", f"{step}: {line}") for line in _lines(problem)]
        except ProtectedError as problem:
            users = ", ".join(sorted({f"{item._meta.verbose_name} '{item}'" for item in problem.protected_objects}))
            problems.append(Problem(step.where or "prune", f"{step}: still used by {users}"))
    _raise(problems)
    if not steps:
        return None
    try:
        return services.publish_bundle(actor=actor)
    except ValidationError as problem:
        raise PolicyFileError([Problem("policy", line) for line in _lines(problem)]) from None


def _lines(problem: ValidationError) -> list[str]:
    if not hasattr(problem, "error_dict"):
        return list(problem.messages)
    named = problem.message_dict.items()
    return [text if field in ("__all__", "") else f"{field}: {text}" for field, texts in named for text in texts]


def _write(step: Step, document: Document, actor: services.Actor) -> None:
    if step.section == "retention":
        row = Retention.objects.first() or Retention(pk=1)
        row.entries_days = document["entries"]
        services.save(row, actor=actor, publish=False)
        return
    model, fill = _WRITERS[step.section]
    row = step.row if step.row is not None else model()
    links = fill(row, document)
    if step.section == "workflows":
        _keep_webhook(row, step)
    services.save(row, actor=actor, links=links, publish=False)
    if step.section == "connections":
        services.keep_secrets(row, password=step.secrets.password, client_key=step.secrets.client_key, actor=actor, publish=False)
    if step.secrets.key is not None and not services.key_in_use(row, step.secrets.key):
        services.create_key(row, key=step.secrets.key, actor=actor, publish=False)


def _remove(step: Step, actor: services.Actor) -> None:
    row = Retention.objects.get() if step.section == "retention" else step.row
    try:
        with transaction.atomic():
            services.remove(row, actor=actor, publish=False)
    except ProtectedError:
        if not isinstance(row, User):
            raise
        # A person who decided something stays in the evidence; the account is closed instead.
        closed = User.objects.get(pk=row.pk)
        closed.is_active = False
        closed.set_roles([])
        services.save(closed, actor=actor, links={"groups": []}, publish=False)


# --- documents into rows; each returns what the row is linked to ----------------------------------------------------------


def _named(model: Any, names: Collection[str], key: str = "name") -> list[Model]:
    return list(model.objects.filter(**{f"{key}__in": names}))


def _one(model: Any, name: str | None, key: str = "name") -> Any:
    return model.objects.get(**{key: name}) if name else None


def _outcome(row: Any, field_name: str, workflow_field: str, value: str | Document) -> None:
    """``deny``, ``allow`` or ``{approve: WORKFLOW}`` into two columns."""
    setattr(row, field_name, value if isinstance(value, str) else "approve")
    setattr(row, workflow_field, None if isinstance(value, str) else _one(workflow_model(), value["approve"]))


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _group(row: Group, document: Document) -> Links:
    row.name = document["name"]
    return {}


def _user(row: User, document: Document) -> Links:
    row.username, row.email = document["username"], document["email"]
    row.set_roles(document["roles"])
    row.oidc_issuer, row.oidc_subject = (document["oidc"]["issuer"], document["oidc"]["subject"]) if document["oidc"] else ("", "")
    if not row.password:
        row.set_unusable_password()  # `manage.py changepassword`, or sign-in by OIDC
    return {"groups": _named(Group, document["groups"])}


def _oidc(row: OidcIssuer, document: Document) -> Links:
    for name, value in document.items():
        setattr(row, name, value)
    return {}


def _subject(row: Subject, document: Document) -> Links:
    row.name, row.kind = document["name"], document["kind"]
    row.owner = _one(User, document["owner"], "username")
    oidc = document["oidc"] or {}
    row.oidc_issuer, row.oidc_subject = _one(OidcIssuer, oidc.get("issuer")), oidc.get("subject", "")
    certificate = document["certificate"] or {}
    row.certificate_uri, row.certificate_common_name = certificate.get("uri", ""), certificate.get("common_name", "")
    return {"groups": _named(Group, document["groups"])}


def _connection(row: Connection, document: Document) -> Links:
    for name in ("name", "host", "port", "dbname", "databases", "user", "default", "trusted_functions"):
        setattr(row, name, document[name])
    for name in ("derived_use", "detectors", "row_evidence", "max_rows", "idle_timeout", "max_sessions", "max_sessions_per_subject"):
        setattr(row, name, document[name])
    row.statement_timeout_ms = document["statement_timeout"]
    row.tls_mode, row.tls_ca, row.tls_client_cert = document["tls"]["mode"], document["tls"]["ca"], document["tls"]["client_cert"]
    _outcome(row, "unanalyzable", "unanalyzable_workflow", document["unanalyzable"])
    _outcome(row, "opaque_functions", "opaque_workflow", document["opaque_functions"])
    return {}


def _grant(row: Grant, document: Document) -> Links:
    row.actions = document["actions"]
    row.valid_from, row.valid_until = _time(document["valid"]["from"]), _time(document["valid"]["until"])
    return {
        "groups": _named(Group, document["to"]["groups"]),
        "subjects": _named(Subject, document["to"]["subjects"]),
        "connections": _named(Connection, document["connections"]),
    }


def _masking(row: MaskingRule, document: Document) -> Links:
    row.name, row.columns, row.method = document["name"], document["columns"], document["method"]
    row.lookups, row.cleared_until = document["lookups"] == "allow", _time(document["cleared"]["until"])
    return {
        "connections": _named(Connection, document["connections"]),
        "cleared_groups": _named(Group, document["cleared"]["groups"]),
        "cleared_subjects": _named(Subject, document["cleared"]["subjects"]),
    }


def _rule(row: StatementRule, document: Document) -> Links:
    row.name, row.when, row.message, row.shadow = document["name"], document["when"], document["message"], document["shadow"]
    _outcome(row, "then", "workflow", document["then"])
    return {}


def _workflow(row: Any, document: Document) -> Links:
    for name in ("name", "quorum", "expires", "hold", "max_wait", "step_up", "exclude_owner", "shapes"):
        setattr(row, name, document[name])
    auto, escalate = document["auto_approve"] or {}, document["escalate"] or {}
    row.auto_approve_actions = auto.get("actions", [])
    row.auto_approve_rows = auto["affected_rows"]["at_most"] if auto else None
    row.escalate_after = escalate.get("after")
    people = {"approver": document["approvers"], "escalate": escalate.get("to", {}), "break_glass": document["break_glass"]}
    links = {f"{kind}_groups": _named(Group, named.get("groups", [])) for kind, named in people.items()}
    users = {("approvers" if kind == "approver" else f"{kind}_users"): named.get("users", []) for kind, named in people.items()}
    return links | {name: _named(User, names, "username") for name, names in users.items()}


def _keep_webhook(row: Any, step: Step) -> None:
    """URL and secret that the file does not give (an exported file gives neither) stay as they are."""
    notify = dict(step.document["notify"]) if step.document else {}
    if "webhook" in notify:
        before = webhooks.opened(row.notify.get("webhook") or {})
        after = {**before, **(step.secrets.webhook or {}), "format": notify["webhook"]["format"]}
        notify["webhook"] = row.notify["webhook"] if after == before and "webhook" in row.notify else webhooks.sealed(after)
    row.notify = notify


_WRITERS: dict[str, tuple[Any, Callable[[Any, Document], Links]]] = {
    "groups": (Group, _group),
    "users": (User, _user),
    "oidc": (OidcIssuer, _oidc),
    "workflows": (lambda: workflow_model()(), _workflow),
    "subjects": (Subject, _subject),
    "connections": (Connection, _connection),
    "grants": (Grant, _grant),
    "masking": (MaskingRule, _masking),
    "rules": (StatementRule, _rule),
}
