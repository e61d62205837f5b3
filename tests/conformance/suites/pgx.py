"""pgx's own tests (Go, a protocol implementation of its own: prepared and cached statements, batches, COPY), of its four packages.

Debian's packages of it hold its tests, too. Needs Go (Debian: golang-go).
"""

from pathlib import Path

import psycopg

from tests.conformance import downloads
from tests.conformance.sides import Side
from tests.conformance.suite import Outcomes, go_outcomes, go_program, plain_environment

_JACKC = ("pgx-v4", "pgconn", "pgtype", "pgproto3-v2", "pgio", "pgpassfile", "pgservicefile", "chunkreader-v2", "puddle", "pgmock")
_OTHERS = (
    "golang-github-cockroachdb-apd-dev", "golang-github-davecgh-go-spew-dev", "golang-github-gofrs-uuid-dev",
    "golang-github-masterminds-semver-dev", "golang-github-pkg-errors-dev", "golang-github-pmezard-go-difflib-dev",
    "golang-github-shopspring-decimal-dev", "golang-github-stretchr-testify-dev", "golang-golang-x-crypto-dev",
    "golang-golang-x-text-dev", "golang-gopkg-yaml.v3-dev",
)  # fmt: skip
_TESTED = {"pgconn": "pgconn", "pgx": "pgx/v4", "pgxpool": "pgx/v4/pgxpool", "stdlib": "pgx/v4/stdlib"}


class Pgx:
    name = "pgx"
    versions = (15, 18)
    databases = ("pgx_test",)

    def prepare(self) -> None:
        for name in _TESTED:
            packages = {"GOCACHE": str(downloads.CACHE / "go"), "GOPATH": str(_gopath()), "GO111MODULE": "off"}
            go_program(_source(name), _program(name), packages)

    def run(self, side: Side, directory: Path) -> Outcomes:
        side.server.ensure_database("pgx_test")
        with psycopg.connect(side.server.dsn("pgx_test"), autocommit=True) as connection:
            connection.execute("CREATE DOMAIN uint64 AS numeric(20,0)")  # as its own set-up does
        address = f"host={side.host} port={side.port} user={side.user} password={side.password} dbname=pgx_test"
        environment = plain_environment() | side.libpq("pgx_test") | {"PGX_TEST_DATABASE": address}
        # Other variables ask for servers of other kinds, and for other ways to sign in.
        environment |= {f"PGX_TEST_{kind}CONN_STRING": address for kind in ("", "TCP_", "SCRAM_PASSWORD_")}
        if side.tls:
            environment["PGX_TEST_TLS_CONN_STRING"] = f"{address} sslmode=require"
        outcomes: Outcomes = {}
        for name in _TESTED:
            found = go_outcomes(_source(name), _program(name), environment, directory / f"{name}.log")
            outcomes |= {f"{name}.{test}": outcome for test, outcome in found.items()}
        return outcomes


def _gopath() -> Path:
    return downloads.debian_packages(*(f"golang-github-jackc-{name}-dev" for name in _JACKC), *_OTHERS) / "usr" / "share" / "gocode"


def _source(name: str) -> Path:
    return _gopath() / "src" / "github.com" / "jackc" / _TESTED[name]


def _program(name: str) -> Path:
    return downloads.CACHE / f"{name}.test"
