-- A vault whose secrets all hold "q0z1" (numbers: 71307.31, dates: 1871-03-07), and what a careless owner built around it.
CREATE SCHEMA vault;
CREATE SCHEMA open;
CREATE TYPE vault.mood AS ENUM ('q0z1-calm', 'q0z1-tense');
CREATE TYPE vault.address AS (street text, city text);
CREATE DOMAIN vault.mailbox AS text CHECK (VALUE LIKE '%@%');
CREATE TABLE vault.wards (code text PRIMARY KEY);
INSERT INTO vault.wards VALUES ('north'), ('south'), ('west');
CREATE TABLE vault.people (
    id int PRIMARY KEY, name text NOT NULL, secret text NOT NULL, email vault.mailbox, phone varchar(20) UNIQUE, note jsonb, tags text[],
    mood vault.mood, home vault.address, born date, pay numeric(10, 2), raw bytea, token text,
    loud text GENERATED ALWAYS AS (upper(secret)) STORED,
    ward text NOT NULL DEFAULT 'north' REFERENCES vault.wards ON DELETE SET NULL ON UPDATE CASCADE
);
INSERT INTO vault.people (id, name, secret, email, phone, note, tags, mood, home, born, pay, raw, token)
    SELECT n, 'Person ' || n, 'q0z1-secret-' || n, 'q0z1.' || n || '@post.example', '+49 q0z1 ' || n,
           jsonb_build_object('plan', jsonb_build_array('q0z1-note-' || n), 'level', n), ARRAY['q0z1-tag-' || n, 'b'],
           (ARRAY['q0z1-calm', 'q0z1-tense'])[n % 2 + 1]::vault.mood, ROW('q0z1 street ' || n, 'Town')::vault.address,
           '1871-03-07', 71307.31, convert_to('q0z1-raw-' || n, 'UTF8'), 'q0z1-token-' || n
    FROM generate_series(1, 9) n;
