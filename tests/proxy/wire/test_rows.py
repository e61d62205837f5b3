import pytest

from proxy.wire.backend import DataRow
from proxy.wire.codec import MalformedError
from proxy.wire.rows import rewrite_rows


def star(k: int, value: bytes) -> bytes | None:
    return None if value == b"null me" else b"*" * k + value[:1]


def test_cells_are_replaced_and_the_rest_is_untouched() -> None:
    rows = [DataRow((b"1", b"secret", None, b"x")), DataRow((None, b"null me", b"abc", b""))]
    stream = b"".join(row.encode() for row in rows)
    out, changed = rewrite_rows(b"Z..." + stream, 4, 4 + len(stream), (1, 2), star)
    assert out == DataRow((b"1", b"s", None, b"x")).encode() + DataRow((None, None, b"*a", b"")).encode()
    assert changed == 3


def test_first_and_last_column() -> None:
    stream = DataRow((b"abc", b"def")).encode()
    assert rewrite_rows(stream, 0, len(stream), (0, 1), star)[0] == DataRow((b"a", b"*d")).encode()


def test_a_row_with_too_few_columns_is_malformed() -> None:
    stream = DataRow((b"abc",)).encode()
    with pytest.raises(MalformedError):
        rewrite_rows(stream, 0, len(stream), (1,), star)


def test_lengths_that_lie_are_malformed() -> None:
    good = DataRow((b"abc", b"def")).encode()
    for position in (4, 6, 10, 17):
        bad = good[:position] + bytes([good[position] + 1]) + good[position + 1 :]
        with pytest.raises(MalformedError):
            rewrite_rows(bad, 0, len(bad), (0, 1), star) if position != 6 else rewrite_rows(bad, 0, len(bad), (0, 1, 2), star)


def test_truncated_at_every_offset_is_malformed() -> None:
    good = DataRow((b"abc", b"def")).encode()
    for cut in range(1, len(good)):
        with pytest.raises(MalformedError):
            rewrite_rows(good[:cut], 0, cut, (1,), star)
