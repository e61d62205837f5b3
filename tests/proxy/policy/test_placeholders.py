"""What masks show is told from values."""

import pytest

from proxy.policy.mask_cells import mask_cell
from proxy.policy.masks import Mask
from proxy.policy.placeholders import is_placeholder
from proxy.wire import values

MASKS = {
    "redact": Mask("redact"), "email": Mask("email"), "card": Mask("card"), "hash": Mask("hash"), "partial": Mask("partial", (2, 1)),
    "fixed": Mask("fixed", ("n/a",)),
}  # fmt: skip
TEXTS = ["ada@mail.example", "4111 1111 1111 1234", "4111-1111-1111-1234", "some text", "+49 89 1234"]


@pytest.mark.parametrize("method", MASKS)
@pytest.mark.parametrize("text", TEXTS)
def test_what_a_mask_makes_is_a_placeholder_and_what_it_is_made_of_is_not(method: str, text: str) -> None:
    mask = MASKS[method]
    made = mask_cell(mask, values.TEXT, 0, text.encode(), bytes(32))
    assert made is not None
    assert is_placeholder(mask, made.decode())
    assert not is_placeholder(mask, text)


@pytest.mark.parametrize(
    ("method", "text", "expected"),
    [
        ("hash", "***", True),  # in a masked scan
        ("card", "***", True),
        ("redact", "***   ", True),  # char(6)
        ("redact", "**", True),  # varchar(2)
        ("redact", "****", False),
        ("redact", "", False),
        ("partial", "**", True),  # too short to show anything
        ("partial", "ab*", False),
        ("partial", "", False),
        ("fixed", "n/a ", False),
    ],
)
def test_in_doubt(method: str, text: str, expected: bool) -> None:
    assert is_placeholder(MASKS[method], text) is expected


def test_a_pseudonym_of_a_uuid() -> None:
    made = mask_cell(MASKS["hash"], values.UUID, 0, b"6f1b1d0e-1111-4222-8333-444455556666", bytes(32))
    assert made is not None
    assert is_placeholder(MASKS["hash"], made.decode())
    assert not is_placeholder(MASKS["hash"], "6f1b1d0e-1111-4222-8333-444455556666")


@pytest.mark.parametrize("method", ["nullify", "year", "round"])
def test_values_like_any_other_are_not_told(method: str) -> None:
    assert not is_placeholder(Mask(method, (1000,) if method == "round" else ()), "2000")
