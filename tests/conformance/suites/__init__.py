"""The suites, in the order in which they run."""

from tests.conformance.suite import Suite
from tests.conformance.suites import (
    asyncpg,
    dbd_pg,
    dump,
    lib_pq,
    libpq_pipeline,
    libpqxx,
    pg8000,
    pg_regress,
    pgbench,
    psycopg2,
    sqlalchemy,
)

ALL: tuple[Suite, ...] = (
    pgbench.Pgbench(),
    dump.Dump(),
    libpq_pipeline.LibpqPipeline(),
    pg8000.Pg8000(),
    psycopg2.Psycopg2(),
    asyncpg.Asyncpg(),
    sqlalchemy.Sqlalchemy(),
    lib_pq.LibPq(),
    dbd_pg.DbdPg(),
    libpqxx.Libpqxx(),
    pg_regress.PgRegress(),
)
