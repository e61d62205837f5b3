"""Differences that are known and stay, each with its reason. By suite, then by a pattern (fnmatch) of the test's name."""

_ROLE = "signs in as a role that the test has just created: the gateway's clients are its subjects, whatever roles the target has"

# Not a reason to leave them as they are: each line here is to go.
_LATE = "known fault: what a client sends is handled up to 8 MB at a time before the server's error in the middle of it is passed on"
_CANCEL = "known fault: a CancelRequest is lost that arrives while its statement is still being analysed"

_STRAY = "known fault: a CancelRequest's connection is closed before the server has got it, so that it may hit the next statement"

EXPECTED: dict[str, dict[str, str]] = {
    "pg8000": {
        "test.dbapi.test_connection.test_password_bytes": _ROLE,
        "test.legacy.test_connection.testBytesPassword": _ROLE,
        "test.native.test_connection.test_bytes_password": _ROLE,
    },
    "asyncpg": {
        "tests.test_timeout.TestTimeout.test_timeout_05": _STRAY,
        "tests.test_execute.TestExecuteMany.test_executemany_server_failure_during_writes": _LATE,
    },
    "lib_pq": {"TestContextCancel*": _CANCEL},
}
