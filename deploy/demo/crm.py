"""A small company's customers and orders, always the same ones: 10,000 customers and 50,000 orders, nothing of a real person.

Card numbers pass the Luhn check and use prefixes that issuers keep for tests; social security numbers are from the range
that is never given out (900-999); e-mail addresses end in domains reserved for examples.
"""

import datetime
import random
from collections.abc import Iterator

import psycopg
from psycopg import sql

CUSTOMERS = 10_000
ORDERS = 50_000
SCHEMA = """
CREATE SCHEMA crm;
CREATE TABLE crm.customers (
    id integer PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    phone text NOT NULL,
    ssn char(11) NOT NULL,
    card_number varchar(19) NOT NULL,
    born date NOT NULL,
    city text NOT NULL,
    credit_limit numeric(10, 2) NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE crm.orders (
    id integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES crm.customers,
    placed_at timestamptz NOT NULL,
    status text NOT NULL,
    total numeric(10, 2) NOT NULL,
    items jsonb NOT NULL
);
CREATE INDEX ON crm.orders (customer_id);
"""
FIRST = "Ada Bo Chidi Dalia Emre Femi Greta Hana Ivo Jun Kaia Lea Mio Noor Oda Pia Quin Rosa Sami Tove".split()
LAST = "Abel Brandt Castro Dahl Eriksen Fischer Grant Holm Ito Jansen Keller Lund Moreau Novak Olsen Petit Quist Rossi Silva Tran".split()
CITIES = "Aarhus Bergen Cork Delft Evora Fes Ghent Haifa Izmir Jaipur Kobe Lyon".split()
THINGS = "anvil bucket cable drum easel flask gasket hinge inkwell jigsaw".split()
STATUSES = ("placed", "paid", "shipped", "delivered", "returned")
EPOCH = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


def luhn_digit(number: str) -> str:
    """The check digit that completes a card number (ISO/IEC 7812-1, annex B)."""
    doubled = (2 * int(digit) for digit in reversed(number[-1::-2]))
    total = sum(map(int, number[-2::-2])) + sum(value - 9 if value > 9 else value for value in doubled)
    return str(-total % 10)


def card_number(chance: random.Random) -> str:
    body = "4000" + "".join(str(chance.randrange(10)) for _ in range(11))
    number = body + luhn_digit(body)
    return " ".join(number[start : start + 4] for start in range(0, 16, 4))


def customers(chance: random.Random) -> Iterator[tuple[object, ...]]:
    for number in range(1, CUSTOMERS + 1):
        first, last = chance.choice(FIRST), chance.choice(LAST)
        yield (
            number,
            f"{first} {last}",
            f"{first}.{last}.{number}@example.{chance.choice(('com', 'org', 'net'))}".lower(),
            f"+1-555-{chance.randrange(10**7):07d}",
            f"{chance.randrange(900, 1000)}-{chance.randrange(100):02d}-{chance.randrange(10**4):04d}",
            card_number(chance),
            datetime.date(1940, 1, 1) + datetime.timedelta(days=chance.randrange(24_000)),
            chance.choice(CITIES),
            chance.randrange(500, 20_000) + chance.randrange(100) / 100,
            EPOCH + datetime.timedelta(minutes=chance.randrange(1_000_000)),
        )


def orders(chance: random.Random) -> Iterator[tuple[object, ...]]:
    for number in range(1, ORDERS + 1):
        thing, count = chance.choice(THINGS), chance.randrange(1, 9)
        yield (
            number,
            chance.randrange(1, CUSTOMERS + 1),
            EPOCH + datetime.timedelta(minutes=chance.randrange(1_000_000)),
            chance.choice(STATUSES),
            count * chance.randrange(100, 9_000) / 100,
            f'[{{"sku": "{thing}", "count": {count}}}]',
        )


def load(dsn: str, role: str, password: str, dbname: str = "crm") -> None:
    """Make the database with a superuser's libpq string, owned by `role`: nothing but the gateway stands before its tables."""
    with psycopg.connect(dsn, autocommit=True) as server:
        server.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password)))
        server.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(dbname), sql.Identifier(role)))
    chance = random.Random(7)  # noqa: S311  made-up data, the same every time
    with psycopg.connect(dsn, dbname=dbname) as database:
        database.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        database.execute(SCHEMA)
        for table, rows in (("customers", customers(chance)), ("orders", orders(chance))):
            with database.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier("crm", table))) as copy:
                for row in rows:
                    copy.write_row(row)
    with psycopg.connect(dsn, dbname=dbname, autocommit=True) as database:
        database.execute("ANALYZE")
