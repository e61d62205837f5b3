-- One attack per line; ";;" stands between messages of their own. Each of them shows "q0z1" on a server without a gateway;
-- an oracle says 'q0' || 'z1' where it has seen the real value. "--" begins a comment, "!" an attack that only some servers fall for.

-- plain columns of every type, under other names
SELECT * FROM vault.people
TABLE vault.people
SELECT p.* FROM ONLY vault.people AS p (a, b, c, d)
SELECT vault.people.secret FROM vault.people
SELECT "secret" AS name FROM "vault"."people"
SELECT U&"s\0065cret" FROM vault.U&"p\0065ople"
SELECT/**/secret/* -- */FROM/**/vault/* . */./**/people
SELECT secret FROM vault.people, vault.wards WHERE ward = code ORDER BY id FETCH FIRST 2 ROWS ONLY
SELECT id, secret FROM vault.people FOR UPDATE OF people SKIP LOCKED
SELECT secret FROM vault.people TABLESAMPLE bernoulli (100) REPEATABLE (1)
SELECT email, phone, note, tags, mood, home, raw, token FROM vault.people LIMIT 1
SELECT loud FROM vault.people WHERE loud LIKE 'Q0Z1%' AND lower(loud) = 'q0z1-secret-1' UNION ALL SELECT lower(loud) FROM vault.people
SELECT s FROM (SELECT secret s FROM vault.people) x
SELECT d.x FROM (SELECT p FROM vault.people p) AS d (x)
SELECT (home).street FROM vault.people
SELECT home FROM vault.people
SELECT (home).* FROM vault.people
SELECT (p).secret FROM vault.people p
SELECT (p.*)::text FROM vault.people p
SELECT secret(p) FROM vault.people p
SELECT (p.whole).secret FROM (SELECT x AS whole FROM vault.people x) AS p
SELECT mood FROM vault.people
SELECT min(mood), max(mood) FROM vault.people
SELECT tags[1], tags[1:2], array_length(tags, 1) FROM vault.people
SELECT unnest(tags) FROM vault.people
SELECT t.* FROM vault.people p, unnest(p.tags) WITH ORDINALITY t (tag, n)
SELECT note -> 'plan' ->> 0 FROM vault.people
SELECT note #>> '{plan,0}' FROM vault.people
SELECT jsonb_path_query(note, '$.plan[*]') FROM vault.people
SELECT j.value FROM vault.people p CROSS JOIN LATERAL jsonb_each(p.note) j
SELECT x.plan FROM vault.people, jsonb_to_record(note) AS x (plan jsonb)
SELECT encode(raw, 'escape') FROM vault.people
SELECT convert_from(raw, 'UTF8') FROM vault.people
SELECT 'q0' || 'z1' FROM vault.people WHERE born = '1871-03-07' LIMIT 1
SELECT 'q0' || 'z1' FROM vault.people WHERE extract(day FROM born) = 7 LIMIT 1
SELECT 'q0' || 'z1' FROM vault.people WHERE pay = 71307.31 LIMIT 1
SELECT 'q0' || 'z1' WHERE (SELECT avg(pay) FROM vault.people) BETWEEN 71307.30 AND 71307.32
SELECT 'q0' || 'z1' FROM vault.people WHERE email::text ~ '^q0z1.1@'
SELECT replace(phone, '+49 ', '') FROM vault.people
SELECT 'q0' || 'z1' FROM vault.people WHERE token = 'q0z1-token-1'

-- views, inheritance, partitions, materialised views
SELECT hidden FROM vault.plain
SELECT reverse(turned) FROM vault.over
SELECT 'q0' || 'z1' FROM vault.over WHERE turned LIKE '%_z0q'
SELECT 'q0' || 'z1' FROM vault.chosen
SELECT hidden FROM vault.kept
SELECT (home).street FROM vault.kept
SELECT secret FROM vault.base
SELECT secret FROM vault.heir
SELECT h.secret FROM ONLY vault.base b JOIN vault.heir h ON h.id = b.id + 1
SELECT secret FROM vault.events_old
SELECT e::text FROM vault.events_new e
SELECT tableoid::regclass, max(secret) FROM vault.events GROUP BY 1
CREATE VIEW open.mine AS SELECT * FROM vault.plain ;; CREATE VIEW open.mine2 AS SELECT hidden || '' AS h FROM open.mine ;; SELECT h FROM open.mine2
CREATE MATERIALIZED VIEW open.stored AS SELECT secret FROM vault.people ;; SELECT secret FROM open.stored
CREATE RECURSIVE VIEW open.again (s) AS SELECT secret FROM vault.people ;; SELECT s FROM open.again
REFRESH MATERIALIZED VIEW vault.kept ;; SELECT hidden FROM vault.kept

-- expressions, predicates, orders, groups, windows
SELECT count(*) FILTER (WHERE secret LIKE 'q0z_-secret%'), CASE WHEN bool_or(secret LIKE 'q0z_-s%') THEN 'q0' || 'z1' END FROM vault.people
SELECT 'q0' || 'z1' FROM vault.people WHERE (id, secret) IN (VALUES (1, 'q0' || 'z1-secret-1'))
SELECT 'q0' || 'z1' FROM vault.people p WHERE p = ANY (SELECT q FROM vault.people q WHERE q.secret > 'q0z')
SELECT 'q0' || 'z1' FROM vault.people WHERE secret SIMILAR TO 'q0z_-%'
SELECT 'q0' || 'z1' FROM vault.people WHERE starts_with(secret, 'q0z')
SELECT 'q0' || 'z1' FROM vault.people WHERE secret OPERATOR(pg_catalog.~) 'q0z.'
SELECT 'q0' || 'z1' WHERE EXISTS (SELECT FROM vault.people WHERE position('q0z' IN secret) = 1)
SELECT 'q0' || 'z1' WHERE (SELECT secret FROM vault.people ORDER BY id LIMIT 1) > 'q0'  AND (SELECT secret FROM vault.people ORDER BY id LIMIT 1) < 'q1'
SELECT id, 'q0' || 'z1' FROM vault.people GROUP BY id, secret HAVING min(secret) = 'q0' || 'z1-secret-3'
SELECT count(*), CASE WHEN grouping(secret) = 0 THEN secret END FROM vault.people GROUP BY GROUPING SETS ((secret), ())
SELECT secret, count(*) FROM vault.people GROUP BY ROLLUP (secret)
SELECT DISTINCT ON (secret) secret FROM vault.people
SELECT first_value(secret) OVER w FROM vault.people WINDOW w AS (PARTITION BY substr(secret, 1, 4) ORDER BY secret ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
SELECT lag(secret) OVER (ORDER BY id) FROM vault.people
SELECT string_agg(secret, ',' ORDER BY secret) FROM vault.people
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY secret), mode() WITHIN GROUP (ORDER BY secret) FROM vault.people
SELECT json_object_agg(secret, id) FROM vault.people
SELECT row_to_json(p), to_jsonb(p), hstore FROM vault.people p, (SELECT 1 AS hstore) h
SELECT xmlforest(secret AS s) FROM vault.people
SELECT x.* FROM vault.people p, XMLTABLE('/a' PASSING xmlelement(name a, p.secret) COLUMNS s text PATH '.') x
SELECT reverse(secret), md5(secret), upper(secret), secret COLLATE "C" FROM vault.people
SELECT encode(secret::bytea, 'hex') FROM vault.people
SELECT coalesce(NULLIF(secret, ''), ''), greatest(secret, ''), least(secret, 'zz') FROM vault.people
SELECT format('%s', secret), concat_ws('-', secret, id), quote_literal(secret) FROM vault.people
SELECT ARRAY(SELECT secret FROM vault.people)
SELECT array_agg(p) FROM vault.people p
SELECT (SELECT p.secret FROM (SELECT 1) x) FROM vault.people p
SELECT l.s FROM vault.people p, LATERAL (SELECT p.secret AS s) l
SELECT secret FROM vault.people UNION SELECT 'x'
SELECT secret FROM vault.people EXCEPT ALL SELECT 'x'
SELECT name FROM vault.people INTERSECT SELECT name FROM vault.people UNION SELECT secret FROM vault.people
VALUES ((SELECT secret FROM vault.people LIMIT 1))
WITH people AS (SELECT secret FROM vault.people) SELECT * FROM people
WITH RECURSIVE r (n, s) AS (SELECT 1, secret FROM vault.people UNION ALL SELECT n + 1, s FROM r WHERE n < 2) SELECT s FROM r
WITH x AS MATERIALIZED (TABLE vault.people) SELECT y.secret FROM x y JOIN x z USING (secret)
SELECT secret FROM vault.people NATURAL JOIN (SELECT 'q0' || 'z1-secret-2' AS secret) g
SELECT j.secret FROM vault.people JOIN (SELECT id, secret FROM vault.people) o USING (id, secret) AS j
SELECT 'q0' || 'z1' FROM vault.people RIGHT JOIN (SELECT 1) x ON secret LIKE 'q0z%' WHERE id IS NOT NULL
SELECT id, 'q0' || 'z1' FROM vault.people ORDER BY secret = 'q0z1-secret-3' DESC LIMIT (SELECT count(*) FILTER (WHERE secret LIKE 'q0z%') FROM vault.people)
SELECT id FROM vault.people OFFSET (SELECT CASE WHEN secret_ LIKE 'q0z%' THEN (secret_)::int END FROM (SELECT max(secret) AS secret_ FROM vault.people) x)
SELECT generate_series(1, 1), secret || '' FROM vault.people
SELECT set_config('a.b', secret, false) FROM vault.people ;; SELECT current_setting('a.b')
SELECT secret::int FROM vault.people
SELECT secret::vault.mood FROM vault.people
SELECT ('{' || secret)::jsonb FROM vault.people
SELECT to_date(secret, 'YYYY') FROM vault.people
SELECT lower(email::vault.mailbox) FROM vault.people
SELECT nextval(secret) FROM vault.people
SELECT secret::regclass FROM vault.people
SELECT 'q0' || 'z1' FROM (SELECT 1 / (CASE WHEN secret LIKE 'q0z%' THEN 1 ELSE 0 END) AS n FROM vault.people) x WHERE n = 1

