"""What each message of the server leads to (manual, 55.2). ``HANDLERS`` is the table; what is not in it ends the session.

Every reply is matched with the head of the queue of expected replies; one that does not fit is a surprise, and a surprise
closes the session. Rows and the data of a COPY are handled in runs, without an object for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from proxy import errors
from proxy.effects import RefreshCatalog
from proxy.errors import Refusal
from proxy.session import bound, limit, transform
from proxy.session.pending import Expected, Kind
from proxy.session.prepared import Portal, Prepared
from proxy.session.records import Running
from proxy.session.relay import Relay
from proxy.session.state import EndSession
from proxy.sql.catalog import FIRST_USER_OID
from proxy.wire import backend, framing
from proxy.wire.backend import (
    CommandComplete,
    CopyOutResponse,
    DataRow,
    ErrorFields,
    NotificationResponse,
    ParameterStatus,
    ReadyForQuery,
    RowDescription,
)
from proxy.wire.framing import FrameReader

Handler = Callable[[Relay, Expected, FrameReader], None]

_STREAMED = (backend.DATA_ROW, backend.COPY_DATA, backend.NOTICE_RESPONSE)  # what may be large


def surprise(what: str) -> EndSession:
    return EndSession(f"the server sent {what}", errors.internal())


def pump(relay: Relay) -> None:
    """Handle the server's messages until there is none left."""
    reader = relay.state.server_reader
    while True:
        kind = reader.next()
        if kind in (backend.DATA_ROW, backend.COPY_DATA):
            _rows(relay, reader, kind)
        elif kind == framing.CONTINUED:
            _continued(relay, reader)
        elif kind == framing.INCOMPLETE:
            if not _stream(relay, reader):
                return
        elif kind < 0:
            raise surprise("a message of impossible length")
        elif kind in ANYTIME:
            ANYTIME[kind](relay, reader)
        elif kind in HANDLERS and relay.pending.head is not None:
            HANDLERS[kind](relay, relay.pending.head, reader)
            relay.answer_local()
        else:
            raise surprise(backend.NAMES.get(kind, "an unknown message"))


def _body(reader: FrameReader) -> bytes:
    return reader.buffer[reader.start + 5 : reader.stop]


def _forward(relay: Relay, reader: FrameReader) -> None:
    relay.outbox.client.slice(reader.buffer, reader.start, reader.stop)


def _forward_result(relay: Relay, head: Expected, reader: FrameReader) -> None:
    """A part of a statement's result goes on, unless the client gets no more of that."""
    if not _is_cut(head):
        _forward(relay, reader)


def _is_cut(head: Expected) -> bool:
    return head.swallow or (head.running is not None and head.running.cut is not None)


def _finish(relay: Relay, head: Expected, reader: FrameReader, *kinds: Kind) -> None:
    """The head got its last reply."""
    if head.kind not in kinds:
        raise surprise(f"{backend.NAMES[reader.buffer[reader.start]]} in answer to {head.kind.name}")
    relay.pending.pop()
    if not head.swallow:
        _forward(relay, reader)


# -- rows


def _rows(relay: Relay, reader: FrameReader, kind: int) -> None:
    head = relay.pending.head
    if head is not None and head.question is not None and kind == backend.DATA_ROW:
        head.question.rows.append(DataRow.decode(_body(reader)).values)
        return
    running = _running(head)
    count, start, stop = reader.run(), reader.start, reader.stop
    assert head is not None
    if _is_cut(head):
        return
    if running.limit is not None:
        count, stop = limit.take(relay, running, running.limit, reader, count)
    running.bytes += stop - start
    if kind == backend.DATA_ROW:
        running.rows += count
    masker, watcher = _transformers(relay, head)
    if masker is None and watcher is None:
        relay.outbox.client.slice(reader.buffer, start, stop)
        return
    data = reader.buffer
    if masker is not None:
        data, masked = masker.rows(data, start, stop)
        start, stop = 0, len(data)
        running.masked_cells += masked
    if watcher is not None:
        data, found = watcher.rows(data, start, stop)
        if found:
            running.detected = found if running.detected is None else running.detected + found
    relay.outbox.client.add(data)


