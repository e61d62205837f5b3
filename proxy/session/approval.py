"""What an approver is shown of a held statement, what the approval is bound to, and what the client is told."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from proxy import errors
from proxy.errors import Refusal
from proxy.events import ApprovalAnswered
from proxy.policy.bundle import Workflow
from proxy.policy.decision import RequireApproval
from proxy.session.gate import Prospect
from proxy.session.prepared import Portal
from proxy.session.preview import Preview
from proxy.session.state import State
from proxy.sql import recorded
from proxy.wire.frontend import Cut


@dataclass(slots=True, eq=False)
class Hold:
    prospect: Prospect
    decision: RequireApproval
    workflow: Workflow
    since: float
    preview: Preview
    request_id: str = ""
    url: str = ""
    noticed: bool = False
    bound: int | None = None  # rows that it may change at most, as the approval says

    @property
    def deadline(self) -> float:
        """Until when the client is kept waiting; the request itself stays open as a ticket."""
        return self.since + self.workflow.max_wait


_VALUES_ONLY = frozenset({"select", "insert", "update", "delete", "merge"})  # elsewhere constants are options, names or code
_LONGEST_SHAPE = 20_000  # characters; nobody reads more before they let it run again and again


def binding(state: State, prospect: Prospect) -> str:
    """What an approval covers: exactly this text with these parameters, for this subject, under these names and masks."""
    return _digest(state, prospect, {"sql": prospect.text, "parameters": _exact_parameters(prospect.portal)})


def shape(state: State, prospect: Prospect) -> str:
    """What statements share that differ in values only; empty where values decide what a statement is."""
    analysis = prospect.analysis
    if analysis.problem or len(analysis.statements) != 1 or len(prospect.text) > _LONGEST_SHAPE:
        return ""
    (facts,) = analysis.statements
    if not facts.normalised or not facts.actions or not facts.actions <= _VALUES_ONLY:
        return ""
    types = list(prospect.portal.prepared.declared) if prospect.portal else []
    return _digest(state, prospect, {"normalised": facts.normalised, "types": types})


def _digest(state: State, prospect: Prospect, what: dict[str, object]) -> str:
    said = recorded.fields_of(prospect.analysis)
    content = {
        "subject": state.who.subject,
        "connection": state.connection,
        "database": state.database,
        "masks": prospect.context.masks.digest,
        # Under another search path the same text means other tables, types and operators.
        "path": ["pg_temp" if schema.startswith("pg_temp_") else schema for schema in prospect.context.path],
        "relations": said["relations"],
        "functions": said["functions"],
        **what,
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _exact_parameters(portal: Portal | None) -> list[dict[str, object]]:
    if portal is None:
        return []
    # The declared types, since the inferred ones may or may not be known yet: the same run must give the same binding.
    declared = portal.prepared.declared
    exact: list[dict[str, object]] = []
    for n, value in enumerate(portal.bind.values):
        item: dict[str, object] = {"format": portal.bind.format_of(n), "oid": declared[n] if n < len(declared) else 0}
        if isinstance(value, Cut):
            item["sha256"] = value.sha256  # as exact as the value
        else:
            item["hex"] = None if value is None else value.hex()
        exact.append(item)
    return exact


def request(state: State, hold: Hold, *, in_transaction: bool) -> dict[str, object]:
    """The payload of RequestApproval (docs/contracts.md §4)."""
    prospect, decision, portal = hold.prospect, hold.decision, hold.prospect.portal
    texts = prospect.parameter_texts() or []
    return {
        "binding": binding(state, prospect),
        "shape": shape(state, prospect),
        "workflow": decision.workflow,
        "subject": state.who.subject,
        "issuer": state.who.issuer,
        "connection": state.connection,
        "database": state.database,
        "session": state.id,
        "statement": prospect.statement,
        "decision": prospect.decision_id,
        "sql": prospect.text,
        "normalised": "; ".join(facts.normalised for facts in prospect.analysis.statements),
        "parameters": [{"n": n + 1, "oid": portal.prepared.type_of(n) if portal else 0, "text": t} for n, t in enumerate(texts)],
        "actions": recorded.actions(prospect.analysis),
        "relations": recorded.relations(prospect.analysis),
        "reason": decision.reason,
        "rules": list(decision.rules),
        "masked": list(prospect.analysis.plan.masked),
        "bundle": prospect.context.bundle.digest,
        "in_transaction": in_transaction,
        "client": state.client,
        "application": state.application,
        "run": state.run,
        "preview": hold.preview.fields(),
        "bound": hold.preview.affected_rows,
    }


def ticket(hold: Hold) -> Refusal:
    """The request stands and the client does not wait (any longer)."""
    hint = f"Request {hold.request_id}. Run the same statement again once it is approved."
    if hold.url:
        hint += f" {hold.url}"
    return errors.approval_needed(f"approval needed: {hold.decision.reason}", decision=hold.prospect.decision_id, hint=hint)


def notice(hold: Hold) -> tuple[str, str]:
    """Message and hint of the notice to a client that waits."""
    return f"waiting for approval: {hold.decision.reason}", f"Request {hold.request_id}. {hold.url}".strip()


def refusal(hold: Hold, answer: ApprovalAnswered) -> Refusal:
    """Any answer but *open* and *consumed*."""
    decision, said = hold.prospect.decision_id, f": {answer.comment}" if answer.comment else ""
    if answer.outcome == "no_approver":
        return errors.denied(f'workflow "{hold.decision.workflow}" has no approver who could say yes', decision=decision)
    if answer.outcome in ("rejected", "expired", "cancelled"):
        word = {"rejected": "rejected", "expired": "not given in time", "cancelled": "withdrawn"}[answer.outcome]
        return errors.approval_refused(f"approval was {word}{said}", decision=decision)
    return errors.undecidable("approval is needed and cannot be asked for at the moment", decision=decision, hint="Try again later.")
