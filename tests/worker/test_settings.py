import pytest

from worker import settings
from worker.settings import Address, SettingsError

NEEDED = {"TIDEGATE_CONTROL_URL": "http://c/", "TIDEGATE_BROKER_URL": "redis://:secret@b/0", "TIDEGATE_WORKER_DIR": "/d"}


def test_a_flag_wins_over_the_environment_and_that_over_the_default() -> None:
    given = settings.load(["--processes", "3"], {**NEEDED, "TIDEGATE_PROCESSES": "2", "TIDEGATE_LISTEN": "[::1]:7000"})
    assert (given.processes, given.listen, given.metrics_listen) == (3, Address("::1", 7000), Address("127.0.0.1", 9187))
    assert given.control_url == "http://c"


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_what_is_needed_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings.load([], {key: value for key, value in NEEDED.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIDEGATE_LISTEN", "nonsense"), ("TIDEGATE_LISTEN", "h:70000"), ("TIDEGATE_PROCESSES", "0"), ("TIDEGATE_PROCESSES", "-1"),
        ("TIDEGATE_CONTROL_URL", "ftp://c"), ("TIDEGATE_TLS_CERT", "/only/cert.pem"),
        ("TIDEGATE_TLS_CLIENT_CA", "/only/ca.pem"), ("TIDEGATE_SPOOL_BYTES", "lots"),
    ],
)  # fmt: skip
def test_impossible_values_are_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings.load([], {**NEEDED, name: value})


def test_no_credential_in_a_representation() -> None:
    assert "secret" not in repr(settings.load([], NEEDED))
