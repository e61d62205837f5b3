from proxy.policy.masks import Mask
from proxy.session.transform import masker, sanitise, without_payload, without_position
from proxy.wire.backend import DataRow, ErrorFields, NotificationResponse, ResultColumn

MASKS = {(7, 2): Mask("redact")}


def column(table: int, attribute: int, code: int = 0) -> ResultColumn:
    return ResultColumn(b"any name", table, attribute, 25, -1, -1, code)


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
