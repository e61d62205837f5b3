"""What SQL can run by a name, so that no text shows it: prepared statements (EXECUTE) and cursors (FETCH).

EXECUTE reaches what PREPARE made and what Parse made under a name alike. So it is allowed only if everything that it
could run is allowed now, simply allowed and not by approval, and still means what it meant when it was prepared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.policy.decision import Allow, Deny
from proxy.session.gate import Prospect
from proxy.session.prepared import AnalysisKey
from proxy.sql.facts import Analysis

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
        return None

    def _doubt_execute(self, relay: Relay, prospect: Prospect) -> Deny | None:
        parsed = [(p.analysis, p.key) for p in relay.statements.values() if p.name]
        context = prospect.context
        for analysis, key in [*self._prepared, *parsed]:
            if context.names_matter and key != context.key:
                reason = "EXECUTE could run a statement that was prepared before names or masks changed"
                return Deny(reason, "Send the statement itself, or reconnect.", sqlstate="TG003")
            decision = relay.gate.decide(analysis, context, in_transaction=relay.in_transaction)
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