def _stream(relay: Relay, reader: FrameReader) -> bool:
    """Pass on what is there of a row, or of a notice, that nobody looks into; whether there was anything."""
    kind, head = reader.peek(), relay.pending.head
    if kind not in _STREAMED or head is None or head.running is None:
        return False
    if kind == backend.NOTICE_RESPONSE:
        if _change(relay, head):
            return False
    elif not _is_cut(head):
        if any(_transformers(relay, head)) or not limit.take_one(relay, head.running, reader.size()):
            return False
        if kind == backend.DATA_ROW and head.running.cut is None:
            head.running.rows += 1
        head.running.bytes += reader.size()
    reader.stream()
    _continued(relay, reader)
    return True


def _continued(relay: Relay, reader: FrameReader) -> None:
    if relay.pending.head is None or not _is_cut(relay.pending.head):
        _forward(relay, reader)
    if relay.untold and not reader.remaining:
        relay.outbox.client.add(relay.untold)
        relay.untold = b""


def _running(head: Expected | None) -> Running:
    if head is None or head.running is None:
        raise surprise("rows that nobody asked for")
    return head.running


def _transformers(relay: Relay, head: Expected) -> tuple[transform.Masker | None, transform.Watcher | transform.CopyWatcher | None]:
    """What changes the rows that are coming in; for an Execute it is made when the first of them arrives."""
    if head.masker_known:
        return head.masker, head.watcher
    portal = head.target
    if head.kind is Kind.EXECUTE and isinstance(portal, Portal):
        if not portal.is_described and portal.prepared.analysis.plan.kind != "none":
            raise surprise("rows whose columns were not described")
        _learn_masker(relay, head, portal.result_columns)
    return head.masker, head.watcher


def _learn_masker(relay: Relay, head: Expected, columns: Callable[[], tuple[backend.ResultColumn, ...]]) -> None:
    """By the masks under which the statement was decided: policy or catalog may be gone when its rows arrive."""
    head.masker_known = True
    if head.context is None:
        return
    if head.context.connection.detectors != "off":
        head.watcher = transform.watcher(columns(), head.context.masks.by_column, head.context.connection.detectors)
    if head.context.masks.by_column:
        key = head.context.bundle.hash_key(relay.state.connection)
        _check_origins(relay, head, columns())
        head.masker = transform.masker(columns(), head.context.masks.by_column, key)


def _check_origins(relay: Relay, head: Expected, columns: tuple[backend.ResultColumn, ...]) -> None:
    """Rows of tables or columns that the catalog does not hold: another session changed them, so masks may be missing.

    What this session made itself is not in it either before its transaction ends, but holds no more than it was shown.

    Raises:
        EndSession: they may not be shown.
    """
    assert head.context is not None
    for column in columns:
        found = head.context.catalog.relation(column.table) if head.context.catalog is not None else None
        if column.table < FIRST_USER_OID:
            continue
        # Negative numbers are those of ctid and its like, which every table has; 0 is a whole row, which no mask is bound to:
        # that of a relation with masks was replaced where it is read.
        whole = column.attribute == 0 and not any(oid == column.table for oid, _ in head.context.masks.by_column)
        if found is not None and (column.attribute < 0 or whole or any(column.attribute == known.attnum for known in found.columns)):
            continue
        if found is None and relay.gate.catalog_changed and not head.expects_masked:
            continue
        relay.outbox.add(RefreshCatalog(relay.state.connection, relay.state.database))
        reason = "tables were changed by another session a moment ago, so masks cannot be matched with this result"
        raise EndSession("the catalog is out of date", Refusal("TG003", reason, hint="Connect again and repeat it.", fatal=True))


# -- replies to one message


def on_parse_complete(relay: Relay, head: Expected, reader: FrameReader) -> None:
    _finish(relay, head, reader, Kind.PARSE)


def on_bind_complete(relay: Relay, head: Expected, reader: FrameReader) -> None:
    _finish(relay, head, reader, Kind.BIND)


def on_close_complete(relay: Relay, head: Expected, reader: FrameReader) -> None:
    _finish(relay, head, reader, Kind.CLOSE)


def on_parameter_description(relay: Relay, head: Expected, reader: FrameReader) -> None:
    if head.kind is not Kind.DESCRIBE:
        raise surprise("ParameterDescription that nobody asked for")
    if isinstance(head.target, Prepared):
        head.target.inferred = backend.ParameterDescription.decode(_body(reader)).types
    _forward(relay, reader)


def on_row_description(relay: Relay, head: Expected, reader: FrameReader) -> None:
    if head.kind is Kind.QUERY:
        _learn_masker(relay, head, lambda: RowDescription.decode(_body(reader)).columns)
        _forward_result(relay, head, reader)
        return
    if head.target is not None:
        head.target.description = _body(reader)
    _finish(relay, head, reader, Kind.DESCRIBE)