UPDATE vault.people SET ward = 'west' WHERE id > 8;
CREATE TABLE vault.base (id int, secret text);
CREATE TABLE vault.heir (extra text) INHERITS (vault.base);
INSERT INTO vault.base VALUES (1, 'q0z1-base'); INSERT INTO vault.heir VALUES (2, 'q0z1-heir', 'x');
CREATE TABLE vault.events (id int, day date, secret text) PARTITION BY RANGE (day);
CREATE TABLE vault.events_old PARTITION OF vault.events FOR VALUES FROM ('2000-01-01') TO ('2020-01-01');
CREATE TABLE vault.events_new PARTITION OF vault.events DEFAULT;
INSERT INTO vault.events VALUES (1, '2010-01-01', 'q0z1-old'), (2, '2024-01-01', 'q0z1-new');
CREATE TABLE vault.log (id serial, what text, at timestamptz DEFAULT now());
CREATE FUNCTION vault.copy_out() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO vault.log (what) VALUES ('changed ' || OLD.secret); RAISE NOTICE 'changing %', OLD.secret; RETURN NEW; END $$;
CREATE TRIGGER copied BEFORE UPDATE ON vault.people FOR EACH ROW EXECUTE FUNCTION vault.copy_out();
UPDATE vault.people SET name = name WHERE id = 9;
CREATE VIEW vault.plain AS SELECT id, name, secret AS hidden FROM vault.people;
CREATE VIEW vault.over AS SELECT id, reverse(hidden) AS turned, length(hidden) AS long FROM vault.plain;
CREATE VIEW vault.chosen AS SELECT id FROM vault.people WHERE secret LIKE 'q0z1%1';
CREATE MATERIALIZED VIEW vault.kept AS SELECT id, secret AS hidden, home FROM vault.people;
CREATE MATERIALIZED VIEW vault.cast_up AS SELECT id, CASE WHEN id > 100 THEN secret::int END AS number FROM vault.people;
CREATE FUNCTION vault.secret_of(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT secret FROM vault.people WHERE id = $1';
CREATE FUNCTION vault.atomic_of(n int) RETURNS text LANGUAGE sql STABLE BEGIN ATOMIC SELECT secret FROM vault.people WHERE id = n; END;
CREATE FUNCTION vault.all_of() RETURNS SETOF vault.people LANGUAGE sql STABLE AS 'SELECT * FROM vault.people';
CREATE FUNCTION vault.run(q text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE q; END $$;
CREATE FUNCTION vault.whisper(int) RETURNS int LANGUAGE plpgsql AS $$
    DECLARE s text; BEGIN SELECT secret INTO s FROM vault.people WHERE id = $1; RAISE NOTICE '%', s; RETURN 1; END $$;
CREATE FUNCTION vault.cursor_of() RETURNS refcursor LANGUAGE plpgsql AS $$
    DECLARE c refcursor := 'told'; BEGIN OPEN c FOR SELECT secret FROM vault.people; RETURN c; END $$;
CREATE PROCEDURE vault.tell(INOUT s text) LANGUAGE plpgsql AS $$ BEGIN SELECT secret INTO s FROM vault.people LIMIT 1; END $$;
CREATE FUNCTION vault.hint(vault.wards) RETURNS text LANGUAGE sql STABLE AS 'SELECT secret FROM vault.people LIMIT 1';
CREATE TABLE open.people (id int PRIMARY KEY, name text, secret text);  -- a harmless namesake
INSERT INTO open.people SELECT n, 'Thing ' || n, 'nothing ' || n FROM generate_series(1, 9) n;
CREATE TABLE open.notes (id int, body text, n int);
INSERT INTO open.notes SELECT n, 'note ' || n, n FROM generate_series(1, 20) n;
CREATE STATISTICS vault.both ON secret, token FROM vault.people;
-- every kind of type
CREATE TABLE vault.kinds (
    id int PRIMARY KEY, label char(16), title name, page xml, words tsvector, asked tsquery, plan json, cost float8, price money, spell interval,
    stay daterange, stays datemultirange, amounts numrange, at timestamp, seen timestamptz, big int8, ref uuid, spot point, lines text[],
    homes vault.address[], moods vault.mood[], EXCLUDE USING gist (stay WITH &&)
);
INSERT INTO vault.kinds VALUES (
    1, 'q0z1-label', 'q0z1-title', '<a b="q0z1">q0z1-page</a>', 'q0z1-words', 'q0z1 & asked', '{"q0z1": ["q0z1-plan"]}', 71307.31, 71307.31,
    '71307.31 seconds', '[1871-03-07,1871-03-09)', '{[1871-03-07,1871-03-09)}', '[71307.31,71308)', '1871-03-07 12:00', '1871-03-07 12:00+00', 7130731,
    '71307a31-0000-4000-8000-000000000001', '(71307.31,1)', '{{q0z1-line,a},{b,c}}', ARRAY[ROW('q0z1 lane', 'Town')::vault.address],
    '{q0z1-calm,q0z1-tense}'
);
-- views of all sorts
CREATE VIEW vault.names AS SELECT id, name FROM vault.people;
CREATE VIEW vault.few_names AS SELECT id, name FROM vault.names WHERE id < 3 WITH CASCADED CHECK OPTION;
CREATE VIEW vault.numbers AS SELECT id, (secret::int + 1)::text AS number FROM vault.people;
CREATE VIEW vault.guarded WITH (security_barrier) AS SELECT id, name, secret AS held FROM vault.people WHERE id < 5;
CREATE VIEW vault.deep1 AS SELECT p AS whole FROM vault.people p;
CREATE VIEW vault.deep2 AS SELECT (whole).secret AS s, (whole).id AS n FROM vault.deep1;
CREATE VIEW vault.deep3 (k, v) AS SELECT n, s || '' FROM vault.deep2 UNION ALL SELECT id, secret FROM vault.base;
CREATE VIEW vault.deep4 AS WITH d AS (SELECT * FROM vault.deep3) SELECT d.v AS "Vä l", d.k FROM d JOIN vault.wards ON true WHERE code = 'north';
CREATE VIEW vault.deep5 AS SELECT max("Vä l") OVER (PARTITION BY k) AS "max", k FROM vault.deep4;
CREATE VIEW vault.told AS SELECT code, r.r AS told FROM vault.wards, vault.run('SELECT secret FROM vault.' || 'people') r;
CREATE VIEW vault.paper AS SELECT code, query_to_xml('SELECT secret FROM vault.people', true, true, '') AS page FROM vault.wards;
CREATE VIEW vault.guess AS SELECT tablename, concat(most_common_vals, histogram_bounds) AS seen FROM pg_stats WHERE schemaname = 'vault';
CREATE VIEW vault.changed AS SELECT id, name, secret FROM vault.base JOIN vault.names USING (id);
-- code that fetches secrets into tables that nobody masks
CREATE OPERATOR vault.### (FUNCTION = vault.secret_of, RIGHTARG = int);
CREATE TABLE vault.diary (id serial, line text);
CREATE FUNCTION vault.note_down(t text) RETURNS void LANGUAGE sql AS 'INSERT INTO vault.diary (line) VALUES (t)';
CREATE TABLE vault.diary_copy (id int, line text);
CREATE FUNCTION vault.copy_on() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO vault.diary_copy VALUES (NEW.id, NEW.line); RETURN NULL; END $$;
CREATE TRIGGER copied_on AFTER INSERT ON vault.diary FOR EACH ROW EXECUTE FUNCTION vault.copy_on();
CREATE FUNCTION vault.at_the_end() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM vault.note_down(OLD.secret); RAISE NOTICE 'at the end %', OLD.secret; IF NEW.id > 900 THEN RAISE '% is out', OLD.secret; END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON vault.base DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION vault.at_the_end();
UPDATE vault.base SET id = id;
CREATE TABLE vault.ruled (id int, was text);
CREATE TABLE vault.governed (id int, secret text);
INSERT INTO vault.governed VALUES (1, 'q0z1-governed');
CREATE RULE kept AS ON UPDATE TO vault.governed DO ALSO INSERT INTO vault.ruled VALUES (OLD.id, OLD.secret);
UPDATE vault.governed SET id = id;
CREATE FUNCTION open.fill() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN SELECT 'about ' || secret INTO NEW.about FROM vault.people WHERE id = NEW.person; NEW.seen := 1; RETURN NEW; END $$;
CREATE TABLE open.orders (
    id int PRIMARY KEY, person int, about text, seen int, phone varchar(20) REFERENCES vault.people (phone) ON UPDATE CASCADE, item text,
    whose text DEFAULT vault.secret_of(2)
);
CREATE TRIGGER filled BEFORE INSERT ON open.orders FOR EACH ROW EXECUTE FUNCTION open.fill();
INSERT INTO open.orders (id, person, phone, item) SELECT id, id, phone, 'thing ' || id FROM vault.people WHERE id < 4;
CREATE FUNCTION open.lookup(int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT vault.secret_of($1)';
CREATE TABLE open.cached (id int, found text GENERATED ALWAYS AS (open.lookup(id)) STORED);
INSERT INTO open.cached VALUES (1);
CREATE TABLE open.bell (id int, note text);
CREATE TABLE open.rung (id int, what text, how text, note text);
CREATE FUNCTION open.ring() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO open.rung VALUES (NEW.id, (SELECT secret FROM vault.people WHERE id = NEW.id), TG_OP, NEW.note); RETURN NEW; END $$;
CREATE TRIGGER rings AFTER INSERT ON open.bell FOR EACH ROW EXECUTE FUNCTION open.ring();
INSERT INTO open.bell VALUES (1, 'first');
CREATE RULE tells AS ON UPDATE TO open.bell DO ALSO SELECT secret FROM vault.people;
CREATE RULE fetches AS ON DELETE TO open.bell DO INSTEAD INSERT INTO open.rung SELECT id, secret FROM vault.people;
-- functions in SQL that are called in every way
CREATE FUNCTION vault.some_of(VARIADIC ids int[]) RETURNS SETOF text LANGUAGE sql AS 'SELECT secret FROM vault.people WHERE id = ANY (ids)';
CREATE FUNCTION vault.named_of(n int DEFAULT 1, tail text DEFAULT '') RETURNS text LANGUAGE sql AS 'SELECT secret || tail FROM vault.people WHERE id = n';
CREATE FUNCTION vault.card_of(IN n int, OUT name text, OUT told text) LANGUAGE sql AS 'SELECT p.name, p.secret FROM vault.people p WHERE p.id = n';
CREATE FUNCTION vault.few(lim int DEFAULT 2) RETURNS TABLE (n int, s text) LANGUAGE sql AS 'SELECT id, secret FROM vault.people ORDER BY id LIMIT lim';
CREATE FUNCTION vault.of_ward(vault.wards) RETURNS text LANGUAGE sql AS 'SELECT min(secret) FROM vault.people WHERE ward = $1.code';
CREATE FUNCTION vault.atomic(n int) RETURNS text LANGUAGE sql RETURN (SELECT secret FROM vault.people WHERE id = n);
CREATE AGGREGATE vault.glue (text) (SFUNC = textcat, STYPE = text, INITCOND = '');
CREATE AGGREGATE vault.spill (int) (SFUNC = int4pl, STYPE = int, FINALFUNC = vault.secret_of, INITCOND = 0);
CREATE OPERATOR vault.@> (RIGHTARG = int, FUNCTION = vault.secret_of);
CREATE VIEW vault.chain AS WITH RECURSIVE t (id, s) AS (SELECT id, secret FROM vault.people WHERE id = 1 UNION ALL
    SELECT p.id, p.secret FROM vault.people p JOIN t ON p.id = t.id + 1) SEARCH DEPTH FIRST BY id SET o
    CYCLE id SET looped TO 'y' DEFAULT 'n' USING way SELECT id, s, looped FROM t ORDER BY o;
CREATE TABLE open.guesses (n int, s text);  -- 'q0z' || n || s is tried
INSERT INTO open.guesses SELECT n, '-secret-1' FROM generate_series(0, 9) n;
ANALYZE vault.people, vault.base, vault.heir, vault.events, vault.kinds;