-- cursors, prepared statements, EXPLAIN, COPY
BEGIN ;; DECLARE c SCROLL CURSOR FOR SELECT secret FROM vault.people ;; FETCH ALL c ;; FETCH BACKWARD 2 c ;; COMMIT
DECLARE h BINARY CURSOR WITH HOLD FOR SELECT secret FROM vault.people ;; FETCH 2 FROM h ;; CLOSE h
BEGIN ;; DECLARE c CURSOR FOR SELECT id, secret FROM vault.people FOR UPDATE ;; MOVE 1 c ;; UPDATE vault.people SET name = name WHERE CURRENT OF c RETURNING secret ;; ROLLBACK
PREPARE q AS SELECT secret FROM vault.people WHERE id = $1 ;; EXECUTE q (1)
PREPARE q (text) AS SELECT 'q0' || 'z1' FROM vault.people WHERE secret = $1 ;; EXECUTE q ('q0' || 'z1-secret-1')
PREPARE q AS SELECT secret FROM vault.people ;; CREATE TEMP TABLE got AS EXECUTE q ;; TABLE got
EXPLAIN (ANALYZE, VERBOSE) SELECT secret FROM vault.people WHERE id = (SELECT 1 FROM vault.people WHERE secret::int = 1)
EXPLAIN ANALYZE CREATE TABLE open.explained AS SELECT secret FROM vault.people ;; TABLE open.explained
COPY vault.people TO STDOUT
COPY vault.people (id, secret, mood) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)
COPY vault.base TO STDOUT (FORMAT binary)
COPY (SELECT secret FROM vault.people) TO STDOUT (FORMAT binary)
COPY (INSERT INTO open.notes SELECT id, secret, 1 FROM vault.people RETURNING body) TO STDOUT
COPY (UPDATE vault.people SET name = name RETURNING secret) TO STDOUT

-- laundering
CREATE TABLE open.a1 AS SELECT * FROM vault.people ;; TABLE open.a1
SELECT secret INTO open.a2 FROM vault.people ;; SELECT secret FROM open.a2
CREATE TEMP TABLE people ON COMMIT DROP AS SELECT secret FROM vault.people RETURNING 1 ;; CREATE TEMP TABLE people AS SELECT secret FROM vault.people ;; SELECT secret FROM people
INSERT INTO open.notes (body) SELECT secret FROM vault.people ;; SELECT body FROM open.notes
INSERT INTO open.notes (body) SELECT secret FROM vault.people RETURNING body
INSERT INTO open.notes (body) SELECT p::text FROM vault.people p ;; SELECT body FROM open.notes
INSERT INTO open.people (id, secret) SELECT id, secret FROM vault.people ON CONFLICT (id) DO UPDATE SET secret = excluded.secret RETURNING *
UPDATE open.notes n SET body = p.secret FROM vault.people p WHERE p.id = n.id RETURNING n.body
UPDATE open.notes n SET (body, n) = (SELECT secret, 1 FROM vault.people p WHERE p.id = n.id) ;; SELECT body FROM open.notes
UPDATE vault.people SET name = secret RETURNING name
UPDATE vault.people SET name = 'q0' || 'z1' WHERE secret LIKE 'q0z_-%3' RETURNING name
DELETE FROM open.notes USING vault.people p WHERE p.id = notes.id RETURNING p.secret
DELETE FROM vault.log RETURNING what
SELECT what FROM vault.log
MERGE INTO open.notes n USING vault.people p ON n.id = p.id WHEN MATCHED THEN UPDATE SET body = p.secret ;; SELECT body FROM open.notes
MERGE INTO vault.people p USING (VALUES (1)) v (id) ON p.id = v.id AND p.secret LIKE 'q0z%' WHEN MATCHED THEN UPDATE SET name = 'q0' || 'z1' ;; SELECT name FROM vault.people
WITH u AS (UPDATE vault.people SET name = name RETURNING secret) SELECT secret || '' FROM u
WITH d AS (DELETE FROM vault.base RETURNING *) INSERT INTO open.notes (body) SELECT secret FROM d RETURNING body
CREATE TABLE open.part (LIKE vault.people) ;; INSERT INTO open.part OVERRIDING USER VALUE SELECT * FROM vault.people ;; SELECT secret FROM open.part
CREATE TABLE open.child () INHERITS (vault.base) ;; INSERT INTO open.child SELECT * FROM vault.base ;; ALTER TABLE open.child NO INHERIT vault.base ;; SELECT secret FROM open.child
ALTER TABLE vault.people RENAME COLUMN secret TO plain ;; SELECT plain FROM vault.people
ALTER TABLE vault.people ADD COLUMN other text GENERATED ALWAYS AS (lower(secret)) STORED ;; SELECT other FROM vault.people
ALTER TABLE vault.people RENAME TO folk ;; SELECT secret FROM vault.folk
CREATE SCHEMA gone ;; ALTER TABLE vault.people SET SCHEMA gone ;; SELECT secret FROM gone.people
ALTER SCHEMA vault RENAME TO safe ;; SELECT secret FROM safe.people
ALTER TABLE vault.events DETACH PARTITION vault.events_new ;; SELECT secret FROM vault.events_new
ALTER TABLE vault.events ALTER COLUMN secret TYPE int USING secret::int
ALTER TABLE vault.people ADD CHECK (secret NOT LIKE 'q0z%') NOT VALID ;; UPDATE vault.people SET name = name
ALTER TABLE vault.people ALTER COLUMN name SET DEFAULT NULL ;; INSERT INTO vault.people (id, secret) SELECT 99, secret FROM vault.people
CREATE UNIQUE INDEX ON vault.people ((substr(secret, 1, 4)))
CREATE INDEX ON vault.people (id) WHERE secret::int > 0
CREATE RULE r AS ON INSERT TO open.notes DO ALSO SELECT secret FROM vault.people ;; INSERT INTO open.notes VALUES (1)
CREATE POLICY p ON open.notes USING (EXISTS (SELECT FROM vault.people WHERE secret LIKE 'q0z%')) ;; CREATE TABLE open.fk (s text REFERENCES vault.people (phone)) ;; SELECT secret || '' FROM vault.people
CREATE TABLE open.guess (s varchar REFERENCES vault.people (phone)) ;; INSERT INTO open.guess VALUES ('+49 q0' || 'z1 1') RETURNING s

