"""What each message of the client leads to (manual, 55.2.2 to 55.2.4). ``HANDLERS`` is the table; what is not in it ends the session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from proxy import errors
from proxy.errors import Refusal
from proxy.policy.decision import Deny, RequireApproval
from proxy.session import estimate, forward, gate, limit, pieces
from proxy.session.gate import Prospect, forwarded_text
from proxy.session.names import need_names
from proxy.session.pending import Expected, Kind, Undo
from proxy.session.prepared import Portal, Prepared
from proxy.session.records import WHOLE
from proxy.session.relay import Examined, Relay
from proxy.session.state import EndSession
from proxy.sql.facts import Analysis, Facts
from proxy.wire import framing, frontend, long_bind
from proxy.wire.codec import MalformedError
from proxy.wire.framing import FrameReader
from proxy.wire.frontend import Bind, Close, Describe, Execute, FunctionCall, Parse, Query

Handler = tuple[Callable[[bytes], Any], Callable[[Relay, Any], None]]  # what reads a message's body, and what is done about it

_TURN = 250  # messages of one client, after which others have their turn
_NEVER_SKIPPED = (frontend.SYNC, frontend.TERMINATE)
_UNREAD_LIMIT = 256 << 20  # bytes of a text that nobody reads: where every statement is allowed


def pump(relay: Relay) -> None:
    """Handle the client's messages until there is none left, something must be waited for, or it is others' turn."""
    reader = relay.state.reader
    if relay.yielded:
        return
    for _ in range(_TURN):
        if relay.waiting is not None:
            break
        kind = reader.next()
        if kind == framing.INCOMPLETE:
            if not _begin(relay, reader):
                return
            continue
        if kind == framing.CONTINUED:
            pieces.proceed(relay)
            continue
        if kind == frontend.COPY_DATA and not relay.skipping:
            reader.run()
            pass_on(relay)
            continue
        if kind < 0:
            raise EndSession("malformed message", errors.protocol_violation("invalid message length"))
        handler = HANDLERS.get(kind)
        if handler is None:
            raise EndSession("unknown message", errors.protocol_violation(f"invalid frontend message type {kind}"))
        if relay.skipping and kind not in _NEVER_SKIPPED:
            continue
        decode, handle = handler
        try:
            message = decode(reader.buffer[reader.start + 5 : reader.stop])
        except MalformedError as error:
            # Its frame was right, so the next message begins where it should: the session goes on, as at a server.
            relay.refuse(Refusal("08P01", str(error)), simple=kind in (frontend.QUERY, frontend.FUNCTION_CALL))
        else:
            handle(relay, message)
    else:
        relay.yield_turn()
    relay.holder.check_queue(relay)


# -- messages of which only a part is there


def _begin(relay: Relay, reader: FrameReader) -> bool:
    """Start on the message that is coming in, if it is of those that are not kept until they are complete."""
    kind = reader.peek()
    if kind == framing.INCOMPLETE or (relay.skipping and kind in _NEVER_SKIPPED):
        return False
    if relay.skipping:
        pieces.begin(relay, pieces.Dropped())
    elif kind == frontend.COPY_DATA:
        pieces.begin(relay, pieces.Passed())
    elif kind == frontend.BIND:
        return reader.size() > long_bind.LONG and _begin_bind(relay, reader)
    elif reader.size() > WHOLE and reader.size() > _longest(relay):  # what is in force is only asked for where it matters
        pieces.begin(relay, pieces.Dropped(lambda: _too_long(relay, kind)))
    else:
        return False
    return True


def _begin_bind(relay: Relay, reader: FrameReader) -> bool:
    """Start on a long Bind as soon as it is there by which names it goes."""
    if relay.pending.copying_in:
        raise EndSession("malformed message", errors.protocol_violation("unexpected message type 0x42 during COPY from stdin"))
    try:
        names = long_bind.names(reader.beginning())
    except MalformedError as error:
        refusal = Refusal("08P01", str(error))
        pieces.begin(relay, pieces.Dropped(lambda: None if relay.skipping else relay.refuse(refusal, simple=False)))
        return True
    if names is None:
        return False
    portal, statement = names

    def known(prepared: Prepared) -> None:
        key = relay.gate.context().key

        def passed(bind: Bind | None) -> None:
            if relay.skipping:
                return  # the server ignores it too: an earlier message of the pipeline failed meanwhile
            problem = ""
            if bind is None:
                bind, problem = Bind(portal, statement), "the portal was made by a malformed message"  # which the server refuses
            elif relay.gate.context().key != key:
                problem = "masks, tables or names changed while the values of the portal came in"
            _bound(relay, prepared, bind, problem)

        pieces.begin(relay, pieces.PassedBind(passed))

    _when_prepared(relay, statement, known)
    return True


def _longest(relay: Relay) -> int:
    """How many bytes of a message are kept until it is complete. A text that decides something is recorded whole."""
    return WHOLE if relay.gate.context().reading_matters else _UNREAD_LIMIT


def _too_long(relay: Relay, kind: int) -> None:
    """The end of a message that was too long has come: its answer is due."""
    if relay.skipping:
        return
    if kind not in (frontend.QUERY, frontend.PARSE, frontend.FUNCTION_CALL):
        raise EndSession("malformed message", errors.protocol_violation("invalid message length"))
    reason = f"a statement longer than {_longest(relay)} bytes cannot be recorded, so it was not run"
    refusal = Refusal("54000", reason, hint="Send values as parameters, or by COPY.")
    relay.deny_unseen(b"(too long to be recorded)", refusal, "extended" if kind == frontend.PARSE else "simple")


def pass_on(relay: Relay) -> None:
    """The message that was read goes to the server as it came. (While something is waited for, none is read.)"""
    reader = relay.state.reader
    relay.outbox.server.slice(reader.buffer, reader.start, reader.stop)


def received(relay: Relay) -> bytes:
    reader = relay.state.reader
    return reader.buffer[reader.start : reader.stop]


# -- simple protocol


def on_query(relay: Relay, query: Query) -> None:
    sql, message = query.sql, received(relay)
    relay.statements.pop(b"", None)  # a Query destroys the unnamed statement, and a refused one does no less

    def examined(result: Examined | Refusal) -> None:
        if isinstance(result, Refusal):
            relay.deny_unseen(sql, result, "simple")
        else:
            settle(relay, relay.prospect(result, "simple", message))

    relay.examine(sql, examined)


def settle(relay: Relay, prospect: Prospect) -> None:
    """Decide about a statement, and do what was decided."""
    estimate.when_estimated(relay, prospect, lambda: _settle(relay, prospect))


def _settle(relay: Relay, prospect: Prospect) -> None:
    decision = estimate.decide(relay, prospect)
    if isinstance(decision, Deny):
        relay.deny(prospect, decision, gate.refusal(decision, prospect.analysis, prospect.decision_id))
    elif isinstance(decision, RequireApproval) and prospect.portal is not None and prospect.portal.approval:
        forward.run(relay, prospect, decision, prospect.portal.approval)
    elif isinstance(decision, RequireApproval):
        relay.holder.begin(relay, prospect, decision)
    else:
        forward.run(relay, prospect, decision)


def on_function_call(relay: Relay, call: FunctionCall) -> None:
    """The fast path (manual, 55.2.6), by which libpq reaches large objects: which function it is says only its oid."""
    message = received(relay)
    text = f"FunctionCall {call.function}"
    if refusal := relay.standing():
        relay.deny_unseen(text.encode(), refusal, "simple")
        return
    problem = "FunctionCall messages name their function by its oid only"
    facts = Facts(
        "unanalyzable", frozenset({"unanalyzable"}), names_change=True, reading_changes=True, schema_changes=True, normalised=text,
        problem=problem,
    )
    settle(relay, relay.prospect(Examined(text, Analysis((facts,)), relay.gate.context()), "simple", message))


# -- extended protocol


def on_parse(relay: Relay, parse: Parse) -> None:
    message = received(relay)

    def examined(result: Examined | Refusal) -> None:
        if isinstance(result, Refusal):
            relay.deny_unseen(parse.sql, result, "extended")
            return
        prospect = relay.prospect(result, "extended", b"")
        decision = estimate.at_best(relay, prospect)
        if isinstance(decision, Deny):
            if not parse.name:
                relay.statements.pop(b"", None)  # even a Parse that fails destroys the unnamed statement
            relay.deny(prospect, decision, gate.refusal(decision, result.analysis, prospect.decision_id))
        else:
            _parse(relay, parse, message, result)

    relay.examine(parse.sql, examined)


def _parse(relay: Relay, parse: Parse, message: bytes, examined: Examined) -> None:
    analysis = examined.analysis
    text = forwarded_text(analysis, examined.text)
    prepared = Prepared(parse.name, parse.sql, examined.text, parse.parameter_types, analysis, examined.context.key, text)
    scan = analysis.plan.kind == "scan"
    if scan:
        message = Parse(parse.name, relay.gate.encode(text), parse.parameter_types).encode()
    relay.outbox.server.add(message)
    undo = Undo(relay.statements, parse.name, relay.statements.get(parse.name))
    relay.statements[parse.name] = prepared
    relay.expect(Expected(Kind.PARSE, undo=undo, sanitise=analysis.plan.sanitise_errors, rewritten=scan))


def on_bind(relay: Relay, bind: Bind) -> None:
    message = received(relay)

    def known(prepared: Prepared) -> None:
        relay.outbox.server.add(message)
        _bound(relay, prepared, bind)

    _when_prepared(relay, bind.statement, known)


def _when_prepared(relay: Relay, name: bytes, then: Callable[[Prepared], None]) -> None:
    """Call ``then``, now or later, with what a Bind of this name would bind; or refuse the Bind."""
    if relay.named.forget_parsed:
        relay.named.forget_parsed = False
        for parsed in [parsed for parsed in relay.statements if parsed]:
            del relay.statements[parsed]
    prepared = relay.statements.get(name)
    if prepared is None and _server_may_know(relay, name):
        _made_by_sql(relay, "EXECUTE", name, then)
        return
    if prepared is None:
        told = name.decode("utf-8", "replace")
        said = f'prepared statement "{told}" does not exist' if told else "unnamed prepared statement does not exist"
        relay.refuse(Refusal("26000", said), simple=False)
        return

    def fresh(result: Prepared | Refusal) -> None:
        if isinstance(result, Refusal):
            relay.refuse(result, simple=False)
        else:
            then(result)

    freshen(relay, prepared, fresh)


def _server_may_know(relay: Relay, name: bytes) -> bool:
    """Whether it is left to the server what a name stands for that no message of this session gave."""
    context = relay.gate.context()
    return not context.reading_matters or (name != b"" and not context.names_matter)


def _made_by_sql(relay: Relay, verb: str, name: bytes, then: Callable[[Prepared], None]) -> None:
    """What SQL gave a name to (PREPARE, DECLARE), if anything: it is decided like the SQL that runs it."""
    quoted = name.decode("utf-8", "backslashreplace").replace('"', '""')
    sql = f'{verb} "{quoted}"'.encode()

    def examined(result: Examined | Refusal) -> None:
        if isinstance(result, Refusal):
            relay.refuse(result, simple=False)
        else:
            then(Prepared(name, sql, result.text, (), result.analysis, result.context.key, result.text))

    relay.examine(sql, examined)


def _bound(relay: Relay, prepared: Prepared, bind: Bind, problem: str = "") -> None:
    """A Bind is on its way."""
    undo = Undo(relay.portals, bind.portal, relay.portals.get(bind.portal))
    relay.portals[bind.portal] = _portal(relay, prepared, bind, problem)
    plan = prepared.analysis.plan
    relay.expect(Expected(Kind.BIND, undo=undo, sanitise=plan.sanitise_errors, rewritten=plan.kind == "scan"))


def freshen(relay: Relay, prepared: Prepared, then: Callable[[Prepared | Refusal], None]) -> None:
    """The prepared statement as the server will plan it now, under the context in force; ``then`` gets it, or why it cannot be.

    Portals keep the one that they were made from: a server binds a portal's names when the portal is made.
    """
    if relay.is_current(prepared):
        then(prepared)
        return

    def examined(result: Examined | Refusal) -> None:
        if isinstance(result, Refusal):
            then(result)
            return
        if result.context.names_matter and relay.names.path is None and need_names(result.analysis.statements):
            reason = "an earlier statement of the same pipeline or transaction may have changed what names mean"
            then(errors.undecidable(reason, hint="Send it again after the pipeline's Sync."))
            return
        if forwarded_text(result.analysis, result.text) != prepared.forwarded or result.analysis.plan.kind == "refuse":
            reason = "masks, tables or names changed since the statement was prepared"
            then(errors.undecidable(reason, hint="Prepare it again."))
            return
        # What a Describe told before says nothing about the columns of what the names mean now.
        known = prepared if prepared.key == result.context.key else replace(prepared, inferred=(), description=None)
        current = replace(known, analysis=result.analysis, key=result.context.key, asked=known.description is not None)
        if relay.statements.get(prepared.name) is prepared:
            relay.statements[prepared.name] = current
        then(current)

    relay.examine(prepared.sql, examined)


def on_execute(relay: Relay, execute: Execute) -> None:
    message = received(relay)
    portal = relay.portals.get(execute.portal)
    if portal is not None:

        def execute_now() -> None:
            relay.when_names_known(lambda: _execute(relay, portal, message), lambda refusal: _execute(relay, portal, message, refusal))

        limit.when_rows_are_through(relay, portal.prepared.analysis, execute_now)
    elif _server_may_know(relay, execute.portal):
        unbound = Bind(execute.portal, b"")
        _made_by_sql(relay, "FETCH ALL FROM", execute.portal, lambda made: _execute(relay, _portal(relay, made, unbound), message))
    else:
        name = execute.portal.decode("utf-8", "replace")
        relay.refuse(Refusal("34000", f'portal "{name}" does not exist'), simple=False)


def _execute(relay: Relay, portal: Portal, message: bytes, refusal: Refusal | None = None) -> None:
    prepared, context = portal.prepared, relay.gate.context()
    prospect = relay.prospect(Examined(prepared.text, prepared.analysis, context), "extended", message, portal)
    refusal = refusal or relay.standing()
    if refusal is None and portal.problem:
        refusal = errors.undecidable(portal.problem, hint="Bind again.")
    if refusal is None and context.masks.digest != portal.mask_digest:
        refusal = errors.undecidable("masks changed since the portal was made", hint="Bind again.")
    if refusal is None:
        settle(relay, prospect)
    else:
        relay.deny(prospect, Deny(refusal.message, refusal.hint, sqlstate=refusal.sqlstate), refusal)


def _portal(relay: Relay, prepared: Prepared, bind: Bind, problem: str = "") -> Portal:
    return Portal(prepared, bind, relay.batch, relay.gate.context().masks.digest, problem)


def on_describe(relay: Relay, describe: Describe) -> None:
    def describe_now() -> None:
        target: Prepared | Portal | None = relay.portals.get(describe.name)
        if describe.kind == b"S":
            prepared = relay.statements.get(describe.name)
            # Of what the names mean now, which may not be what they meant when it was prepared.
            target = prepared if prepared is not None and relay.is_current(prepared) else None
        pass_on(relay)
        if target is not None:
            target.asked = True
        relay.expect(Expected(Kind.DESCRIBE, target=target))

    relay.when_names_known(describe_now)


def on_close(relay: Relay, close: Close) -> None:
    def close_now() -> None:
        names: dict[bytes, Prepared] | dict[bytes, Portal] = relay.statements if close.kind == b"S" else relay.portals
        undo = Undo(names, close.name, names.pop(close.name, None))
        pass_on(relay)
        relay.expect(Expected(Kind.CLOSE, undo=undo))

    relay.when_names_known(close_now)


def on_sync(relay: Relay, body: bytes) -> None:
    def sync_now() -> None:
        pass_on(relay)
        relay.skipping = False
        if not relay.pending.copying_in:  # a server that waits for a COPY's data ignores it (manual, 55.2.7)
            relay.pending.push(Expected(Kind.SYNC, batch=relay.end_batch()))

    limit.when_own_rows_are_through(relay, sync_now)


def on_flush(relay: Relay, body: bytes) -> None:
    pass_on(relay)


# -- COPY and the end


def on_copy_end(relay: Relay, body: bytes) -> None:
    pass_on(relay)
    if relay.pending.copying_in:
        relay.pending.copying_in = False
    else:
        relay.pending.push(Expected(Kind.COPY_END))
        relay.answer_local()


def on_copy_data(relay: Relay, body: bytes) -> None:
    """Only reached while the batch is skipped: the data of a COPY that failed."""


def on_terminate(relay: Relay, body: bytes) -> None:
    pass_on(relay)
    raise EndSession("client terminated")


HANDLERS: Mapping[int, Handler] = {
    frontend.QUERY: (Query.decode, on_query),
    frontend.PARSE: (Parse.decode, on_parse),
    frontend.BIND: (long_bind.decode, on_bind),
    frontend.EXECUTE: (Execute.decode, on_execute),
    frontend.DESCRIBE: (Describe.decode, on_describe),
    frontend.CLOSE: (Close.decode, on_close),
    frontend.FUNCTION_CALL: (FunctionCall.decode, on_function_call),
    frontend.SYNC: (bytes, on_sync),
    frontend.FLUSH: (bytes, on_flush),
    frontend.COPY_DATA: (bytes, on_copy_data),
    frontend.COPY_DONE: (bytes, on_copy_end),
    frontend.COPY_FAIL: (bytes, on_copy_end),
    frontend.TERMINATE: (bytes, on_terminate),
}
