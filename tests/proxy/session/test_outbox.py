from proxy.effects import Close, Record, SendToClient, SendToServer
from proxy.session.outbox import Outbox, Stream


def test_neighbouring_slices_become_one_and_a_whole_buffer_is_not_copied() -> None:
    buffer = b"0123456789"
    stream = Stream()
    stream.slice(buffer, 0, 4)
    stream.slice(buffer, 4, 10)
    assert stream.take() is buffer
    stream.slice(buffer, 0, 2)
    stream.slice(buffer, 3, 5)
    stream.add(b"x")
    stream.slice(b"other", 0, 5)
    assert stream.take() == b"0134xother"
    assert stream.take() == b""


def test_records_first_then_bytes_merged_then_effects_in_their_order() -> None:
    outbox = Outbox()
    outbox.server.add(b"a")
    outbox.client.add(b"1")
    outbox.record("one", {})
    outbox.server.add(b"b")
    outbox.add(Close("x"))
    outbox.client.add(b"2")
    assert outbox.take() == [Record("one", {}), SendToServer(b"ab"), SendToClient(b"1"), Close("x"), SendToClient(b"2")]
    assert outbox.take() == []


def test_what_is_dropped_when_the_session_is_in_doubt() -> None:
    outbox = Outbox()
    outbox.server.add(b"a")
    outbox.add(Close("x"))
    outbox.server.add(b"b")
    outbox.record("one", {})
    outbox.forget_server()
    outbox.forget_records()
    assert outbox.take() == [Close("x")]
