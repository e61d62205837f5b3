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
ANALYZE vault.people, vault.base, vault.heir, vault.events;
