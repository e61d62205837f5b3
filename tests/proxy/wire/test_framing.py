"""Messages are found wherever the bytes were cut, and nothing that a peer sends raises."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import framing
from proxy.wire.framing import CONTINUED, INCOMPLETE, MALFORMED, TOO_LARGE, FrameReader

ROW = b"D\0\0\0\x0a\0\x01\0\0\0\0"
DONE = b"C\0\0\0\x0dSELECT 3\0"
STREAM = ROW * 3 + DONE + b"Z\0\0\0\x05I"


def read_all(reader: FrameReader) -> list[bytes]:
    out = []
    while reader.next() > 0:
        out.append(reader.buffer[reader.start : reader.stop])
    return out


def test_every_split_gives_the_same_messages() -> None:
    for cut in range(len(STREAM) + 1):
        reader = FrameReader(1000)
        messages = []
        for part in (STREAM[:cut], STREAM[cut:]):
            reader.feed(part)
            messages += read_all(reader)
        assert messages == [ROW, ROW, ROW, DONE, b"Z\0\0\0\x05I"]
        assert reader.waiting() == 0


def test_byte_by_byte() -> None:
    reader = FrameReader(1000)
    messages = []
    for byte in STREAM:
        reader.feed(bytes([byte]))
        messages += read_all(reader)
    assert len(messages) == 5


def test_truncated_at_every_offset_is_incomplete() -> None:
    for cut in range(len(DONE)):
        reader = FrameReader(1000)
        reader.feed(DONE[:cut])
        assert reader.next() == INCOMPLETE
        assert reader.waiting() == cut


def test_whole_chunk_is_not_copied() -> None:
    reader = FrameReader(1000)
    reader.feed(STREAM)
    reader.next()
    assert reader.buffer is STREAM


def test_run_takes_all_rows_at_once() -> None:
    reader = FrameReader(1000)
    reader.feed(STREAM)
    assert reader.next() == ord("D")
    assert reader.run() == 3
    assert reader.buffer[reader.start : reader.stop] == ROW * 3
    assert reader.next() == ord("C")


def test_run_stops_before_an_incomplete_row() -> None:
    reader = FrameReader(1000)
    reader.feed(ROW + ROW[:-1])
    assert reader.next() == ord("D")
    assert reader.run() == 1
    assert reader.next() == INCOMPLETE
    reader.feed(ROW[-1:])
    assert reader.next() == ord("D")


def test_run_stops_before_a_malformed_row() -> None:
    reader = FrameReader(1000)
    reader.feed(ROW + b"D\0\0\0\x03")
    assert reader.next() == ord("D")
    assert reader.run() == 1
    assert reader.next() == MALFORMED


def test_limits() -> None:
    reader = FrameReader(20)
    reader.feed(b"Q\0\0\0\x15")
    assert reader.next() == TOO_LARGE
    reader = FrameReader(20)
    reader.feed(b"Q\xff\xff\xff\xff")
    assert reader.next() in (TOO_LARGE, MALFORMED)
    reader = FrameReader(20)
    reader.feed(b"Q\0\0\0\x03")
    assert reader.next() == MALFORMED


def test_streaming_a_large_message() -> None:
    big = b"d" + (104).to_bytes(4, "big") + b"x" * 100
    for cut in range(5, len(big)):
        reader = FrameReader(1000)
        reader.feed(big[:cut])
        assert reader.next() == INCOMPLETE
        assert reader.peek() == ord("d")
        reader.stream()
        got = reader.buffer[reader.start : reader.stop]
        assert reader.next() == INCOMPLETE
        reader.feed(big[cut:] + DONE)
        assert reader.next() == CONTINUED
        got += reader.buffer[reader.start : reader.stop]
        assert got == big
        assert reader.next() == ord("C")


def test_startup_frames() -> None:
    reader = FrameReader(framing.STARTUP_LIMIT)
    reader.feed(b"\0\0\0")
    assert reader.next_startup() == INCOMPLETE
    reader.feed(b"\x08\x04\xd2\x16\x2f")
    assert reader.next_startup() == CONTINUED
    reader.feed(b"\0\0\x27\x11")
    assert reader.next_startup() == TOO_LARGE
    reader = FrameReader(framing.STARTUP_LIMIT)
    reader.feed(b"\0\0\0\x07")
    assert reader.next_startup() == MALFORMED


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_garbage_never_raises(chunks: list[bytes]) -> None:
    reader = FrameReader(1000)
    for chunk in chunks:
        reader.feed(chunk)
        while (kind := reader.next()) > 0:
            if kind != CONTINUED:
                reader.run()
        if kind == INCOMPLETE and reader.peek() == ord("d"):
            reader.stream()


@given(st.lists(st.tuples(st.sampled_from([ord("D"), ord("d"), ord("Z")]), st.binary(max_size=20)), max_size=8), st.data())
def test_any_split_preserves_the_stream(messages: list[tuple[int, bytes]], data: st.DataObject) -> None:
    stream = b"".join(bytes([kind]) + (len(body) + 4).to_bytes(4, "big") + body for kind, body in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    reader = FrameReader(1000)
    out = b""
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end])
        while (kind := reader.next()) > 0:
            if kind != CONTINUED:
                reader.run()
            out += reader.buffer[reader.start : reader.stop]
        if reader.peek() == ord("d"):
            reader.stream()
            out += reader.buffer[reader.start : reader.stop]
    assert out == stream


def test_a_type_byte_is_never_taken_for_an_answer() -> None:
    for kind in (INCOMPLETE, CONTINUED):
        reader = FrameReader(1000)
        reader.feed(bytes([kind]) + b"\0\0\0\x08SELE" + STREAM)
        assert reader.next() == MALFORMED
