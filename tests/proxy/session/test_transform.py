import pytest

from proxy.policy.masks import Mask
from proxy.session.transform import masker, sanitise, watcher, without_payload, without_position
from proxy.wire.backend import DataRow, ErrorFields, NotificationResponse, ResultColumn

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