def on_no_data(relay: Relay, head: Expected, reader: FrameReader) -> None:
    if head.target is not None:
        head.target.description = b""
    _finish(relay, head, reader, Kind.DESCRIBE)


def on_command_complete(relay: Relay, head: Expected, reader: FrameReader) -> None:
    if head.question is not None:
        _finish(relay, head, reader, Kind.EXECUTE)
        return
    if head.ends:
        relay.outbox.client.add(head.reply)
        return
    complete = CommandComplete.decode(_body(reader))
    _running(head).result_done(complete.tag, complete.rows)
    bound.check(_running(head), complete.rows)
    _statement_done(relay, head, reader)


def on_statement_done(relay: Relay, head: Expected, reader: FrameReader) -> None:
    """EmptyQueryResponse or PortalSuspended."""
    _statement_done(relay, head, reader)


def _statement_done(relay: Relay, head: Expected, reader: FrameReader) -> None:
    relay.pending.copying_in = False
    if head.kind is Kind.QUERY:
        head.masker, head.watcher, head.masker_known = None, None, False  # the next result of the same Query describes itself
        if head.enclosed:
            head.reply = reader.buffer[reader.start : reader.stop]
        else:
            _forward_result(relay, head, reader)
        return
    running = _running(head)
    hidden = head.swallow
    head.swallow = _is_cut(head)
    _finish(relay, head, reader, Kind.EXECUTE)
    if running.cut is not None:
        limit.executed(relay, running)
    relay.complete(running, "cancelled" if hidden else "ok")


def on_function_result(relay: Relay, head: Expected, reader: FrameReader) -> None:
    if head.kind is not Kind.QUERY:
        raise surprise(f"FunctionCallResponse in answer to {head.kind.name}")
    running = _running(head)
    running.tag = "FUNCTION CALL"
    running.bytes += reader.stop - reader.start
    _forward_result(relay, head, reader)


# -- COPY


def on_copy_in(relay: Relay, head: Expected, reader: FrameReader) -> None:
    if _running(head).cut is not None:
        reason = "the session ends here: an earlier result of the same Query was cut off, and now it waits for the data of a COPY"
        raise EndSession("a COPY behind a result that was cut off", Refusal("54000", reason, fatal=True))
    relay.pending.begin_copy_in()
    _forward(relay, reader)


def on_copy_out(relay: Relay, head: Expected, reader: FrameReader) -> None:
    running, response = _running(head), CopyOutResponse.decode(_body(reader))
    copy, head.copies = (head.copies[0] if head.copies else None), head.copies[1:]
    if running.limit is not None and copy is not None and copy.header:
        running.limit.left += 1  # the line of names is no row
    setting = head.context.connection.detectors if head.context is not None else "off"
    head.masker, head.watcher, head.masker_known = None, None, True
    if setting != "off" and copy is not None and not copy.problem:
        head.watcher = transform.copy_watcher(copy, response.columns, setting)
    elif setting == "mask" and running.cut is None:
        limit.cut(relay, running, errors.undecidable("it is not known how this COPY writes its rows, so detectors cannot look into them"))
    _forward_result(relay, head, reader)


def on_copy_done(relay: Relay, head: Expected, reader: FrameReader) -> None:
    _running(head)
    _forward_result(relay, head, reader)


# -- errors and the end of a batch


def on_ready(relay: Relay, head: Expected, reader: FrameReader) -> None:
    relay.status = ReadyForQuery.decode(_body(reader)).status
    if head.enclosed and relay.status != b"I":
        bound.end(relay, head)
        return
    if head.owed is not None and head.owed.cut is not None:
        limit.settle(relay, head, head.owed)
    _finish(relay, head, reader, Kind.SYNC, Kind.QUERY)
    relay.pending.copying_in = False
    if head.running is not None:
        relay.complete(head.running, "error" if head.running.sqlstate else "ok")
    relay.ready(head.batch)


