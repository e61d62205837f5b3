"""Differences that are known and stay, each with its reason. By suite, then by a pattern (fnmatch) of the test's name."""

_ROLE = "signs in as a role that the test has just created: the gateway's clients are its subjects, whatever roles the target has"
_TOLD = "leaves before it has begun: a server closes in silence, the gateway says why, which the test may still be there to hear"
_REPLICATION = "opens a replication connection: the gateway refuses those, for what flows there is no statement's result"

_LATER = "expects an error within the time that it needs to send 4 MB; what it sent first is recorded on disk before the server gets it"

EXPECTED: dict[str, dict[str, str]] = {
    "asyncpg": {"tests.test_execute.TestExecuteMany.test_executemany_server_failure_during_writes": _LATER},
    "pg8000": {
        "test.dbapi.test_connection.test_password_bytes": _ROLE,
        "test.legacy.test_connection.testBytesPassword": _ROLE,
        "test.native.test_connection.test_bytes_password": _ROLE,
    },
    "node_postgres": {"* client/quick-disconnect": _TOLD},
    "psycopg3": {"tests.pq.test_pgconn.test_change_password": _ROLE},  # which is in later versions only
    "pgjdbc": {
        "org.postgresql.jdbc.ScramTest.testPasswordWithSpace*": _ROLE,
        "org.postgresql.test.plugin.AuthenticationPluginTest.testAuthPluginSASL": _ROLE,
        "org.postgresql.replication.*": _REPLICATION,
    },
}
