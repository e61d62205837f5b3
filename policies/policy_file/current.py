"""What the database holds, in the form of normal.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group
from django.db.models import Model

from controlplane.models import Connection, Grant, OidcIssuer, Subject, User
from policies.models import MaskingRule, Retention, StatementRule
from policies.policy_file.normal import Document, default_wait, spelt

Known = list[tuple[Any, Document]]  # (row, document)


def _names(items: Iterable[Model]) -> list[str]:
    return sorted(str(item) for item in items)


def oidc(item: OidcIssuer) -> Document:
    plain = ("name", "issuer", "audience", "jwks_uri", "subject_claim", "groups_claim")
    return {**{name: getattr(item, name) for name in plain}, "algorithms": sorted(set(item.algorithms))}


def group(item: Group) -> Document:
    return {"name": item.name}


def user(item: User) -> Document:
    oidc = {"issuer": item.oidc_issuer, "subject": item.oidc_subject} if item.oidc_subject else None
    return {"username": item.username, "email": item.email, "groups": _names(item.groups.all()), "roles": sorted(item.roles), "oidc": oidc}


def subject(item: Subject) -> Document:
    return {
        "name": item.name,
        "kind": item.kind,
        "owner": item.owner.username if item.owner else None,
        "groups": _names(item.groups.all()),
        "oidc": {"issuer": item.oidc_issuer.name, "subject": item.oidc_subject} if item.oidc_issuer else None,
        "certificate": item.certificate,
    }


def connection(item: Connection) -> Document:
    plain = ("name", "host", "port", "dbname", "user", "default", "derived_use", "detectors", "row_evidence")
    limits = ("max_rows", "idle_timeout", "max_sessions", "max_sessions_per_subject")
    return {
        **{name: getattr(item, name) for name in plain + limits},
        "databases": sorted(set(item.databases)),
        "tls": {"mode": item.tls_mode, "ca": item.tls_ca.strip(), "client_cert": item.tls_client_cert.strip()},
        "unanalyzable": {"approve": item.unanalyzable_workflow.name} if item.unanalyzable_workflow else item.unanalyzable,
        "opaque_functions": {"approve": item.opaque_workflow.name} if item.opaque_workflow else item.opaque_functions,
        "trusted_functions": sorted(set(item.trusted_functions)),
        "statement_timeout": item.statement_timeout_ms,
    }


def grant(item: Grant) -> Document:
    return {
        "to": {"groups": _names(item.groups.all()), "subjects": _names(item.subjects.all())},
        "connections": _names(item.connections.all()),
        "actions": sorted(set(item.actions)),
        "valid": {
            "from": spelt(item.valid_from) if item.valid_from else None,
            "until": spelt(item.valid_until) if item.valid_until else None,
        },
    }


def masking(item: MaskingRule) -> Document:
    return {
        "name": item.name,
        "connections": _names(item.connections.all()),
        "columns": item.columns,
        "method": item.method,
        "lookups": "allow" if item.lookups else "deny",
        "cleared": {
            "groups": _names(item.cleared_groups.all()),
            "subjects": _names(item.cleared_subjects.all()),
            "until": spelt(item.cleared_until) if item.cleared_until else None,
        },
    }


def rule(item: StatementRule) -> Document:
    then = {"approve": item.workflow.name} if item.workflow else item.then
    return {"name": item.name, "when": item.when, "then": then, "message": item.message, "shadow": item.shadow}


def workflow(item: Any) -> Document:
    webhook = {"webhook": {"format": item.notify["webhook"].get("format", "generic")}} if "webhook" in item.notify else {}
    auto = {"actions": sorted(set(item.auto_approve_actions)), "affected_rows": {"at_most": item.auto_approve_rows}}
    escalate = {"after": item.escalate_after, "to": _people(item.escalate_groups, item.escalate_users)}
    return {
        "name": item.name,
        "approvers": _people(item.approver_groups, item.approvers),
        "quorum": item.quorum,
        "expires": item.expires,
        "hold": item.hold,
        "max_wait": default_wait(item.expires) if item.hold == "ticket" else item.max_wait,
        "step_up": item.step_up,
        "exclude_owner": item.exclude_owner,
        "auto_approve": auto if item.auto_approve_actions else None,
        "notify": {"email": item.notify.get("email", True), **webhook},
        "escalate": escalate if item.escalate_after is not None else None,
        "break_glass": _people(item.break_glass_groups, item.break_glass_users),
        "shapes": item.shapes,
    }


def _people(groups: Any, users: Any) -> Document:
    return {"groups": _names(groups.all()), "users": _names(users.all())}


def workflow_model() -> Any:
    return apps.get_model("approvals", "Workflow")


def known(section: str) -> Known:
    """Every row of a section with its document, in the order of names."""
    model, order, document, links = _TABLES[section]
    rows = (model() if section == "workflows" else model).objects.order_by(order).prefetch_related(*links)
    return [(row, document(row)) for row in rows]


def retention() -> Document:
    row = Retention.objects.first()
    return {"entries": row.entries_days if row else None}


_PEOPLE = ("approver_groups", "approvers", "escalate_groups", "escalate_users", "break_glass_groups", "break_glass_users")
_TABLES: dict[str, tuple[Any, str, Callable[[Any], Document], tuple[str, ...]]] = {
    "groups": (Group, "name", group, ()),
    "users": (User, "username", user, ("groups",)),
    "oidc": (OidcIssuer, "name", oidc, ()),
    "workflows": (workflow_model, "name", workflow, _PEOPLE),
    "subjects": (Subject, "name", subject, ("groups", "owner", "oidc_issuer")),
    "connections": (Connection, "name", connection, ("unanalyzable_workflow", "opaque_workflow")),
    "grants": (Grant, "pk", grant, ("groups", "subjects", "connections")),
    "masking": (MaskingRule, "name", masking, ("connections", "cleared_groups", "cleared_subjects")),
    "rules": (StatementRule, "name", rule, ("workflow",)),
}

# The order in which rows can be made; they are removed the other way round.
ORDER = tuple(_TABLES)
