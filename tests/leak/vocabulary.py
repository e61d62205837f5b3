"""What random SQL over the vault of `schema.sql` is made of: its relations, constants of every kind, and templates of expressions."""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """A column; ``masked``: a mask lies on it."""

    name: str
    kind: str  # one of KINDS
    masked: bool = False


class Template(NamedTuple):
    """How a value is made of others: the text, and the kinds that it takes."""

    text: str
    takes: tuple[str, ...]


def _columns(given: str) -> tuple[Column, ...]:
    """``name:kind``, with a ``!`` where a mask lies on the column."""
    return tuple(Column(word.partition(":")[0], word.partition(":")[2].rstrip("!"), word.endswith("!")) for word in given.split())


def _templates(given: str) -> dict[str, list[Template]]:
    """Lines of ``kind <- kinds that it takes : text``."""
    found: dict[str, list[Template]] = {}
    for line in given.strip().splitlines():
        signature, _, text = line.partition(" : ")
        kind, _, takes = signature.partition("<-")
        found.setdefault(kind.strip(), []).append(Template(text, tuple(takes.split())))
    return found


PEOPLE = (
    "id:int name:text secret:text! email:text! phone:text! note:json! tags:tags! mood:mood! home:home! born:date! pay:numeric! raw:bytes! "
    "token:text! loud:text! ward:text"
)
RELATIONS = {
    "vault.people": _columns(PEOPLE),
    "vault.base": _columns("id:int secret:text!"),
    "vault.heir": _columns("id:int secret:text! extra:text"),
    "vault.events": _columns("id:int day:date secret:text!"),
    "vault.events_old": _columns("id:int day:date secret:text!"),
    "vault.wards": _columns("code:text"),
    "vault.log": _columns("id:int what:text!"),
    "vault.plain": _columns("id:int name:text hidden:text!"),
    "vault.over": _columns("id:int turned:text! long:int!"),
    "vault.chosen": _columns("id:int!"),
    "vault.kept": _columns("id:int hidden:text! home:home!"),
    "vault.cast_up": _columns("id:int number:int!"),
    "open.people": _columns("id:int name:text secret:text"),
    "open.notes": _columns("id:int body:text n:int"),
}
VIEWS = frozenset({"vault.plain", "vault.over", "vault.chosen", "vault.cast_up"})
# It has a column "at" besides, which no two databases share: never expanded.
LOG = "vault.log"
# Which rows it has, a masked column decides.
CHOSEN = "vault.chosen"
# What statements change; those of the vault fire triggers and reach masked rows.
CHANGED = [*["open.notes", "open.people"] * 2, "vault.people", "vault.base", "vault.heir", "vault.events", "vault.wards"]
KINDS = ["int", "text", "date", "numeric", "bool", "json", "tags", "bytes", "mood", "home"]
USUAL = ["int", "text", "text", "int", "date", "numeric", "bool"]
CONSTANTS = {
    "int": ['1', '2', '9', '0', '-3', '1000', 'NULL::int'],
    "text": ["'Person 1'", "'x'", "''", "'note 3'", "'north'", "'nothing 2'", "'zz'", 'NULL::text', "'j'", "'1z'"],
    "date": ["DATE '2010-01-01'", "DATE '1871-01-01'", "DATE '1900-05-05'", 'NULL::date'],
    "numeric": ['1.5', '71000', '71250.0', '0.0', 'NULL::numeric'],
    "bool": ['true', 'false', 'NULL::bool'],
    "json": ["'{}'::jsonb", '\'{"level": 3}\'::jsonb', 'NULL::jsonb'],
    "tags": ["ARRAY['b']", "'{}'::text[]"],
    "bytes": ["'x'::bytea", 'NULL::bytea'],
    "mood": ['NULL::vault.mood'],
    "home": ['NULL::vault.address'],
}

