"""The suites, in the order in which they run."""

from tests.conformance.suite import Suite
from tests.conformance.suites import (
    asyncpg,
    dbd_pg,
    dump,
    lib_pq,
    libpq_pipeline,
    libpqxx,
    node_postgres,
    pg8000,
    pg_regress,
    pgbench,
    pgjdbc,
    pgx,
    psycopg2,
    psycopg3,
    sqlalchemy,
)

ALL: tuple[Suite, ...] = (
    pgbench.Pgbench(),
    dump.Dump(),
    libpq_pipeline.LibpqPipeline(),
    pg8000.Pg8000(),
    psycopg2.Psycopg2(),
    psycopg3.Psycopg3(),
    asyncpg.Asyncpg(),
    sqlalchemy.Sqlalchemy(),
    lib_pq.LibPq(),
    pgx.Pgx(),
    node_postgres.NodePostgres(),
    dbd_pg.DbdPg(),
    libpqxx.Libpqxx(),
    pgjdbc.Pgjdbc(),
    pg_regress.PgRegress(),
)
