import pytest

from proxy.policy.masks import Mask
from proxy.session.transform import copy_watcher, masker, sanitise, watcher, without_payload, without_position
from proxy.sql.facts import CopyOut
from proxy.wire.backend import DataRow, ErrorFields, NotificationResponse, ResultColumn
from proxy.wire.copy_data import CopyFormat

MASKS = {(7, 2): Mask("redact")}


def column(table: int, attribute: int, code: int = 0, oid: int = 25) -> ResultColumn:
    return ResultColumn(b"any name", table, attribute, oid, -1, -1, code)


def test_columns_are_found_by_origin() -> None:
    found = masker((column(7, 1), column(7, 2), column(0, 2), column(8, 2), column(7, 2, 1)), MASKS, b"k" * 32)
    assert found is not None
    assert found.columns == (1, 4)
    row = DataRow((b"a", b"b", b"c", b"d", b"e")).encode()
    assert found.rows(row, 0, len(row)) == (DataRow((b"a", b"***", b"c", b"d", b"***")).encode(), 2)


def test_nothing_to_mask() -> None:
    assert masker((column(7, 1),), MASKS, b"") is None
    assert masker((), MASKS, b"") is None


def test_sanitised_errors_keep_state_and_names_only() -> None:
    fields = {
        "S": b"ERROR", "V": b"ERROR", "C": b"23505", "M": b"value 42", "D": b"(ssn)=(42)", "H": b"42", "W": b"42", "q": b"42",
        "p": b"1", "P": b"9", "F": b"x.c", "s": b"crm", "t": b"customers", "c": b"ssn", "n": b"customers_ssn_key", "d": b"text",
    }  # fmt: skip
    assert sanitise(ErrorFields(fields)).fields == {
        "S": b"ERROR", "V": b"ERROR", "C": b"23505", "s": b"crm", "t": b"customers", "c": b"ssn", "d": b"text", "n": b"customers_ssn_key",
        "M": b"unique violation",
    }  # fmt: skip


def test_positions_and_payloads() -> None:
    assert without_position(ErrorFields({"M": b"m", "P": b"9"})).fields == {"M": b"m"}
    assert without_payload(NotificationResponse(1, b"c", b"secret")) == NotificationResponse(1, b"c", b"")


TEXT, INT, JSONB, MOOD = 25, 23, 3802, 16_400


def test_columns_of_unknown_origin_and_documents_are_watched() -> None:
    columns = (column(0, 0), column(7, 1), column(0, 0, oid=INT), column(7, 3, oid=JSONB), column(0, 0, oid=MOOD), column(7, 2, oid=JSONB))
    found = watcher(columns, MASKS, "mask")
    assert found is not None
    assert (found.columns, found.json) == ((0, 3, 4), (False, True, False))
    assert watcher(columns, MASKS, "off") is None
    assert watcher((column(7, 1), column(0, 0, oid=INT)), MASKS, "mask") is None


@pytest.mark.parametrize("setting", ["alert", "mask"])
def test_what_is_found_is_counted_and_blotted_out_if_that_is_asked_for(setting: str) -> None:
    found = watcher((column(7, 1), column(0, 0), column(0, 0, oid=JSONB)), MASKS, setting)
    assert found is not None
    rows = [
        DataRow((b"ann@example.com", b"write to ann@example.com", b'{"n": 4111111111111111}')), DataRow((b"a", None, b"{}")),
    ]  # fmt: skip
    data = b"before" + b"".join(row.encode() for row in rows)
    changed = DataRow((b"ann@example.com", b"write to ***@*******.***", b'{"n": 1111111111111111}'))
    out = (changed.encode() + rows[1].encode()) if setting == "mask" else data[6:]
    assert found.rows(data, 6, len(data)) == (out, {"email": 1, "card": 1})


def test_rows_with_nothing_to_find_stay_as_they_are() -> None:
    found = watcher((column(0, 0),), {}, "mask")
    assert found is not None
    row = DataRow((b"4111111111111112 is no card",)).encode()
    assert found.rows(row, 0, len(row)) == (row, {})


def test_every_row_of_a_run_is_looked_at_whatever_stands_around_its_values() -> None:
    found = watcher((column(0, 0),), {}, "mask")
    assert found is not None
    for value, shown in ((b"123-45-6789", b"***-**-****"), (b"DE89370400440532013000 is an account number that is a line of text", None)):
        data = b"".join(DataRow((one,)).encode() for one in (value, b"nothing"))
        changed, kinds = found.rows(data, 0, len(data))
        assert value[:11] not in changed
        assert shown is None or shown in changed
        assert sum(kinds.values()) == 1


def copied(*lines: bytes) -> bytes:
    return b"".join(b"d" + (4 + len(line)).to_bytes(4, "big") + line for line in lines)


def test_columns_of_a_copy_that_nobody_knows_and_documents_are_watched() -> None:
    found = copy_watcher(CopyOut(CopyFormat(), types=(25, 0, 3802)), 3, "mask")
    assert found is not None
    assert (found.columns, found.json) == ((1, 2), (False, True))
    other = copy_watcher(CopyOut(CopyFormat(), types=(25,)), 2, "alert")
    assert other is not None
    assert other.columns == (0, 1), "the analysis and the server do not see the same columns"
    assert copy_watcher(CopyOut(CopyFormat(), types=(25,)), 1, "mask") is None


@pytest.mark.parametrize("setting", ["alert", "mask"])
def test_what_is_found_in_a_copy(setting: str) -> None:
    data = copied(b"ann@example.com\tann@example.com\\n\t4111111111111111\n", b"x\t\\N\t{}\n")
    found = copy_watcher(CopyOut(CopyFormat(), types=(25, 0, 3802)), 3, setting)
    assert found is not None
    changed = copied(b"ann@example.com\t***@*******.***\\n\t1111111111111111\n", b"x\t\\N\t{}\n")
    assert found.rows(b"dxx" + data, 3, 3 + len(data)) == (changed if setting == "mask" else data, {"email": 1, "card": 1})


def test_what_looks_like_a_document_stays_one_in_a_copy() -> None:
    found = copy_watcher(CopyOut(CopyFormat("csv", b",", b"")), 1, "mask")
    assert found is not None
    data = copied(b'"{""n"": 4111111111111111}"\n')
    assert found.rows(data, 0, len(data))[0] == copied(b'"{""n"": 1111111111111111}"\n')


def test_marks_of_the_format_within_what_is_looked_for() -> None:
    for form, line, shown in (
        (CopyFormat(delimiter=b"@"), b"ann\\@example.com\n", b"***\\@*******.***\n"),
        (CopyFormat("csv", b",", b"", b"@", b"@"), b"@ann@@example.com@\n", b"@***@@*******.***@\n"),
    ):
        found = copy_watcher(CopyOut(form), 1, "mask")
        assert found is not None
        data = copied(line)
        changed, kinds = found.rows(data, 0, len(data))
        assert (changed, kinds) == (copied(shown), {"email": 1})