MADE = _templates(r"""
int <- int int        : {} + {}
int <- int int        : {} * {}
int <- text           : length({})
int <- text           : position('z' IN {})
int <- int int        : coalesce({}, {})
int <- date           : extract(day FROM {})::int
int <- tags           : array_length({}, 1)
int <- text           : ascii({})
int <- bool int int   : CASE WHEN {} THEN {} ELSE {} END
int <- numeric        : round({})::int
int <- json           : ({} ->> 'level')::int
int <- bytes          : octet_length({})
int <- int            : abs({})
int <- text text      : strpos({}, {})
int <- int int        : nullif({}, {})
int <- int int        : greatest({}, {})
int <- int int        : {} / {}
int <- text date      : num_nulls({}, {})
int <- text           : pg_column_size({})
int <- text           : hashtext({})
int <- tags           : cardinality({})
int <- numeric        : width_bucket({}, 0, 80000, 8)
text <- text           : lower({})
text <- text           : upper({})
text <- text           : reverse({})
text <- text           : substr({}, 1, 4)
text <- text int       : left({}, {})
text <- text           : md5({})
text <- text text      : {} || {}
text <- text text      : replace({}, {}, 'y')
text <- text text      : coalesce({}, {})
text <- int            : {}::text
text <- date           : {}::text
text <- numeric        : {}::text
text <- tags           : ({})[1]
text <- json           : {} ->> 'plan'
text <- json           : {}::text
text <- bytes          : encode({}, 'hex')
text <- mood           : {}::text
text <- home           : ({}).street
text <- text int       : format('%s-%s', {}, {})
text <- text           : quote_literal({})
text <- bool text      : CASE WHEN {} THEN {} END
text <- text           : to_jsonb({})::text
text <- text date      : concat_ws('/', {}, {})
text <- text           : translate({}, '0123', 'abcd')
text <- text           : split_part({}, '-', 1)
text <- text           : regexp_replace({}, '[0-9]', '#', 'g')
text <- date           : to_char({}, 'YYYY-MM')
text <- tags           : array_to_string({}, ',')
text <- text           : lpad({}, 12, '.')
text <- text text      : greatest({}, {})
text <- text           : initcap({})
text <- text           : encode(convert_to({}, 'UTF8'), 'base64')
text <- text           : {}::varchar(5)
text <- json           : {} #>> '{{plan,0}}'
text <- text           : overlay({} PLACING 'k' FROM 2)
text <- text           : trim(both 'q' FROM {})
text <- text           : {} COLLATE "C"
text <- text int       : json_build_object('a', {}, 'b', {})::text
text <- text int       : ROW({}, {})::text
text <- home           : {}::text
text <- text           : quote_nullable({})
date <- date int       : {} + {}
date <- date           : date_trunc('year', {})::date
date <- date date      : coalesce({}, {})
date <- date date      : least({}, {})
numeric <- numeric        : {} * 2
numeric <- numeric int    : {} + {}
numeric <- numeric        : round({}, -3)
numeric <- int            : {}::numeric
numeric <- numeric        : coalesce({}, 0.0)
bool <- int int        : {} = {}
bool <- int int        : {} < {}
bool <- text text      : {} = {}
bool <- text text      : {} > {}
bool <- text text      : {} LIKE {} || '%'
bool <- text           : {} IS NULL
bool <- date           : {} IS NOT NULL
bool <- bool           : NOT {}
bool <- bool bool      : ({} AND {})
bool <- bool bool      : ({} OR {})
bool <- int int int    : {} BETWEEN {} AND {}
bool <- text           : {} ~ '[a-m]'
bool <- date date      : {} >= {}
bool <- numeric numeric : {} > {}
bool <- int int        : {} IN (1, 2, {})
bool <- text text      : {} IN ({}, 'x')
bool <- json json      : {} @> {}
bool <- text tags      : {} = ANY ({})
bool <- text text      : {} IS DISTINCT FROM {}
bool <- text text      : starts_with({}, {})
bool <- int text int text : ({}, {}) < ({}, {})
bool <- json           : {} ? 'plan'
bool <- tags tags      : {} && {}
bool <- text           : {} SIMILAR TO '%[0-4]'
bool <- bool           : ({}) IS TRUE
bool <- mood mood      : {} = {}
json <- text           : jsonb_build_object('k', {})
json <- tags           : to_jsonb({})
json <- json json      : {} || {}
json <- home           : to_jsonb({})
json <- json           : {} - 'level'
tags <- text text      : ARRAY[{}, {}]
tags <- text           : string_to_array({}, '-')
tags <- tags tags      : {} || {}
tags <- tags text      : array_append({}, {})
bytes <- text           : convert_to({}, 'UTF8')
bytes <- bytes          : substr({}, 1, 3)
bytes <- bytes          : sha256({})
mood <- mood mood      : coalesce({}, {})
home <- text text      : ROW({}, {})::vault.address
""")
AGGREGATES = _templates(r"""
int <- text           : count({})
int <- text           : count(DISTINCT {})
int <- int            : max({})
int <- int            : min({})
int <- int            : sum({})::int
int <- date           : count({})
text <- text           : min({})
text <- text           : max({})
text <- text           : string_agg({0}, ',' ORDER BY {0})
text <- text           : array_agg({0} ORDER BY {0})::text
text <- text           : mode() WITHIN GROUP (ORDER BY {})
text <- text           : json_agg({0} ORDER BY {0})::text
text <- text           : percentile_disc(0.5) WITHIN GROUP (ORDER BY {})
date <- date           : max({})
date <- date           : min({})
numeric <- numeric        : avg({})
numeric <- numeric        : sum({})
numeric <- int            : avg({})
numeric <- numeric        : stddev({})
bool <- bool           : bool_or({})
bool <- bool           : bool_and({})
bool <- bool           : every({})
json <- text           : jsonb_agg({0} ORDER BY {0})
json <- text           : jsonb_object_agg(coalesce({0}, '-'), 1)
tags <- text           : array_agg({0} ORDER BY {0})
""")
# Peers share what they get, so that the order of equal rows does not show.
WINDOWED = _templates(r"""
int <- text int       : rank() OVER (PARTITION BY {} ORDER BY {})
int <- text int       : dense_rank() OVER (ORDER BY {}, {})
int <- text           : count(*) OVER (PARTITION BY {})
text <- text int      : max({}) OVER (ORDER BY {})
text <- text int      : first_value({0}) OVER (PARTITION BY {1} ORDER BY {0})
text <- text          : max({}) OVER ()
""")
