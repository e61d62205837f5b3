-- What the tests of the analysis talk about. Every masked value contains "mrk" and a number; nothing else does.
CREATE SCHEMA crm;
CREATE SCHEMA shop;
CREATE TYPE crm.pair AS (label text, weight int);
CREATE DOMAIN crm.address AS text CHECK (VALUE LIKE '%@%');

CREATE TABLE crm.customers (id int PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, ssn text, phone varchar(20), born date, notes jsonb, city text);
CREATE TABLE crm.orders (id int PRIMARY KEY, customer_id int REFERENCES crm.customers, total numeric(10,2), card text, remark text, placed_at timestamptz DEFAULT now());
CREATE TABLE crm.visits (id int, customer_id int, on_day date NOT NULL, report text) PARTITION BY RANGE (on_day);
CREATE TABLE crm.visits_2024 PARTITION OF crm.visits FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE crm.visits_later PARTITION OF crm.visits DEFAULT;
CREATE TABLE crm.people (id int, ssn text);
CREATE TABLE crm.staff (desk text) INHERITS (crm.people);
CREATE TABLE crm.odd (id int PRIMARY KEY, mail crm.address NOT NULL, shout text GENERATED ALWAYS AS (upper(mail::text)) STORED,
    tags text[], pair crm.pair, "Odd Name" text, code char(8));
CREATE TABLE crm.log (id serial, entry text, at timestamptz DEFAULT now());
CREATE TABLE shop.items (id int PRIMARY KEY, code text UNIQUE, title text, kind text, cost numeric(8,2), props jsonb);
CREATE TABLE shop.notes (id int, body text);
CREATE TABLE shop.partners (id int PRIMARY KEY, email text, phone text);       -- sensitive-looking names, harmless content
CREATE TABLE shop.ruled (id int);
CREATE TABLE public.customers (id int PRIMARY KEY, label text);                -- harmless namesake

INSERT INTO crm.customers
SELECT i, 'Name ' || i, 'mrk' || i || '@mail.example', 'mrk-ssn-' || i, 'mrk-ph-' || i, date '1950-01-01' + i, jsonb_build_object('plan', 'mrk plan ' || i), 'City ' || i % 3
FROM generate_series(1, 12) i;
INSERT INTO crm.orders SELECT i, i % 12 + 1, i * 1.5, 'mrk-card-' || i, 'mrk remark ' || i FROM generate_series(1, 20) i;
INSERT INTO crm.visits SELECT i, i, date '2024-06-01' + i * 40, 'mrk report ' || i FROM generate_series(1, 12) i;
INSERT INTO crm.people VALUES (1, 'mrk-p-1');
INSERT INTO crm.staff VALUES (2, 'mrk-p-2', 'left');
INSERT INTO crm.odd (id, mail, tags, pair, "Odd Name", code)
SELECT i, 'mrk' || i || '@odd.example', ARRAY['mrk' || i], ROW('mrk' || i, i)::crm.pair, 'mrk odd ' || i, 'mrk' || i FROM generate_series(1, 5) i;
INSERT INTO shop.items SELECT i, 'IT-' || i, 'Item ' || i, (ARRAY['linen','tools','food'])[i % 3 + 1], i * 1.25, jsonb_build_object('size', i % 5) FROM generate_series(1, 30) i;
INSERT INTO shop.notes SELECT i, 'note ' || i FROM generate_series(1, 10) i;
INSERT INTO shop.partners SELECT i, 'box ' || i, 'ring ' || i FROM generate_series(1, 4) i;
INSERT INTO public.customers SELECT i, 'bed ' || i FROM generate_series(1, 9) i;

CREATE VIEW crm.v_plain AS SELECT id, name, phone AS reach FROM crm.customers;
CREATE VIEW crm.v_line AS SELECT v.id, v.name || ': ' || o.card AS line, o.total FROM crm.v_plain v JOIN crm.orders o ON o.customer_id = v.id;
CREATE VIEW crm.v_where AS SELECT id, city FROM crm.customers WHERE email LIKE 'mrk1%';
CREATE VIEW crm.v_sum AS SELECT c.city, count(*) AS n, sum(o.total) AS total FROM crm.customers c JOIN crm.orders o ON o.customer_id = c.id GROUP BY c.city;
CREATE VIEW crm.v_union AS SELECT id, title AS text FROM shop.items UNION ALL SELECT id, email FROM crm.customers;
CREATE MATERIALIZED VIEW crm.m_copy AS SELECT id, ssn AS number, md5(email) AS digest, city FROM crm.customers;

CREATE FUNCTION crm.email_of(int) RETURNS text LANGUAGE sql STABLE AS $$ SELECT email FROM crm.customers WHERE id = $1 $$;
CREATE FUNCTION crm.email_twice(i int) RETURNS text LANGUAGE sql STABLE AS $$ SELECT crm.email_of(i) || crm.email_of(i) $$;
CREATE FUNCTION crm.city_of(i int) RETURNS text LANGUAGE sql STABLE AS $$ SELECT city FROM crm.customers WHERE id = i $$;
CREATE FUNCTION crm.everyone() RETURNS SETOF crm.customers LANGUAGE sql STABLE AS $$ SELECT * FROM crm.customers $$;
CREATE FUNCTION crm.email_pl(i int) RETURNS text LANGUAGE plpgsql AS $$ DECLARE e text; BEGIN SELECT email INTO e FROM crm.customers WHERE id = i; RETURN e; END $$;
CREATE FUNCTION crm.by_name(t text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE e text; BEGIN EXECUTE 'SELECT ' || t INTO e; RETURN e; END $$;
CREATE FUNCTION shop.count_items() RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT count(*) FROM shop.items); END $$;
CREATE FUNCTION shop.clear_notes() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DELETE FROM shop.notes; END $$;
CREATE FUNCTION crm.leaky(text, text) RETURNS text LANGUAGE sql AS $$ SELECT email FROM crm.customers LIMIT 1 $$;
CREATE OPERATOR crm.#+# (leftarg = text, rightarg = text, function = crm.leaky);
CREATE VIEW crm.v_function AS SELECT id, crm.email_of(id) AS e FROM crm.customers;

