import pytest

from proxy.errors import Refusal
from proxy.session.settings import Settings, is_true, read


def test_settings_of_parameters_and_options() -> None:
    given = {
        "user": "u", "database": "d", "replication": "off", "_pq_.x": "1", "DateStyle": "ISO", "application_name": "a",
        "options": r"-c search_path=crm,public  -cgeqo=off --statement-timeout=5 -c tidegate.run=r\ 7 -c application_name=b",
    }  # fmt: skip
    assert read(given) == Settings(
        {"search_path": "crm,public", "geqo": "off", "statement_timeout": "5", "DateStyle": "ISO", "application_name": "a"}, "r 7"
    )


@pytest.mark.parametrize(
    "options", ["-c role=postgres", "-c standard_conforming_strings=off", "--session_authorization=x", "-d 5", "-c", "-c x", "x", "-c =1"]
)
def test_what_is_not_passed_on_is_refused(options: str) -> None:
    refusal = read({"options": options})
    assert isinstance(refusal, Refusal)
    assert refusal.fatal


def test_names_are_compared_without_case() -> None:
    assert isinstance(read({"ROLE": "x"}), Refusal)
    assert isinstance(read({"Application_Name": "x"}), Settings)


def test_replication_is_off_only_where_it_says_so() -> None:
    assert [is_true(text) for text in ("", "off", "FALSE", "0", "true", "database", "ON", "maybe")] == [False] * 4 + [True] * 4
