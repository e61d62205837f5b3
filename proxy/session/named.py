"""What SQL can run by a name, so that no text shows it: prepared statements (EXECUTE) and cursors (FETCH).

EXECUTE reaches what PREPARE made and what Parse made under a name alike. So it is allowed only if everything that it
could run is allowed now, simply allowed and not by approval, and still means what it meant when it was prepared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.policy.decision import Allow, Deny
from proxy.session.gate import Prospect
from proxy.session.prepared import AnalysisKey
from proxy.sql.facts import Analysis, Facts

if TYPE_CHECKING:
    from proxy.session.relay import Relay

_LIMIT = 1000  # SQL PREPAREs of one session that are remembered; more are refused


class Named:
    def __init__(self) -> None:
        self._prepared: list[tuple[Analysis, AnalysisKey]] = []  # by SQL PREPARE
        self._may_have_deallocated = False  # names of the extended protocol may be free again
        self._cursor_masks: str | None = None  # the masks under which cursors were declared
        self.forget_parsed = False  # a name of the extended protocol may now mean what SQL PREPARE made

    def doubt(self, relay: Relay, prospect: Prospect) -> Deny | None:
        """Why a statement that is otherwise not denied cannot run, because of a name in it."""
        statements, context = prospect.analysis.statements, prospect.context
        masks_changed = self._cursor_masks not in (None, context.masks.digest)
        if masks_changed and context.names_matter and any("cursor" in f.actions for f in statements):
            reason = "masks changed since this session first declared a cursor"
            return Deny(reason, "Reconnect, and declare it again.", sqlstate="TG003")
        if len(self._prepared) >= _LIMIT and any("prepare" in f.actions for f in statements):
            return Deny(f"a session may PREPARE {_LIMIT} statements", "Reconnect.", sqlstate="TG003")
        if any(f.runs_prepared for f in statements):
            return self._doubt_execute(relay, prospect)
        return _doubt_portals(relay, prospect)

    def _doubt_execute(self, relay: Relay, prospect: Prospect) -> Deny | None:
        parsed = [(p.analysis, p.key) for p in relay.statements.values() if p.name]
        context = prospect.context
        for analysis, key in [*self._prepared, *parsed]:
            if context.names_matter and key != context.key:
                reason = "EXECUTE could run a statement that was prepared before names or masks changed"
                return Deny(reason, "Send the statement itself, or reconnect.", sqlstate="TG003")
            if _masked_in_result(analysis) and any(f.runs_prepared and f.action != "prepare" for f in prospect.analysis.statements):
                # What such a statement yields is masked on its way to the client only, and this one would keep it.
                return Deny("what a prepared statement yields cannot be masked there", "Write its query instead.", sqlstate="TG003")
            # Its own text is a PREPARE, which the rules take for something without rows: an unknown estimate is any.
            estimates = context.estimates if prospect.estimated_rows is None else ()
            for rows in estimates or (prospect.estimated_rows,):
                decision = relay.gate.decide(analysis, context, in_transaction=relay.in_transaction, estimated_rows=rows)
                if not isinstance(decision, Allow):
                    reason = f"EXECUTE could run a prepared statement that is not simply allowed ({decision.reason})"
                    return Deny(reason, "Send the statement itself.", decision.rules, decision.would, "TG003")
        return None

    def forwarded(self, prospect: Prospect) -> None:
        """A statement is on its way: remember what it names."""
        for facts in prospect.analysis.statements:
            if "cursor" in facts.actions and self._cursor_masks is None:
                self._cursor_masks = prospect.context.masks.digest
            if facts.action != "prepare":
                self._may_have_deallocated = self._may_have_deallocated or facts.names_change
            elif facts.actions == {"prepare"}:
                self._may_have_deallocated = self._may_have_deallocated or not facts.runs_prepared
            else:
                self._prepared.append((prospect.analysis, prospect.context.key))
                self.forget_parsed = self.forget_parsed or self._may_have_deallocated


def _masked_in_result(analysis: Analysis) -> bool:
    return analysis.plan.kind == "result" and bool(analysis.plan.masked)


def _doubt_portals(relay: Relay, prospect: Prospect) -> Deny | None:
    """Code on the server can fetch from a portal by its name, and what it gets there is not masked yet."""
    portals = [portal for portal in relay.portals.values() if portal is not prospect.portal and _masked_in_result(portal.prepared.analysis)]
    if not portals or not any(map(_runs_code, prospect.analysis.statements)):
        return None
    catalog = prospect.context.catalog
    # What this transaction created, the catalog does not hold yet.
    if "fetch" in prospect.text.lower() or relay.gate.catalog_changed or catalog is None or catalog.code_fetches:
        reason = "code that is run could fetch from a portal whose masked columns are masked on their way to the client only"
        return Deny(reason, "Read the portal to its end and close it first.", sqlstate="TG003")
    return None


def _runs_code(facts: Facts) -> bool:
    """Whether functions that people wrote may run: also triggers."""
    own = any(not name.startswith("pg_catalog.") for name in facts.functions)
    return own or bool(facts.writes) or not facts.actions.isdisjoint(("do", "call", "unanalyzable"))