CREATE FUNCTION crm.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO crm.log(entry) VALUES (row_to_json(OLD)::text); RETURN NEW; END $$;
CREATE TRIGGER keep AFTER UPDATE ON crm.customers FOR EACH ROW EXECUTE FUNCTION crm.keep();
UPDATE crm.customers SET city = city WHERE id < 4;
CREATE RULE also AS ON INSERT TO shop.ruled DO ALSO INSERT INTO shop.notes VALUES (0, 'ruled');
CREATE VIEW crm.v_names AS SELECT id, name FROM crm.customers;
CREATE VIEW crm.v_few_names AS SELECT id, name FROM crm.v_names WHERE id < 3;
CREATE VIEW crm.v_number AS SELECT id, (ssn::int + 1)::text AS number FROM crm.customers;
CREATE VIEW crm.v_told AS SELECT id, crm.by_name('1') AS told FROM shop.items;
CREATE TABLE shop.refers (id int, email text REFERENCES crm.customers (email), who text DEFAULT crm.email_of(1), n int DEFAULT 1);
CREATE OPERATOR shop.!? (leftarg = tsquery, rightarg = text, function = ts_rewrite);
ANALYZE crm.customers, crm.orders, shop.items;
CREATE FUNCTION crm.emails_in(text) RETURNS SETOF text LANGUAGE sql STABLE AS $$ SELECT email FROM crm.customers WHERE city = $1 ORDER BY id $$;
CREATE FUNCTION crm.contacts(wanted text, lowest int) RETURNS TABLE (id int, mail text) LANGUAGE sql STABLE STRICT AS $$
    SELECT c.id, c.email FROM crm.customers c WHERE c.city = wanted AND c.id >= contacts.lowest ORDER BY c.id -- by number
$$;
CREATE FUNCTION crm.email_atomic(n int) RETURNS text LANGUAGE sql STABLE BEGIN ATOMIC SELECT email FROM crm.customers WHERE id = n; END;
CREATE FUNCTION crm.email_return(n int) RETURNS varchar LANGUAGE sql STABLE STRICT RETURN (SELECT email FROM crm.customers WHERE id = n);
CREATE FUNCTION crm.with_mail(text DEFAULT 'x') RETURNS bigint LANGUAGE sql AS $$ SELECT count(email) FROM crm.customers WHERE email > $1 $$;
CREATE FUNCTION crm.owners_email(int) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT email FROM crm.customers WHERE id = $1 $$;
CREATE FUNCTION crm.two_steps(int) RETURNS text LANGUAGE sql AS $$ SELECT 1; SELECT email FROM crm.customers WHERE id = $1 $$;
-- SQL functions called in every way that there is
CREATE TABLE crm.cities (name text); INSERT INTO crm.cities SELECT DISTINCT city FROM crm.customers;
CREATE FUNCTION crm.person(IN i int, OUT mail text, OUT city text) LANGUAGE sql STABLE AS 'SELECT email, c.city FROM crm.customers c WHERE id = i';
CREATE FUNCTION crm.some_emails(VARIADIC ids int[]) RETURNS SETOF text LANGUAGE sql AS 'SELECT email FROM crm.customers WHERE id = ANY (ids) ORDER BY 1';
CREATE FUNCTION crm.greeting(i int, start text DEFAULT 'Hello, ', ending text DEFAULT '!') RETURNS text LANGUAGE sql
    AS 'SELECT start || email || ending FROM crm.customers WHERE id = greeting.i';
CREATE FUNCTION crm.mail_there(c crm.cities) RETURNS text LANGUAGE sql AS 'SELECT min(email) FROM crm.customers WHERE city = $1.name AND city = c.name';
CREATE FUNCTION crm.atomic(return int) RETURNS text LANGUAGE sql RETURN (SELECT email FROM crm.customers WHERE id = return);
CREATE AGGREGATE shop.product (numeric) (SFUNC = numeric_mul, STYPE = numeric, INITCOND = 1);
CREATE AGGREGATE shop.gathered (text) (SFUNC = crm.leaky, STYPE = text);
CREATE OPERATOR shop.@> (RIGHTARG = int, FUNCTION = crm.email_of);
CREATE VIEW shop.clearing AS SELECT shop.clear_notes() IS NULL AS done;
CREATE MATERIALIZED VIEW shop.cleared AS SELECT 1 AS one FROM shop.clearing WITH NO DATA;
CREATE RULE never AS ON DELETE TO shop.ruled DO INSTEAD (DELETE FROM shop.notes; NOTIFY gone);
CREATE TABLE crm.told (id int); CREATE RULE tells AS ON UPDATE TO crm.told DO ALSO SELECT email FROM crm.customers WHERE id = old.id;
CREATE VIEW crm.tree AS WITH RECURSIVE t (id, mail) AS (SELECT id, email FROM crm.customers WHERE id = 1 UNION ALL
    SELECT c.id, c.email FROM crm.customers c JOIN t ON c.id = t.id + 1) CYCLE id SET looped TO 'y' DEFAULT 'n' USING way SELECT id, mail, looped FROM t;
CREATE TYPE shop.span AS RANGE (SUBTYPE = float8);