def on_error(relay: Relay, reader: FrameReader) -> None:
    fields, head = ErrorFields.decode(_body(reader)), relay.pending.head
    if fields.fatal:
        # Nothing may follow it, neither of the server nor of ours. What was under way gets recorded as lost.
        if head is not None and head.running is not None:
            head.running.sqlstate = fields.sqlstate
        _tell(relay, fields, head, b"E")
        raise EndSession("server ended the session")
    if head is None:
        raise surprise("an ErrorResponse that nothing caused")
    relay.pending.copying_in = False
    relay.names.failed()
    if head.kind is Kind.POISON:
        relay.outbox.client.add(head.reply)
    elif head.silent:
        if head.question is not None:
            head.question.error = fields
    elif head.running is not None and head.running.cut is not None:
        limit.failed(relay, head.running)
    elif head.running is not None and head.running.overdue and fields.sqlstate == "57014":
        relay.outbox.client.add(backend.error_response(errors.timed_out()))
    else:
        _tell(relay, fields, head, b"E")
    if head.running is not None:
        head.running.sqlstate = head.running.sqlstate or fields.sqlstate
    if head.kind is not Kind.QUERY:
        _abandon_batch(relay, head)
    elif _was_interrupted(fields) and (swallowed := relay.pending.swallowed_by_copy()) and swallowed.running is not None:
        relay.complete(swallowed.running, "cancelled")
    relay.answer_local()


def _was_interrupted(fields: ErrorFields) -> bool:
    """Whether a COPY found another message where it wanted data. Code that users write has another routine in its errors."""
    return fields.sqlstate == "08P01" and fields.fields.get("R") == b"CopyGetData"


def _abandon_batch(relay: Relay, failed: Expected) -> None:
    for dropped in relay.pending.fail():
        if dropped.running is not None:
            relay.complete(dropped.running, "error" if dropped is failed else "cancelled")
    if relay.pending.head is None:
        # The client's Sync has not come yet: until then the server ignores everything, and so do we.
        relay.skipping = True
        if failed.question is None:
            relay.abandon_wait()


def _tell(relay: Relay, fields: ErrorFields, head: Expected | None, kind: bytes) -> None:
    if change := _change(relay, head):
        relay.outbox.client.add(change(fields).encode(kind))
    else:
        _forward(relay, relay.state.server_reader)


def _change(relay: Relay, head: Expected | None) -> Callable[[ErrorFields], ErrorFields] | None:
    """What is done to an error or a notice before the client gets it."""
    if relay.sanitising or (head is not None and head.sanitise):
        return transform.sanitise
    return transform.without_position if head is not None and head.rewritten else None


# -- at any time


def on_notice(relay: Relay, reader: FrameReader) -> None:
    head = relay.pending.head
    if head is None or not head.silent:
        _tell(relay, ErrorFields.decode(_body(reader)), head, b"N")


def on_parameter_status(relay: Relay, reader: FrameReader) -> None:
    status = ParameterStatus.decode(_body(reader))
    known = relay.state.parameters
    relay.names.reported(status.name, known.get(status.name) != status.value)
    known[status.name] = status.value
    if status.name == "application_name":
        relay.state.application = status.value
    _forward(relay, reader)


def on_notification(relay: Relay, reader: FrameReader) -> None:
    if relay.gate.context().bundle.masking_on(relay.state.connection):
        notification = NotificationResponse.decode(_body(reader))
        relay.outbox.client.add(transform.without_payload(notification).encode())
    else:
        _forward(relay, reader)


ANYTIME: Mapping[int, Callable[[Relay, FrameReader], None]] = {
    backend.ERROR_RESPONSE: on_error,
    backend.NOTICE_RESPONSE: on_notice,
    backend.PARAMETER_STATUS: on_parameter_status,
    backend.NOTIFICATION_RESPONSE: on_notification,
}

HANDLERS: Mapping[int, Handler] = {
    backend.PARSE_COMPLETE: on_parse_complete,
    backend.BIND_COMPLETE: on_bind_complete,
    backend.CLOSE_COMPLETE: on_close_complete,
    backend.PARAMETER_DESCRIPTION: on_parameter_description,
    backend.ROW_DESCRIPTION: on_row_description,
    backend.NO_DATA: on_no_data,
    backend.COMMAND_COMPLETE: on_command_complete,
    backend.EMPTY_QUERY_RESPONSE: on_statement_done,
    backend.PORTAL_SUSPENDED: on_statement_done,
    backend.FUNCTION_CALL_RESPONSE: on_function_result,
    backend.COPY_IN_RESPONSE: on_copy_in,
    backend.COPY_OUT_RESPONSE: on_copy_out,
    backend.COPY_DONE: on_copy_done,
    backend.READY_FOR_QUERY: on_ready,
}
