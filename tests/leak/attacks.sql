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
ALTER TABLE vault.base ALTER COLUMN secret TYPE int USING secret::int
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