-- functions and code
SELECT vault.secret_of(1)
SELECT vault.atomic_of(n => 1)
SELECT * FROM vault.all_of()
SELECT (vault.all_of()).secret
SELECT * FROM vault.run('SELECT secret FROM vault.' || 'people')
SELECT vault.whisper(1)
BEGIN ;; SELECT vault.cursor_of() ;; FETCH ALL told ;; COMMIT
CALL vault.tell(NULL)
SET search_path = vault ;; SELECT w.hint FROM wards w
SET search_path = vault ;; SELECT (w).hint FROM wards w
SELECT hint(w) FROM vault.wards w ;; SET search_path = vault ;; SELECT hint(w) FROM wards w
DO $$ DECLARE s text; BEGIN SELECT secret INTO s FROM vault.people; RAISE NOTICE '%', s; END $$
DO $$ BEGIN RAISE NOTICE '%', (SELECT vault.secret_of(1)); END $$
DO $$ DECLARE r record; BEGIN FOR r IN EXECUTE 'SELECT secret FROM vault.' || 'people' LOOP RAISE NOTICE '%', r; END LOOP; END $$
DO $$ BEGIN SET LOCAL search_path = vault; RAISE NOTICE '%', query_to_xml_and_xmlschema('SELECT secret FROM peo' || 'ple', true, true, ''); END $$
CREATE FUNCTION open.f1() RETURNS text LANGUAGE sql AS 'SELECT secret FROM vault.people' ;; SELECT open.f1()
CREATE FUNCTION open.f2() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT secret FROM vault.people; END ;; SELECT open.f2()
CREATE FUNCTION open.f3() RETURNS text LANGUAGE plpgsql AS $$ BEGIN SET LOCAL work_mem = '1MB'; RETURN query_to_xml_and_xmlschema('SELECT secret FROM vault.peo' || 'ple', true, true, ''); END $$ ;; SELECT open.f3()
CREATE FUNCTION open.f4() RETURNS text LANGUAGE plpgsql AS $$ DECLARE s text; BEGIN SET LOCAL work_mem = '1MB'; RETURN database_to_xml_and_xmlschema(true, true, ''); END $$ ;; SELECT open.f4()
CREATE FUNCTION open.f5(t text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', t; RETURN true; END $$ ;; SELECT id FROM vault.people WHERE open.f5(secret)
CREATE FUNCTION open.f6(anyelement) RETURNS text LANGUAGE sql AS 'SELECT $1::text' ;; SELECT open.f6(p) FROM vault.people p
CREATE FUNCTION open.eq(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% %', $1, $2; RETURN true; END $$ ;; CREATE OPERATOR open.=== (FUNCTION = open.eq, LEFTARG = text, RIGHTARG = text) ;; SELECT id FROM vault.people WHERE secret OPERATOR(open.===) 'x'
CREATE FUNCTION open.trig() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', (SELECT min(secret) FROM vault.people); RETURN NEW; END $$ ;; CREATE TRIGGER t BEFORE INSERT ON open.notes FOR EACH ROW EXECUTE FUNCTION open.trig() ;; INSERT INTO open.notes VALUES (1)
SELECT query_to_xml('SELECT secret FROM vault.people', true, true, '')
SELECT table_to_xml('vault.people', true, true, '')
SELECT xpath('//secret/text()', database_to_xml(true, false, ''))
SELECT * FROM ts_stat('SELECT to_tsvector(secret) FROM vault.people')
SELECT ts_headline(secret, to_tsquery('q0z')) FROM vault.people
SELECT * FROM json_populate_recordset(NULL::vault.people, (SELECT json_agg(p) FROM vault.people p))

-- statistics and errors
SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE schemaname = 'vault'
SELECT s.* FROM pg_catalog.pg_stats s WHERE histogram_bounds::text LIKE '%q0z%'
SELECT most_common_vals FROM pg_stats_ext
LISTEN ch ;; SELECT pg_notify('ch', secret) FROM vault.people
DELETE FROM vault.wards WHERE code = 'west'
UPDATE vault.wards SET code = 'far' WHERE code = 'west'
INSERT INTO vault.people (id, name, secret) SELECT id + 50, NULL, secret FROM vault.people
UPDATE vault.people SET name = NULL
UPDATE vault.people SET ward = 'nowhere'
UPDATE vault.people SET id = 1
UPDATE vault.people SET name = name
UPDATE vault.people SET name = name RETURNING secret
UPDATE vault.people SET name = name RETURNING *
UPDATE vault.people SET name = name RETURNING people
DELETE FROM vault.base RETURNING *
DELETE FROM vault.base WHERE secret LIKE 'q0z_-base' RETURNING 'q0' || 'z1'
UPDATE vault.events SET day = '2001-01-01' RETURNING events.*
INSERT INTO vault.base (id, secret) VALUES (3, 'x') RETURNING (SELECT max(secret) FROM vault.heir)
INSERT INTO vault.people (id, name, secret) SELECT 101, 'x', max(secret) FROM vault.people ;; INSERT INTO vault.people (id, name, secret) VALUES (102, 'x', 'q0' || 'z1') ;; REFRESH MATERIALIZED VIEW vault.cast_up
CLUSTER vault.people USING people_pkey ;; SELECT id, secret || '' FROM vault.people

-- names
SET search_path = vault ;; SELECT secret || '' FROM people
SET search_path = vault; SELECT secret || '' FROM people
SELECT set_config('search_path', 'vault', false) ;; SELECT secret || '' FROM people
BEGIN ;; SET LOCAL search_path = vault ;; SELECT secret || '' FROM people ;; COMMIT
BEGIN ;; SET LOCAL search_path = open ;; SAVEPOINT s ;; SET LOCAL search_path = vault ;; SELECT secret || '' FROM people ;; ROLLBACK
SET search_path = open ;; PREPARE n AS SELECT 'q0' || 'z1' FROM people WHERE secret LIKE 'q0z%' ;; SET search_path = vault ;; EXECUTE n
SET search_path = vault, open ;; BEGIN ;; SET LOCAL search_path = open ;; SELECT secret || '' FROM people ;; ROLLBACK; SELECT secret || '' FROM people
SET search_path = vault ;; CREATE TEMP TABLE people (id int, secret text) ;; SELECT secret || '' FROM people ;; DISCARD TEMP ;; SELECT secret || '' FROM people
SET search_path = vault ;; CREATE TEMP TABLE people (id int, secret text) ;; SELECT secret || '' FROM people ;; DISCARD ALL ;; SET search_path = vault ;; SELECT secret || '' FROM people
SET search_path = vault ;; CREATE TEMP TABLE people (id int, secret text) ;; SELECT secret || '' FROM people ;; DROP TABLE people ;; SELECT secret || '' FROM people
SET search_path = vault ;; BEGIN ;; CREATE TEMP TABLE people (id int, secret text) ON COMMIT DROP ;; SELECT secret || '' FROM people ;; COMMIT ;; SELECT secret || '' FROM people
CREATE SCHEMA gone ;; CREATE TABLE gone.people (id int, secret text) ;; SET search_path = gone, vault ;; BEGIN ;; DO $$ BEGIN SET LOCAL work_mem = '1MB'; DROP SCHEMA gone CASCADE; END $$ ;; SELECT secret || '' FROM people ;; ROLLBACK
CREATE SCHEMA gone ;; CREATE TABLE gone.people (id int, secret text) ;; SET search_path = gone, vault ;; ALTER TABLE people RENAME TO folk; SELECT secret || '' FROM people
SET client_encoding = 'LATIN1' ;; SELECT secret, email, phone FROM vault.people
SET client_encoding = 'SQL_ASCII' ;; SELECT secret || '' FROM vault.people
SET client_encoding = 'SJIS' ;; SELECT secret || '' FROM vault.people
SET standard_conforming_strings = off ;; SELECT '\'', secret, '\'' FROM vault.people
SET DateStyle = 'SQL, DMY' ;; SELECT 'q0' || 'z1' FROM vault.people WHERE born::text = '07/03/1871'
SET bytea_output = 'escape' ;; SELECT raw FROM vault.people
SET xmloption = document; SET search_path TO "vault"; TABLE people

-- what the database itself copies, views over code, operators, errors that code catches, the order of rows
UPDATE vault.names SET name = NULL WHERE id = 1
UPDATE vault.names SET id = 2 WHERE id = 1 ;; UPDATE vault.few_names SET id = 900 WHERE id = 1 ;; UPDATE vault.few_names SET name = NULL
UPDATE vault.names SET name = name
SELECT * FROM vault.numbers
SELECT number FROM vault.numbers WHERE id = 1
SELECT held FROM vault.guarded
SELECT whole FROM vault.deep1
SELECT s FROM vault.deep2
SELECT v FROM vault.deep3
SELECT "Vä l" FROM vault.deep4
SELECT "max" FROM vault.deep5
SELECT told FROM vault.told
SELECT page FROM vault.paper
SELECT * FROM vault.guess
SELECT secret FROM vault.changed
SELECT OPERATOR(vault.###) 1
SET search_path = vault ;; SELECT ### 1
SELECT line FROM vault.diary
SELECT line FROM vault.diary_copy
BEGIN ;; UPDATE vault.base SET id = id ;; COMMIT
BEGIN ;; UPDATE vault.base SET id = 901 ;; SELECT 1 ;; COMMIT
BEGIN ;; UPDATE vault.base SET id = 901 ;; SET CONSTRAINTS ALL IMMEDIATE ;; ROLLBACK
UPDATE vault.base SET id = id ;; SELECT line FROM vault.diary_copy
SELECT was FROM vault.ruled
UPDATE vault.governed SET id = id ;; SELECT was FROM vault.ruled
SELECT about FROM open.orders
SELECT phone FROM open.orders
SELECT whose FROM open.orders
SELECT found FROM open.cached
INSERT INTO open.orders (id, person) VALUES (55, 1) RETURNING about
INSERT INTO open.orders (id, person) VALUES (56, 1) RETURNING whose
INSERT INTO open.cached (id) VALUES (4) RETURNING found
INSERT INTO open.orders (id, person) VALUES (57, 1) ;; SELECT upper(about), upper(whose) FROM open.orders
UPDATE vault.people SET phone = '+49 q0' || 'z1 77' WHERE id = 1 ;; SELECT phone FROM open.orders
CREATE OPERATOR open.<~> (FUNCTION = ts_rewrite, LEFTARG = tsquery, RIGHTARG = text) ;; SELECT 'a'::tsquery OPERATOR(open.<~>) 'SELECT $$a$$::tsquery, to_tsquery(secret) FROM vault.people'
CREATE OPERATOR open.<~> (FUNCTION = ts_rewrite, LEFTARG = tsquery, RIGHTARG = text); SELECT 'a'::tsquery OPERATOR(open.<~>) 'SELECT $$a$$::tsquery, to_tsquery(secret) FROM vault.people'
CREATE OPERATOR open.!! (FUNCTION = ts_stat, RIGHTARG = text) ;; SELECT OPERATOR(open.!!) 'SELECT to_tsvector(secret) FROM vault.people'
CREATE OPERATOR open.!# (FUNCTION = vault.secret_of, RIGHTARG = int); SELECT OPERATOR(open.!#) 1
CREATE OPERATOR open.!# (FUNCTION = vault.secret_of, RIGHTARG = int) ;; SELECT OPERATOR(open.!#) 1
BEGIN ;; CREATE OPERATOR open.!# (FUNCTION = vault.secret_of, RIGHTARG = int) ;; SELECT OPERATOR(open.!#) 1 ;; ROLLBACK
BEGIN ;; CREATE OPERATOR open.!# (PROCEDURE = vault.secret_of, RIGHTARG = int) ;; SET LOCAL search_path = open ;; SELECT !# 1 ;; ROLLBACK
CREATE FUNCTION open.f(int) RETURNS text LANGUAGE sql AS 'SELECT $1::text' ;; BEGIN ;; DROP FUNCTION open.f(int) ;; ALTER FUNCTION vault.secret_of(int) RENAME TO f ;; ALTER FUNCTION vault.f(int) SET SCHEMA open ;; SELECT open.f(1) ;; ROLLBACK
CREATE FUNCTION open.f(int) RETURNS text LANGUAGE plpgsql AS 'BEGIN SET LOCAL work_mem = 1024; RETURN OPERATOR(vault.###) $1; END' ;; SELECT open.f(1)
CREATE FUNCTION open.f(int) RETURNS text LANGUAGE sql AS 'SELECT OPERATOR(vault.###) $1' ;; SELECT open.f(1)
DO $$ DECLARE d text; BEGIN UPDATE vault.people SET name = NULL WHERE id = 1; EXCEPTION WHEN others THEN GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL; INSERT INTO open.notes VALUES (1, d); END $$ ;; SELECT body FROM open.notes
DO $$ BEGIN UPDATE vault.names SET name = NULL WHERE id = 1; EXCEPTION WHEN others THEN DECLARE d text; BEGIN GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL; UPDATE open.notes SET body = d; END; END $$ ;; SELECT body FROM open.notes
DO $$ BEGIN UPDATE vault.base SET id = 901; SET CONSTRAINTS ALL IMMEDIATE; EXCEPTION WHEN others THEN INSERT INTO open.notes VALUES (1, SQLERRM); END $$ ;; SELECT body FROM open.notes
CREATE FUNCTION open.f() RETURNS text LANGUAGE plpgsql AS $$ DECLARE d text; BEGIN UPDATE vault.names SET name = NULL WHERE id = 1; EXCEPTION WHEN others THEN GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL; RETURN d; END $$ ;; SELECT open.f()
INSERT INTO vault.people (id, name, secret, phone) VALUES (1000, 'x', 'x', '+49 q0z0'), (1001, 'x', 'x', '+49 q0z2') ;; CLUSTER vault.people USING people_phone_key ;; SELECT 'q0' || 'z1' WHERE (SELECT id FROM vault.people ORDER BY ctid LIMIT 1) = 1000 AND (SELECT id FROM vault.people ORDER BY ctid DESC LIMIT 1) = 1001

-- every kind of type
SELECT * FROM vault.kinds
SELECT label::text || '', title || '' FROM vault.kinds
SELECT xmlserialize(CONTENT page AS text) FROM vault.kinds
SELECT xpath('/a/@b', page), xpath_exists('/a[@b="q0' || 'z1"]', page), (xpath('/a/text()', page))[1]::text FROM vault.kinds
SELECT ts_headline('simple', 'q0' || 'z1', asked) || querytree(asked), tsvector_to_array(words), lexeme FROM vault.kinds, unnest(words)
SELECT array_to_string(tsvector_to_array(strip(words)), ' '), ts_filter(words, '{a,b,c,d}'), words || words FROM vault.kinds
SELECT 'q0' || 'z1' FROM vault.kinds WHERE words @@ ('''q0' || 'z1-words''')::tsquery
SELECT json_object_keys(plan), plan #>> '{}', json_typeof(plan) FROM vault.kinds
SELECT k.key || v.value FROM vault.kinds, json_each(plan) k, json_array_elements_text(k.value) v
SELECT cost::text, round(cost::numeric, 2), cost * 1, width_bucket(cost, 0, 100000, 5) FROM vault.kinds
SELECT price::numeric, extract(epoch FROM spell), big / 100.0, to_char(cost, 'FM99999.99') FROM vault.kinds
SELECT 'q0' || 'z1' FROM vault.kinds WHERE spell BETWEEN SYMMETRIC interval '71308 s' AND interval '71307 s'
SELECT lower(stay), upper(amounts), lower(stays), range_merge(stay, stay), multirange(stay) FROM vault.kinds
SELECT unnest(stays), range_agg(stay), range_intersect_agg(stays) FROM vault.kinds GROUP BY stays
SELECT 'q0' || 'z1' FROM vault.kinds WHERE stay @> date '1871-03-07' AND NOT stay @> date '1871-03-06'
SELECT at::date, date_trunc('day', seen), to_char(at, 'YYYY-MM-DD'), age(at), at + interval '1 h', (at, seen) FROM vault.kinds
SELECT date_bin('1 day', at, '1800-01-01'), make_date(date_part('year', at)::int, 3, 7), at - at + at FROM vault.kinds
SELECT ref, ref::text, replace(ref::text, '-', '') FROM vault.kinds
SELECT spot[0], spot, circle(spot, 1), box(spot, spot) FROM vault.kinds
SELECT lines[1][1], lines[1:1][1:1], array_to_string(lines, '-'), cardinality(lines) FROM vault.kinds
SELECT (homes[1]).street, unnest(homes), (SELECT h.street FROM unnest(homes) h) FROM vault.kinds
SELECT moods[1], array_dims(moods), moods::text[] FROM vault.kinds
SELECT 'q0' || 'z1' FROM vault.kinds WHERE moods && ARRAY[('q0' || 'z1-calm')::vault.mood]
SELECT 'q0' || 'z1' FROM vault.kinds WHERE label IN ('q0' || 'z1-label', 'x') AND title LIKE ANY (ARRAY['q0z_-t%'])
INSERT INTO vault.kinds (id, stay) VALUES (2, '[1871-03-08,1871-03-10)')
INSERT INTO vault.kinds (id, stay) SELECT 3, stay FROM vault.kinds
COPY (SELECT to_json(k) FROM vault.kinds k) TO STDOUT

-- clauses of queries
SELECT ward, string_agg(secret, ',') FROM vault.people GROUP BY CUBE (ward, name)
SELECT max(secret) FILTER (WHERE id > 1), min(secret), count(DISTINCT secret) FROM vault.people
SELECT nth_value(secret, 2) OVER (ORDER BY id GROUPS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE TIES) FROM vault.people
SELECT last_value(secret) OVER (PARTITION BY id % 2 ORDER BY id RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM vault.people
SELECT lead(p.secret, 1, p.email::text) OVER w, ntile(2) OVER w FROM vault.people p WINDOW w AS (ORDER BY p.secret DESC NULLS LAST)
SELECT 'q0' || 'z1' FROM (SELECT id, rank() OVER (ORDER BY secret) AS r FROM vault.people UNION ALL SELECT 0, dense_rank() OVER (ORDER BY phone) FROM vault.people) x WHERE id = 9 AND r = 9
SELECT 'q0' || 'z1' FROM (SELECT rank('q0' || 'z1-secret-5') WITHIN GROUP (ORDER BY secret) AS r FROM vault.people) x WHERE r = 5
SELECT 'q0' || 'z1' FROM (SELECT array_agg(id ORDER BY secret DESC) AS ids FROM vault.people) x WHERE ids[1] = 9 AND ids[9] = 1
SELECT 'q0' || 'z1' FROM (SELECT id FROM vault.people ORDER BY secret USING > LIMIT 1) y WHERE id = 9
SELECT DISTINCT left(secret, 9) FROM vault.people ORDER BY 1 FETCH FIRST 1 ROW WITH TIES
SELECT 'q0' || 'z1' FROM vault.people WHERE ROW(secret, id) >= ROW('q0' || 'z1-secret-9', 9) AND secret IS DISTINCT FROM 'x'
SELECT 'q0' || 'z1' FROM vault.people WHERE secret IS NOT DISTINCT FROM 'q0' || 'z1-secret-1'
SELECT 'q0' || 'z1' FROM vault.people WHERE secret NOT BETWEEN SYMMETRIC 'q0z2' AND 'a' OR secret BETWEEN 'q0z1' AND 'q0z2'
SELECT NULLIF(secret, 'x'), CASE secret WHEN 'x' THEN '' ELSE secret END FROM vault.people
SELECT CASE WHEN secret ILIKE 'Q0Z_%' THEN 'q0' || 'z1' END FROM vault.people
SELECT 'q0' || 'z1' FROM vault.people WHERE NOT (secret !~~* 'q0z%') AND secret ^@ 'q0z' AND secret ~>=~ 'q0z'
SELECT 'q0' || 'z1' FROM vault.people WHERE secret = ANY (SELECT 'q0z' || n || s FROM open.guesses)
SELECT 'q0' || 'z1' FROM vault.people NATURAL JOIN (SELECT 'q0z' || n || s AS secret FROM open.guesses) g
SELECT g.n, 'q0z' || g.n FROM open.guesses g JOIN vault.people p ON p.secret = 'q0z' || g.n || g.s
SELECT 'q0z' || n FROM open.guesses g WHERE EXISTS (SELECT FROM vault.people p WHERE p.secret = 'q0z' || g.n || g.s)
SELECT 'q0z' || n FROM open.guesses WHERE 'q0z' || n || s IN (SELECT secret FROM vault.people)
SELECT 'q0z' || n FROM open.guesses g LEFT JOIN LATERAL (SELECT 1 AS hit FROM vault.people WHERE secret LIKE 'q0z' || g.n || '%') x ON true WHERE hit = 1
SELECT 'q0z' || (SELECT count(*) FROM generate_series(0, ascii(substr(p.secret, 4, 1)) - ascii('0')) i) - 1 FROM vault.people p LIMIT 1
SELECT 'q0z' || max(i) FROM (SELECT i FROM generate_series(0, 9) i LIMIT (SELECT ascii(substr(secret, 4, 1)) - 47 FROM vault.people LIMIT 1)) x
SELECT 'q0z' || min(i) FROM (SELECT i FROM generate_series(0, 9) i ORDER BY i OFFSET (SELECT substr(secret, 4, 1)::int FROM vault.people LIMIT 1)) x
SELECT chr(ascii(secret)) || chr(ascii(substr(secret, 2))) || chr(ascii(substr(secret, 3))) || chr(ascii(substr(secret, 4))) FROM vault.people LIMIT 1
SELECT string_agg(chr(get_byte(b, i)), '') FROM (SELECT secret::bytea AS b FROM vault.people LIMIT 1) x, generate_series(0, 3) i
SELECT string_agg(c, '' ORDER BY o) FROM (SELECT secret FROM vault.people LIMIT 1) x, regexp_split_to_table(secret, '') WITH ORDINALITY t (c, o)
SELECT split_part(secret, '-', 1), overlay(secret PLACING 'x' FROM 9), translate(secret, '-', '_'), btrim(secret, 's'), lpad(secret, 40) FROM vault.people
SELECT regexp_match(secret, '(q0z.)'), regexp_matches(secret, 'q0z.', 'g'), regexp_replace(secret, '-.*', ''), substring(secret FROM 'q0z.') FROM vault.people
SELECT regexp_substr(secret, 'q0z.'), substring(secret SIMILAR '#"q0z_#"%' ESCAPE '#'), string_to_table(secret, '-'), string_to_array(secret, '-') FROM vault.people
SELECT convert_to(secret, 'UTF8'), encode(convert_to(secret, 'UTF8'), 'base64'), decode(md5(secret), 'hex'), sha256(secret::bytea) FROM vault.people
SELECT format('%I %L %1$s', secret, secret), quote_ident(secret), quote_nullable(secret), concat(secret), unistr(secret), normalize(secret) FROM vault.people
SELECT secret || NULL, secret || 1, 1 || secret, ARRAY[secret] || 'x'::text, ROW(secret, 1), ARRAY[[secret]] FROM vault.people
SELECT json_build_object('s', secret), jsonb_build_array(secret), to_json(secret), json_strip_nulls(to_json(p)), jsonb_pretty(to_jsonb(p)) FROM vault.people p
SELECT jsonb_object_agg(id, secret), json_agg(secret ORDER BY id), jsonb_agg(DISTINCT secret), xmlagg(xmlelement(name s, secret)) FROM vault.people
SELECT jsonb_path_query_array(to_jsonb(p), '$.secret'), jsonb_path_exists(to_jsonb(p), '$ ? (@.secret starts with "q0z")'), to_jsonb(p) -> 'secret', to_jsonb(p) - 'id' FROM vault.people p
SELECT 'q0' || 'z1' FROM vault.people WHERE note @@ '$.plan[0] starts with "q0z"' OR note @> '{"plan": ["x"]}'
SELECT note['plan'][0], jsonb_set(note, '{level}', '0'), note || '{}', note - 'level', jsonb_insert(note, '{a}', '1') FROM vault.people
SELECT * FROM vault.people p, jsonb_populate_record(NULL::vault.people, to_jsonb(p)) r
SELECT r.s FROM vault.people p, json_to_record(json_build_object('s', p.secret)) AS r (s text)
SELECT r.* FROM ROWS FROM (generate_series(1, 2), unnest((SELECT array_agg(secret) FROM vault.people))) AS r (n, s)
SELECT xmlconcat(xmlelement(name a, xmlattributes(secret AS b)), xmlcomment(secret), xmlpi(name p, secret)) FROM vault.people
SELECT xmlparse(CONTENT secret), xmlroot(xmlelement(name r, secret), version '1.0'), xmlforest(p.secret, p.id) FROM vault.people p
SELECT to_tsvector('simple', secret), to_tsvector(note), plainto_tsquery('simple', secret), ts_debug('simple', secret) FROM vault.people
SELECT t.token FROM vault.people, ts_parse('default', secret) t
SELECT corr, s FROM (SELECT regr_count(pay, id) AS corr, max(pay) AS s, sum(pay) / 9, avg(pay), stddev(pay) FROM vault.people) x
SELECT any_row.secret FROM (SELECT (array_agg(p ORDER BY id))[1] AS r FROM vault.people p) x, LATERAL (SELECT (x.r).secret) any_row
WITH RECURSIVE walk (id, path) AS (SELECT 1, secret FROM vault.people WHERE id = 1 UNION ALL SELECT w.id + 1, p.secret FROM walk w JOIN vault.people p ON p.id = w.id + 1) SEARCH DEPTH FIRST BY path SET o CYCLE id SET c USING p SELECT o, c, p FROM walk
WITH RECURSIVE letters (n, s) AS (SELECT 1, (SELECT substr(secret, 1, 1) FROM vault.people LIMIT 1) UNION ALL SELECT n + 1, s || (SELECT substr(secret, n + 1, 1) FROM vault.people LIMIT 1) FROM letters WHERE n < 9) SELECT s FROM letters
WITH a AS NOT MATERIALIZED (SELECT * FROM vault.people), b (x) AS (SELECT a FROM a) SELECT (x).secret FROM b
WITH people (secret) AS (VALUES ('x')), other AS (SELECT secret FROM vault.people) TABLE other
WITH people AS (SELECT 1 AS id) SELECT p.secret FROM vault.people p JOIN people USING (id)
SELECT j.a FROM (vault.people CROSS JOIN open.guesses) AS j (z, y, a)
SELECT s FROM open.guesses NATURAL FULL JOIN (SELECT secret AS s FROM vault.people) x
SELECT (SELECT secret) FROM vault.people
SELECT (SELECT (SELECT max(q.secret) FROM vault.people q WHERE q.id = p.id)) FROM vault.people p
SELECT s.secret FROM vault.people s JOIN LATERAL (SELECT s.secret AS t) l ON l.t = s.secret
SELECT secret FROM vault.people WHERE id = ALL (SELECT 1) UNION ALL (SELECT secret FROM vault.base ORDER BY secret LIMIT 1)
SELECT x FROM (VALUES (1, (SELECT secret FROM vault.people LIMIT 1))) v (n, x)
(SELECT secret FROM vault.people) EXCEPT (SELECT s FROM open.guesses) ORDER BY 1
SELECT p FROM vault.people p ORDER BY p LIMIT 1
SELECT count(*), p.* FROM vault.people p GROUP BY p.id
SELECT vault.people.secret::varchar(4), vault.people.* FROM vault.people ORDER BY vault.people.secret
SELECT E'\x71' || secret FROM vault . people
SELECT $tag$--$tag$, secret || '' FROM vault.people -- ; SELECT
SELECT secret /* /* nested */ ; */ FROM vault.people;;
SELECT lower(p.loud), initcap(p.loud) FROM vault.people p

-- newer syntax
! SELECT JSON_OBJECT('s': secret), JSON_ARRAY(secret), JSON_OBJECTAGG(id: secret), JSON_ARRAYAGG(secret) FROM vault.people GROUP BY secret
! SELECT JSON_VALUE(note, '$.plan[0]'), JSON_QUERY(note, '$.plan'), JSON_EXISTS(note, '$.plan'), JSON_SERIALIZE(note), JSON_SCALAR(secret) FROM vault.people
! SELECT t.* FROM vault.people, JSON_TABLE(note, '$.plan[*]' COLUMNS (s text PATH '$')) t
! SELECT any_value(secret), secret IS JSON, array_sample(tags, 1), pg_input_error_info(secret, 'int') FROM vault.people GROUP BY secret, tags
! MERGE INTO open.notes n USING vault.people p ON n.id = p.id WHEN MATCHED THEN UPDATE SET body = p.secret RETURNING merge_action(), p.secret, n.body
! MERGE INTO vault.people p USING open.notes n ON n.id = p.id WHEN NOT MATCHED BY SOURCE THEN UPDATE SET name = name WHEN MATCHED THEN UPDATE SET name = p.name RETURNING p.secret || '', p.*
! UPDATE vault.people SET name = name RETURNING old.secret, new.secret || ''
! UPDATE vault.people SET name = name RETURNING WITH (OLD AS o, NEW AS n) o.secret || n.secret, o, n.*
! DELETE FROM vault.base RETURNING old.*, old
! COPY vault.people FROM STDIN (ON_ERROR ignore, LOG_VERBOSITY verbose)
! EXPLAIN (ANALYZE, SERIALIZE TEXT, MEMORY, GENERIC_PLAN off) SELECT secret::int FROM vault.people
! CREATE TABLE open.virtual (id int, s text, t text GENERATED ALWAYS AS (open.lookup(id)) VIRTUAL) ;; SELECT * FROM open.virtual
! ALTER TABLE vault.people ALTER COLUMN loud SET EXPRESSION AS (secret)
! SELECT crc32(secret::bytea), casefold(secret), reverse(raw), jsonb_strip_nulls(note, true) FROM vault.people
! SELECT p.id.secret, (p).secret.x FROM vault.people p
! SELECT pg_get_process_memory_contexts(pg_backend_pid(), false, 1), secret FROM vault.people

-- statements around queries
BEGIN ;; DECLARE c NO SCROLL CURSOR FOR SELECT p FROM vault.people p ;; MOVE FORWARD 1 IN c ;; FETCH RELATIVE 1 FROM c ;; ROLLBACK
BEGIN ;; DECLARE c CURSOR WITH HOLD FOR SELECT lower(secret) FROM vault.people ;; COMMIT ;; FETCH ABSOLUTE 1 FROM c ;; CLOSE ALL
BEGIN ;; DECLARE c INSENSITIVE CURSOR FOR TABLE vault.people ;; SAVEPOINT a ;; FETCH LAST c ;; ROLLBACK TO a ;; FETCH FIRST c ;; END
PREPARE q (int, text) AS SELECT secret || $2 FROM vault.people WHERE id = $1 ;; EXPLAIN ANALYZE EXECUTE q (1, '') ;; EXECUTE q (1, '') ;; DEALLOCATE q
PREPARE q AS UPDATE vault.people SET name = name RETURNING secret || '' ;; EXECUTE q
PREPARE q AS INSERT INTO open.notes (body) SELECT secret FROM vault.people RETURNING body ;; EXECUTE q
EXPLAIN (COSTS off) SELECT secret FROM vault.people WHERE secret = (SELECT most_common_vals::text FROM pg_stats LIMIT 1) ;; SELECT secret || '' FROM vault.people
EXPLAIN ANALYZE SELECT secret::int FROM vault.people
EXPLAIN ANALYZE INSERT INTO vault.people (id, name, secret) SELECT id + 70, NULL, secret FROM vault.people
EXPLAIN ANALYZE UPDATE vault.people SET name = name
EXPLAIN (ANALYZE) DECLARE c CURSOR FOR SELECT secret::int FROM vault.people
CREATE TABLE open.e1 AS WITH x AS (SELECT secret FROM vault.people) SELECT secret AS "s" FROM x ;; SELECT s FROM open.e1
CREATE TABLE open.e2 (s) AS VALUES ((SELECT secret FROM vault.people LIMIT 1)) WITH DATA ;; TABLE open.e2
CREATE UNLOGGED TABLE IF NOT EXISTS open.e3 AS TABLE vault.people ;; SELECT secret FROM open.e3
CREATE TEMP VIEW e4 AS SELECT secret FROM vault.people ;; SELECT secret || '' FROM e4
CREATE VIEW open.e5 WITH (security_invoker) AS SELECT p.* FROM vault.people p ;; ALTER VIEW open.e5 RENAME COLUMN secret TO open ;; ALTER VIEW open.e5 RENAME TO e6 ;; SELECT open || '' FROM open.e6
CREATE VIEW open.e7 AS SELECT id, name FROM vault.people ;; CREATE OR REPLACE VIEW open.e7 AS SELECT id, name, secret FROM vault.people ;; SELECT secret FROM open.e7
CREATE VIEW open.e8 AS SELECT id, name FROM vault.people ;; UPDATE open.e8 SET name = NULL
CREATE MATERIALIZED VIEW open.e9 AS SELECT id, hidden FROM vault.plain WITH NO DATA ;; REFRESH MATERIALIZED VIEW open.e9 ;; SELECT hidden FROM open.e9
CREATE TABLE open.list (s text) PARTITION BY LIST (s) ;; CREATE TABLE open.list_a PARTITION OF open.list DEFAULT ;; INSERT INTO open.list SELECT secret FROM vault.people RETURNING *
CREATE TABLE open.narrow (s varchar(3)) ;; INSERT INTO open.narrow SELECT secret FROM vault.people ;; CREATE TABLE open.checked (s text CHECK (s < 'a')) ;; INSERT INTO open.checked SELECT secret FROM vault.people
CREATE DOMAIN open.short AS text CHECK (VALUE !~ 'q0z') ;; SELECT secret::open.short FROM vault.people ;; CREATE TABLE open.u (s text UNIQUE) ;; INSERT INTO open.u SELECT 'x' || left(secret, 9) FROM vault.people
CREATE TABLE open.gen (s text, t text GENERATED ALWAYS AS (upper(s)) STORED) ;; INSERT INTO open.gen SELECT secret FROM vault.people RETURNING t
CREATE SEQUENCE open.seq ;; SELECT setval('open.seq', ascii(substr(secret, 4, 1)) + 52) FROM vault.people LIMIT 1 ;; SELECT 'q0z' || (last_value - 100) FROM open.seq
SELECT pg_advisory_lock(ascii(substr(secret, 4, 1)) - 48) FROM vault.people WHERE id = 1 ;; SELECT 'q0z' || objid FROM pg_locks WHERE locktype = 'advisory'
SELECT lo_from_bytea(0, secret::bytea) FROM vault.people WHERE id = 1 ;; SELECT convert_from(lo_get(oid), 'UTF8') FROM pg_largeobject_metadata
SELECT set_config('application_name', secret, false) FROM vault.people LIMIT 1 ;; SHOW application_name
SELECT set_config('my.' || left(secret, 4), '1', false) FROM vault.people ;; SELECT name FROM pg_settings WHERE name LIKE 'my%' ;; SELECT set_config('work_mem', secret, false) FROM vault.people
LISTEN q0 ;; SELECT pg_notify('q0', secret) FROM vault.people ;; NOTIFY q0, 'x'
SELECT format('%s', secret)::regtype FROM vault.people
SELECT secret::date FROM vault.people
SELECT to_timestamp(secret, 'YYYY-MM-DD'), to_number(secret, 'S99') FROM vault.people
SELECT secret::inet FROM vault.people
SELECT secret::uuid FROM vault.people
SELECT secret::xml::text, ('<' || secret)::xml FROM vault.people
SELECT ('{' || secret || '}')::int[] FROM vault.people
SELECT secret::tsquery, secret::name, secret::"char" FROM vault.people
SELECT interval '1' * pay::float8, secret::interval FROM vault.people
SELECT currval(secret) FROM vault.people
SELECT pg_relation_size(secret::regclass) FROM vault.people
SELECT has_table_privilege(secret, 'select') FROM vault.people
SELECT 1 / (length(secret) - length(secret)), secret FROM vault.people WHERE length(secret) = 0 UNION ALL SELECT 1, secret FROM vault.people
SELECT 'q0' || 'z1' FROM vault.people WHERE pg_column_size(secret) > 9 AND octet_length(secret) = 13 LIMIT 1
SELECT 'q0' || 'z1' FROM vault.people TABLESAMPLE bernoulli ((SELECT CASE WHEN secret LIKE 'q0z%' THEN 100 ELSE 0 END FROM vault.people LIMIT 1))
INSERT INTO open.notes (id, body) SELECT 1, secret FROM vault.people ON CONFLICT DO NOTHING ;; TABLE open.notes
INSERT INTO open.people AS o (id, name, secret) VALUES (1, 'x', 'y') ON CONFLICT (id) DO UPDATE SET name = (SELECT secret FROM vault.people WHERE id = o.id) WHERE o.id = 1 RETURNING o.name
INSERT INTO open.guesses (s) SELECT unnest(tags) FROM vault.people RETURNING s || ''
INSERT INTO open.guesses VALUES (1, (SELECT min(secret) FROM vault.people)), (2, DEFAULT) RETURNING *
UPDATE open.people SET secret = v.secret FROM vault.people v WHERE v.id = open.people.id ;; SELECT max(secret) FROM open.people
UPDATE open.people o SET name = (SELECT secret FROM vault.people v WHERE v.id = o.id), secret = DEFAULT RETURNING *
UPDATE vault.people SET name = v.hidden FROM vault.plain v WHERE v.id = people.id RETURNING people.name
UPDATE vault.people SET (name, token) = (SELECT q.secret, 'x' FROM vault.people q WHERE q.id = people.id) RETURNING name
UPDATE vault.plain SET name = hidden ;; SELECT name FROM vault.plain
UPDATE vault.plain SET name = 'q0' || 'z1' WHERE hidden LIKE 'q0z%5' RETURNING name
UPDATE vault.guarded SET name = name RETURNING held
DELETE FROM open.guesses g WHERE 'q0z' || g.n || g.s = (SELECT secret FROM vault.people LIMIT 1) RETURNING 'q0z' || n
DELETE FROM vault.people p USING open.guesses g WHERE p.secret = 'q0z' || g.n || g.s RETURNING 'q0z' || g.n
WITH i AS (INSERT INTO open.guesses (s) SELECT secret FROM vault.people RETURNING s) SELECT upper(s) FROM i
WITH d AS (DELETE FROM vault.kinds RETURNING *), i AS (INSERT INTO open.guesses (s) SELECT title FROM d RETURNING s) TABLE i
WITH m AS (SELECT 1 AS id) UPDATE vault.people SET name = name FROM m RETURNING vault.people.email || ''
MERGE INTO open.guesses g USING vault.people p ON 'q0z' || g.n || g.s = p.secret WHEN MATCHED THEN UPDATE SET s = 'q0z' || g.n || 'hit' WHEN NOT MATCHED THEN INSERT VALUES (p.id, p.secret) ;; SELECT s FROM open.guesses WHERE s LIKE '%hit' OR s LIKE '%-_'
COPY (DELETE FROM vault.base RETURNING secret) TO STDOUT
COPY (TABLE vault.plain) TO STDOUT (FORMAT csv, DELIMITER '|')
COPY (VALUES ((SELECT secret FROM vault.people LIMIT 1))) TO STDOUT
COPY vault.events_new TO STDOUT
COPY vault.diary (line) TO STDOUT
COPY open.orders TO STDOUT

-- definitions
CREATE FUNCTION open.g1(p vault.people) RETURNS text LANGUAGE sql AS 'SELECT $1.secret' ;; SELECT open.g1(p) FROM vault.people p
CREATE FUNCTION open.g2() RETURNS TABLE (s text) LANGUAGE sql AS 'TABLE vault.chosen' ;; CREATE FUNCTION open.g3() RETURNS SETOF vault.plain LANGUAGE sql AS 'SELECT * FROM vault.plain' ;; SELECT hidden FROM open.g3()
CREATE FUNCTION open.g4() RETURNS text LANGUAGE sql SET search_path = vault AS 'SELECT secret FROM people' ;; SELECT open.g4()
CREATE FUNCTION open.g5() RETURNS text LANGUAGE sql AS $$ SELECT secret FROM U&"v\0061ult".U&"p\0065ople" $$ ;; SELECT open.g5()
CREATE FUNCTION open.g6(n int, OUT s text) LANGUAGE plpgsql AS $$ BEGIN s := vault.secret_of(n); END $$ ;; SELECT s FROM open.g6(1)
CREATE FUNCTION open.g7(a text, b text) RETURNS text LANGUAGE sql AS 'SELECT vault.secret_of(1)' ;; CREATE AGGREGATE open.agg (text) (SFUNC = open.g7, STYPE = text) ;; SELECT open.agg(code) FROM vault.wards
CREATE AGGREGATE open.joined (text) (SFUNC = textcat, STYPE = text, INITCOND = '') ;; SELECT open.joined(secret) FROM vault.people
CREATE PROCEDURE open.g8(INOUT s text) LANGUAGE sql AS 'SELECT secret FROM vault.people LIMIT 1' ;; CALL open.g8('')
CREATE TYPE open.box AS (s text) ;; CREATE FUNCTION open.g9(text) RETURNS open.box LANGUAGE sql AS 'SELECT ROW(vault.secret_of(1))::open.box' ;; CREATE CAST (text AS open.box) WITH FUNCTION open.g9(text) ;; SELECT 'x'::text::open.box
CREATE TABLE open.d1 (id int, s text DEFAULT vault.secret_of(1)) ;; INSERT INTO open.d1 (id) VALUES (1) RETURNING s
ALTER TABLE open.notes ADD COLUMN s text DEFAULT vault.secret_of(3) ;; SELECT s FROM open.notes
ALTER TABLE open.notes ALTER COLUMN body TYPE text USING vault.secret_of(1) ;; SELECT body FROM open.notes
ALTER TABLE open.notes ADD CHECK (vault.whisper(1) = 1)
ALTER TABLE open.guesses ADD COLUMN t text GENERATED ALWAYS AS (open.lookup(n)) STORED ;; SELECT t FROM open.guesses
CREATE INDEX ON open.notes (open.lookup(id)) ;; SELECT open.lookup(id) FROM open.notes
CREATE POLICY p ON vault.people USING (secret NOT LIKE 'q0z%') ;; ALTER TABLE vault.people ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY ;; SELECT 'q0' || 'z1' WHERE NOT EXISTS (SELECT FROM vault.people)
CREATE RULE r AS ON INSERT TO open.notes DO INSTEAD INSERT INTO open.guesses (s) SELECT secret FROM vault.people ;; INSERT INTO open.notes VALUES (1) ;; SELECT s FROM open.guesses
CREATE FUNCTION open.t1() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO open.guesses (s) SELECT to_jsonb(n) ->> 'secret' FROM n; RETURN NULL; END $$ ;; CREATE TRIGGER t AFTER UPDATE ON vault.base REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION open.t1() ;; UPDATE vault.base SET id = id ;; SELECT s FROM open.guesses
CREATE FUNCTION open.t2() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.body := to_jsonb(NEW) ->> 'body'; RAISE NOTICE '%', vault.secret_of(1); RETURN NEW; END $$ ;; CREATE TRIGGER t BEFORE INSERT ON open.notes FOR EACH ROW EXECUTE FUNCTION open.t2() ;; INSERT INTO open.notes VALUES (1)
CREATE TRIGGER t BEFORE UPDATE ON vault.base FOR EACH ROW WHEN (OLD.secret LIKE 'q0z%') EXECUTE FUNCTION vault.copy_out() ;; UPDATE vault.base SET id = id
CREATE TRIGGER t BEFORE UPDATE ON open.people FOR EACH ROW EXECUTE FUNCTION vault.copy_out() ;; UPDATE open.people SET secret = v.secret FROM vault.people v ;; UPDATE open.people SET id = id
CREATE EXTENSION hstore SCHEMA open ;; SELECT open.fetchval(open.hstore(p), 'secret'), open.akeys(open.hstore(secret, '')) FROM vault.people p
CREATE EXTENSION citext SCHEMA open ;; SELECT secret::open.citext FROM vault.people
CREATE EXTENSION pg_trgm SCHEMA open ;; SELECT open.show_trgm(secret) || ARRAY[secret], open.similarity(secret, 'q0') FROM vault.people
CREATE EXTENSION tablefunc SCHEMA open ;; SELECT * FROM open.crosstab('SELECT id, 1, secret FROM vault.people ORDER BY 1') AS c (id int, s text)
CREATE EXTENSION ltree SCHEMA open ;; SELECT open.text2ltree(replace(secret, '-', '.')) FROM vault.people
CREATE EXTENSION pgcrypto SCHEMA open ;; SELECT open.dearmor(open.armor(secret::bytea)) FROM vault.people
CREATE EXTENSION fuzzystrmatch SCHEMA open ;; SELECT 'q0z' || n FROM open.guesses, vault.people p WHERE open.levenshtein('q0z' || n || s, p.secret) = 0
CREATE EXTENSION unaccent SCHEMA open ;; SELECT open.unaccent(secret) FROM vault.people
DO $$ DECLARE c CURSOR FOR SELECT secret FROM vault.people; r record; BEGIN FOR r IN c LOOP INSERT INTO open.guesses (s) VALUES (r.secret); END LOOP; END $$ ;; SELECT s FROM open.guesses
DO $$ DECLARE s vault.people.secret%TYPE; BEGIN s := (SELECT min(hidden) FROM vault.plain); PERFORM set_config('a.b', s, false); END $$ ;; SHOW a.b
DO $$ DECLARE s text; BEGIN CALL vault.tell(s); RAISE '%', s; END $$
DO $$ BEGIN ASSERT (SELECT secret FROM vault.people LIMIT 1) IS NULL, (SELECT secret FROM vault.people LIMIT 1); END $$
DO LANGUAGE plpgsql 'BEGIN PERFORM vault.whisper(1); END'
DO $$ DECLARE r vault.people; BEGIN UPDATE vault.people SET name = name WHERE id = 1 RETURNING * INTO r; INSERT INTO open.guesses (s) VALUES (r.secret); END $$ ;; SELECT s FROM open.guesses
DO $$ BEGIN PERFORM 1 FROM vault.people WHERE secret LIKE 'q0z%'; IF FOUND THEN RAISE NOTICE '%', 'q0' || 'z1'; END IF; END $$
DO $$ BEGIN DELETE FROM vault.base WHERE id = 1; INSERT INTO open.guesses (s) SELECT line FROM vault.diary; END $$ ;; SELECT s FROM open.guesses

-- names once more
SET search_path TO DEFAULT; SET search_path = "vault", "open" ;; SELECT secret || '' FROM people
SET LOCAL search_path = vault; SELECT secret || '' FROM people
BEGIN; SET LOCAL search_path = vault; SELECT secret || '' FROM people; COMMIT
SET search_path = open ;; BEGIN; SET search_path = vault; COMMIT; SELECT secret || '' FROM people
SET search_path = vault ;; BEGIN ;; SET search_path = open ;; ROLLBACK ;; SELECT secret || '' FROM people
SET search_path = vault ;; BEGIN ;; SET search_path = open ;; SAVEPOINT s ;; RELEASE s ;; ABORT ;; SELECT 'q0' || 'z1' FROM people WHERE secret LIKE 'q0z%'
SET search_path = vault ;; BEGIN ;; SET LOCAL search_path = open ;; COMMIT AND CHAIN ;; SELECT secret || '' FROM people ;; COMMIT
UPDATE pg_settings SET setting = 'vault' WHERE name = 'search_path' ;; SELECT secret || '' FROM people
DO $$ BEGIN PERFORM set_config('search_path', 'vault', false); END $$ ;; SELECT secret || '' FROM people
CREATE FUNCTION open.s1() RETURNS text LANGUAGE sql AS $$ SELECT set_config('search_path', 'vault', false) $$ ;; SELECT open.s1() ;; SELECT secret || '' FROM people
CREATE FUNCTION open.s2() RETURNS int LANGUAGE sql SET search_path = vault AS 'SELECT 1' ;; SET search_path = open ;; SELECT open.s2() ;; RESET search_path ;; SET search_path = vault ;; SELECT secret || '' FROM people
ALTER ROLE CURRENT_USER SET search_path = vault ;; SET search_path = open ;; RESET ALL ;; SET search_path FROM CURRENT ;; SET SESSION search_path = 'vault' ;; SELECT secret || '' FROM people
SET search_path = vault, open ;; CREATE TABLE open.folk AS SELECT 1 AS id, 'x' AS secret ;; ALTER TABLE open.folk RENAME TO base ;; SELECT secret || '' FROM base
SET search_path = open, vault ;; BEGIN ;; ALTER TABLE open.people RENAME TO folk ;; SELECT secret || '' FROM people ;; ROLLBACK
SET search_path = open, vault ;; DROP TABLE open.people ;; SELECT secret || '' FROM people
SET search_path = open, vault ;; ALTER TABLE open.people SET SCHEMA public; SELECT secret || '' FROM people ;; DROP TABLE public.people
SET search_path = pg_temp, vault ;; SELECT secret || '' FROM people
SET search_path = vault, pg_catalog ;; CREATE VIEW vault.pg_class AS SELECT secret AS relname FROM vault.people ;; SELECT relname FROM pg_class
CREATE FUNCTION vault.upper(text) RETURNS text LANGUAGE sql AS 'SELECT vault.secret_of(1)' ;; SET search_path = vault, pg_catalog ;; SELECT upper('x'::text)
CREATE TABLE open."people ; --" AS SELECT secret AS "a""b" FROM vault.people ;; SELECT "a""b" FROM open."people ; --"
SET client_encoding = 'UTF8' ;; SET client_encoding = 'WIN1252' ;; SELECT secret || '' FROM vault.people
SET quote_all_identifiers = on ;; SELECT secret || '' FROM vault.people
SET backslash_quote = on ;; SET escape_string_warning = off ;; SELECT E'\'', secret || '' FROM vault.people
SET transform_null_equals = on ;; SELECT secret || '' FROM vault.people WHERE secret = NULL OR true
SET IntervalStyle = iso_8601 ;; SET extra_float_digits = 3 ;; SELECT cost, spell FROM vault.kinds
SET session_replication_role = replica ;; SET ROLE NONE ;; RESET SESSION AUTHORIZATION ;; SELECT secret || '' FROM vault.people

-- what lies behind copies, operators and functions; several statements in one message
SELECT string_agg(p.phone || o.phone, '-') FROM vault.people p JOIN open.orders o USING (phone)
SELECT 'q0z' || n FROM open.guesses, open.orders o WHERE o.phone = '+49 q0z' || n || ' 1'
UPDATE open.orders SET item = about ;; SELECT item FROM open.orders
UPDATE open.orders SET person = person RETURNING *
COPY (SELECT found FROM open.cached) TO STDOUT
CREATE TABLE open.clone AS SELECT * FROM open.orders ;; SELECT about, phone, whose FROM open.clone
CREATE VIEW open.vo AS SELECT about AS a FROM open.orders ;; SELECT a FROM open.vo
CREATE FUNCTION open.h1() RETURNS text LANGUAGE sql AS 'SELECT about FROM open.orders LIMIT 1' ;; SELECT open.h1()
DO $$ DECLARE s text; BEGIN INSERT INTO open.orders (id, person) VALUES (61, 2) RETURNING about INTO s; RAISE NOTICE '%', s; INSERT INTO open.guesses VALUES (1, s); END $$ ;; SELECT s FROM open.guesses
CREATE RULE r AS ON INSERT TO open.notes DO ALSO SELECT about FROM open.orders ;; INSERT INTO open.notes VALUES (1)
DELETE FROM open.orders WHERE about LIKE '%q0z_-secret-1' RETURNING 'q0' || 'z1'
DELETE FROM vault.diary RETURNING line
INSERT INTO vault.diary (line) SELECT secret FROM vault.base RETURNING line
MERGE INTO vault.diary d USING vault.diary_copy c ON d.id = c.id WHEN MATCHED THEN UPDATE SET line = c.line || 'x' ;; SELECT upper(line) FROM vault.diary
CREATE OPERATOR open.@#@ (FUNCTION = pg_notify, LEFTARG = text, RIGHTARG = text) ;; LISTEN ch ;; SELECT 'ch' OPERATOR(open.@#@) secret FROM vault.people
CREATE OPERATOR open.@## (FUNCTION = textcat, LEFTARG = text, RIGHTARG = text) ;; SELECT secret OPERATOR(open.@##) '' FROM vault.people
DO $$ BEGIN CREATE OPERATOR open.#@# (FUNCTION = vault.secret_of, RIGHTARG = int); END $$ ;; SELECT OPERATOR(open.#@#) 1
CREATE SCHEMA gone CREATE VIEW v AS SELECT secret FROM vault.people CREATE TABLE t (id int) ;; SELECT secret FROM gone.v
CREATE TEXT SEARCH CONFIGURATION open.c (COPY = simple) ;; SELECT to_tsvector('open.c', secret) FROM vault.people
CREATE TYPE open.r AS RANGE (SUBTYPE = text) ;; SELECT open.r(secret, NULL) FROM vault.people
CREATE STATISTICS open.st ON (upper(secret)), id FROM vault.people ;; ANALYZE vault.people ;; SELECT s.histogram_bounds::text, most_common_vals::text FROM pg_stats_ext_exprs s
SELECT query || '' FROM pg_stat_activity WHERE query LIKE '%q0' || 'z1%' OR 'q0' || 'z1' = (SELECT left(secret, 4) FROM vault.people LIMIT 1) LIMIT 1 ;; SELECT secret || '' FROM vault.people
PREPARE q AS SELECT s FROM open.guesses WHERE n = $1 ;; EXECUTE q ((SELECT 1)) ;; EXECUTE q (vault.whisper(1))
PREPARE q (text) AS SELECT $1 ;; EXECUTE q (vault.secret_of(1))
SELECT vault.secret_of(id) FROM vault.people WHERE vault.secret_of(id) LIKE 'q0z%'
SELECT f.* FROM vault.wards, LATERAL vault.secret_of(1) f
SELECT * FROM ROWS FROM (vault.secret_of(1), vault.atomic_of(2)) AS t (a, b)
SELECT coalesce(NULL, vault.secret_of(1)), CASE WHEN true THEN vault.atomic_of(1) END, ARRAY[vault.secret_of(1)]
VALUES (vault.secret_of(1)), (vault.atomic_of(n => 2))
SELECT 1 ORDER BY (SELECT vault.whisper(1))
SELECT 1 LIMIT vault.whisper(2)
SELECT w.* FROM vault.wards w WHERE vault.hint(w) LIKE 'q0z%' UNION ALL SELECT vault.hint(w) FROM vault.wards w
SELECT row_to_json(r) FROM (SELECT (vault.all_of()).*) r
SELECT a.secret FROM vault.all_of() WITH ORDINALITY a
TRUNCATE vault.log ;; UPDATE vault.people SET name = name WHERE id = 1 ;; SELECT what FROM vault.log
UPDATE ONLY vault.base SET id = id RETURNING secret, *
UPDATE vault.base AS b SET id = 7 FROM vault.heir h WHERE h.id = 2 RETURNING h.secret, b.secret
UPDATE vault.people SET secret = secret || '' WHERE id = 1 RETURNING 'q0' || 'z1'
UPDATE vault.people SET name = DEFAULT
INSERT INTO vault.events SELECT * FROM vault.events RETURNING secret
INSERT INTO vault.events_old VALUES (9, '2024-01-01', (SELECT max(secret) FROM vault.heir))
VACUUM FULL vault.people ;; SELECT secret || '' FROM vault.people
REINDEX TABLE vault.people ;; SELECT phone || '' FROM vault.people
SELECT secret || '' FROM vault.people FOR NO KEY UPDATE ;; SELECT secret || '' FROM vault.people FOR SHARE NOWAIT
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY ;; SELECT secret || '' FROM vault.people ;; ROLLBACK ;; START TRANSACTION ;; SELECT upper(secret) FROM vault.people ;; COMMIT PREPARED 'x'
BEGIN ;; SELECT 1/0 ;; SELECT secret || '' FROM vault.people ;; ROLLBACK; SELECT secret || '' FROM vault.people
SELECT 1; SELECT secret FROM vault.people; SELECT secret || '' FROM vault.people; SELECT 2
SELECT secret FROM vault.people; UPDATE open.notes SET body = 'x' WHERE id = 1; TABLE vault.base
SET vault.x = '1'; SELECT max(secret) FROM vault.people; SHOW vault.x

-- SQL functions called in every way, aggregates, operators, rules and triggers of tables that hold nothing themselves
SELECT * FROM vault.secret_of(2)
SELECT s FROM vault.secret_of(2) AS s
SELECT vault.some_of(1, 2), generate_series(1, 3)
SELECT * FROM vault.some_of(VARIADIC ARRAY[1, 2]) WITH ORDINALITY AS x (a, b)
SELECT upper(vault.some_of(3))
SELECT vault.named_of(), vault.named_of(2), vault.named_of(tail => '!', n := 3)
SELECT * FROM vault.named_of(tail => '')
SELECT vault.card_of(1)
SELECT (vault.card_of(2)).told
SELECT (vault.card_of(3)).*
SELECT * FROM vault.card_of(4)
SELECT c.told FROM vault.people p, LATERAL vault.card_of(p.id) c
SELECT vault.few()
SELECT (vault.few(1)).s, (vault.few(lim => 2)).*
SELECT s FROM vault.few(3)
SELECT (vault.all_of()).*
SELECT ((vault.all_of())).secret
SELECT vault.of_ward(w) FROM vault.wards w
SELECT code FROM vault.wards w WHERE vault.of_ward(w) LIKE 'q0z%' UNION ALL SELECT 'q0' || 'z1' FROM vault.wards w WHERE vault.of_ward(w) LIKE 'q0z%'
SELECT vault.atomic(1), upper(vault.atomic(2))
PREPARE q AS SELECT vault.named_of($1) ;; EXECUTE q (2)
BEGIN ;; DECLARE c CURSOR FOR SELECT vault.few(2) ;; FETCH ALL c ;; COMMIT
COPY (SELECT * FROM vault.card_of(1)) TO STDOUT
EXPLAIN ANALYZE SELECT vault.named_of(1)::int
CREATE VIEW open.vf AS SELECT vault.named_of(1) AS a ;; SELECT a FROM open.vf
CREATE TABLE open.tf AS SELECT * FROM vault.few() ;; SELECT s FROM open.tf
SELECT vault.glue(secret) FROM vault.people
SELECT vault.spill(1)
SELECT vault.spill(id) OVER (ORDER BY id) FROM vault.people WHERE id < 3
SELECT OPERATOR(vault.@>) 3
SET search_path = vault ;; SELECT @> 2
SELECT secret(p), email(p) FROM vault.people p
SELECT secret FROM vault.U&"!0070eople" UESCAPE '!'
SELECT vault.U&"p\0065ople".secret || '' FROM vault.people
SELECT s FROM vault.chain
SELECT upper(s), looped FROM vault.chain
SELECT what FROM open.rung
SELECT to_jsonb(r) FROM open.rung r
INSERT INTO open.bell VALUES (2, 'second') ;; SELECT upper(what) FROM open.rung
UPDATE open.bell SET note = 'x'
DELETE FROM open.bell ;; SELECT what FROM open.rung
COPY open.rung TO STDOUT
INSERT INTO vault.governed VALUES (7, 'x') ;; UPDATE vault.governed SET id = id RETURNING secret ;; SELECT was FROM vault.ruled
