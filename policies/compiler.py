"""From the tables to the bundle that workers decide with (docs/contracts.md §1)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group

from approvals import approvers
from controlplane.api_keys import ITERATIONS
from controlplane.models import ApiKey, Connection, Grant, OidcIssuer, Subject
from policies.models import MaskingRule, StatementRule

FORMAT = "tidegate-bundle/1"


def compile_content(now: datetime) -> dict[str, Any]:
    """Everything that decides, without the serial number; equal tables give equal content.

    Disabled subjects, revoked and expired keys and grants that are over are left out.
    """
    return {
        "format": FORMAT,
        "max_staleness": settings.TIDEGATE_MAX_STALENESS,
        "groups": _names(Group.objects.order_by("name")),
        "issuers": [_issuer(item) for item in OidcIssuer.objects.order_by("name")],
        "subjects": _subjects(now),
        "connections": [_connection(item) for item in _connections()],
        "grants": _grants(now),
        "masking": [_masking(item) for item in MaskingRule.objects.order_by("name").prefetch_related(*_MASKING_LINKS)],
        "rules": [_rule(item) for item in StatementRule.objects.order_by("name").select_related("workflow")],
        "workflows": [_workflow(item) for item in apps.get_model("approvals", "Workflow").objects.order_by("name")],
    }


def impossible(content: dict[str, Any]) -> str:
    """Why this must not be published although the core could load it; empty if it may."""
    for connection in content["connections"]:
        if connection["unanalyzable"] != "allow":
            continue
        over = next((rule for rule in content["masking"] if rule["connections"] is None or connection["name"] in rule["connections"]), None)
        if over:
            # What cannot be understood could read anything.
            return (
                f"The connection '{connection['name']}' lets statements through that cannot be understood; that is possible only "
                f"without masking rules, and '{over['name']}' masks columns of it."
            )
    return ""


def canonical(content: dict[str, Any], serial: int) -> str:
    """Canonical JSON: sorted keys, no white space."""
    return json.dumps({**content, "serial": serial}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_of(payload: str) -> dict[str, Any]:
    """What :func:`compile_content` returned for a published payload."""
    content: dict[str, Any] = json.loads(payload)
    content.pop("serial")
    return content


_MASKING_LINKS = ("connections", "cleared_subjects", "cleared_groups")


def _names(items: Iterable[Any]) -> list[str]:
    return sorted(str(item) for item in items)


def _epoch(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None


def _base64(data: bytes | memoryview) -> str:
    return base64.b64encode(bytes(data)).decode()


def _issuer(item: OidcIssuer) -> dict[str, Any]:
    return {
        "name": item.name,
        "issuer": item.issuer,
        "audience": item.audience,
        "jwks_uri": item.jwks_uri or None,
        "subject_claim": item.subject_claim,
        "groups_claim": item.groups_claim or None,
        "algorithms": sorted(item.algorithms),
    }


def _subjects(now: datetime) -> list[dict[str, Any]]:
    keys: dict[int, list[ApiKey]] = {}
    for key in ApiKey.objects.usable(now).order_by("key_id"):
        keys.setdefault(key.subject_id, []).append(key)
    subjects = Subject.objects.enabled().order_by("name").select_related("owner", "oidc_issuer").prefetch_related("groups")
    return [_subject(item, keys.get(item.pk, [])) for item in subjects]


def _subject(item: Subject, keys: list[ApiKey]) -> dict[str, Any]:
    return {
        "name": item.name,
        "kind": item.kind,
        "owner": item.owner.get_username() if item.owner else None,
        "groups": _names(item.groups.all()),
        "scram": {"salt": _base64(item.scram_salt), "iterations": ITERATIONS, "keys": [_key(key) for key in keys]} if keys else None,
        "oidc": {"issuer": item.oidc_issuer.name, "subject": item.oidc_subject} if item.oidc_issuer else None,
        "certificate": item.certificate,
    }


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "stored_key": _base64(key.stored_key),
        "server_key": _base64(key.server_key),
        "expires": _epoch(key.expires_at),
    }


def _connections() -> Iterable[Connection]:
    return Connection.objects.order_by("name").select_related("credential", "unanalyzable_workflow", "opaque_workflow")


def _connection(item: Connection) -> dict[str, Any]:
    return {
        "name": item.name,
        "host": item.host,
        "port": item.port,
        "dbname": item.dbname,
        "databases": item.databases,
        "user": item.user,
        "credential_version": item.credential.version,
        "tls": {"mode": item.tls_mode, "ca": item.tls_ca or None, "client_cert": item.tls_client_cert or None},
        "default": item.default,
        "unanalyzable": {"approve": item.unanalyzable_workflow.name} if item.unanalyzable_workflow else item.unanalyzable,
        "opaque_functions": {"approve": item.opaque_workflow.name} if item.opaque_workflow else item.opaque_functions,
        "trusted_functions": item.trusted_functions,
        "derived_use": item.derived_use,
        "detectors": item.detectors,
        "row_evidence": item.row_evidence,
        "max_rows": item.max_rows,
        "statement_timeout_ms": item.statement_timeout_ms,
        "max_sessions": item.max_sessions,
        "max_sessions_per_subject": item.max_sessions_per_subject,
        "idle_timeout": item.idle_timeout,
    }


def _grants(now: datetime) -> list[dict[str, Any]]:
    grants = Grant.objects.not_over(now).order_by("pk").prefetch_related("subjects", "groups", "connections")
    return [_grant(item) for item in grants]


def _grant(item: Grant) -> dict[str, Any]:
    return {
        "subjects": _names(item.subjects.all()),
        "groups": _names(item.groups.all()),
        "connections": _names(item.connections.all()),
        "actions": sorted(item.actions),
        "from": _epoch(item.valid_from),
        "until": _epoch(item.valid_until),
    }


def _masking(item: MaskingRule) -> dict[str, Any]:
    subjects, groups = _names(item.cleared_subjects.all()), _names(item.cleared_groups.all())
    cleared = [{"subjects": subjects, "groups": groups, "until": _epoch(item.cleared_until)}]
    return {
        "name": item.name,
        "connections": _names(item.connections.all()) or None,
        "columns": item.columns,
        "method": item.method,
        "lookups": "allow" if item.lookups else "deny",
        "cleared": cleared if subjects or groups else [],
    }


def _rule(item: StatementRule) -> dict[str, Any]:
    return {
        "name": item.name,
        "when": item.when,
        "then": item.then,
        "workflow": item.workflow.name if item.workflow else None,
        "message": item.message or None,
        "shadow": item.shadow,
    }


def _workflow(item: Any) -> dict[str, Any]:
    return {
        "name": item.name,
        "quorum": item.quorum,
        "expires": item.expires,
        "hold": item.hold,
        "max_wait": item.max_wait,
        "has_approvers": approvers.members(item, escalated=True).exists(),
    }
