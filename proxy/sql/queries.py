"""The queries by which the worker reads a target's catalog (text format, in this order, on a session of its own).

Each runs on PostgreSQL 13 to 18. Operators and names are qualified, so that no object of the target can take their place.
The first one empties the path: what the later ones print then spells every name of a user's schema in full.
"""

QUERIES: dict[str, str] = {
    "setup": """
        SELECT pg_catalog.set_config('search_path', '', false)
    """,
    "schemas": """
        SELECT n.nspname
        FROM pg_catalog.pg_namespace n
        ORDER BY 1
    """,
    "domains": """
        SELECT t.oid, t.typbasetype
        FROM pg_catalog.pg_type t
        WHERE t.typtype OPERATOR(pg_catalog.=) 'd'
        ORDER BY 1
    """,
    "relations": """
        SELECT c.oid, n.nspname, c.relname, c.relkind, EXISTS (SELECT
        FROM pg_catalog.pg_rewrite r
        WHERE r.ev_class OPERATOR(pg_catalog.=) c.oid
        AND r.rulename OPERATOR(pg_catalog.<>) '_RETURN')
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
        WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f,S}')
        AND n.nspname OPERATOR(pg_catalog.<>) 'pg_toast'
        ORDER BY 1
    """,
    "columns": """
        SELECT a.attrelid, a.attnum, a.attname, a.atttypid, tn.nspname, t.typname,
        pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypmod,
        a.attnotnull, t.typtype, t.typelem, t.typlen,
        (SELECT pg_catalog.concat(pg_catalog.quote_ident(ln.nspname), '.', pg_catalog.quote_ident(l.collname))
        FROM pg_catalog.pg_collation l
        JOIN pg_catalog.pg_namespace ln ON ln.oid OPERATOR(pg_catalog.=) l.collnamespace
        WHERE l.oid OPERATOR(pg_catalog.=) a.attcollation
        AND a.attcollation OPERATOR(pg_catalog.<>) t.typcollation), CASE
        WHEN a.attgenerated OPERATOR(pg_catalog.<>) ''
        THEN (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid)
        FROM pg_catalog.pg_attrdef d
        WHERE d.adrelid OPERATOR(pg_catalog.=) a.attrelid
        AND d.adnum OPERATOR(pg_catalog.=) a.attnum) END
        FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.attrelid
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
        JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
        JOIN pg_catalog.pg_namespace tn ON tn.oid OPERATOR(pg_catalog.=) t.typnamespace
        WHERE a.attnum OPERATOR(pg_catalog.>) 0
        AND NOT a.attisdropped
        AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f,S}')
        AND n.nspname OPERATOR(pg_catalog.<>) 'pg_toast'
        ORDER BY 1, 2
    """,
    "views": """
        SELECT c.oid, pg_catalog.pg_get_viewdef(c.oid)
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
        WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{v,m}')
        AND n.nspname OPERATOR(pg_catalog.<>) ALL ('{pg_catalog,information_schema}')
        ORDER BY 1
    """,
    "inherits": """
        SELECT i.inhrelid, i.inhparent
        FROM pg_catalog.pg_inherits i
        ORDER BY 1, i.inhseqno
    """,
    "unique_indexes": """
        SELECT i.indrelid, i.indisprimary, i.indkey
        FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indrelid
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
        WHERE i.indisunique
        AND n.nspname OPERATOR(pg_catalog.<>) ALL ('{pg_catalog,information_schema,pg_toast}')
        ORDER BY i.indexrelid
    """,
    "triggers": """
        SELECT t.tgrelid, t.tgname, t.tgfoid, pg_catalog.pg_get_triggerdef(t.oid)
        FROM pg_catalog.pg_trigger t
        WHERE NOT t.tgisinternal
        ORDER BY t.oid
    """,
    "cascades": """
        SELECT DISTINCT c.confrelid, c.conrelid
        FROM pg_catalog.pg_constraint c
        WHERE c.contype OPERATOR(pg_catalog.=) 'f'
        AND (c.confdeltype OPERATOR(pg_catalog.=) ANY ('{c,n,d}') OR c.confupdtype OPERATOR(pg_catalog.=) ANY ('{c,n,d}'))
        ORDER BY 1, 2
    """,
    "foreign_keys": """
        SELECT c.conrelid, pg_catalog.array_to_json(c.conkey), c.confrelid, pg_catalog.array_to_json(c.confkey)
        FROM pg_catalog.pg_constraint c
        WHERE c.contype OPERATOR(pg_catalog.=) 'f'
        ORDER BY c.oid
    """,
    "rules": """
        SELECT r.ev_class, pg_catalog.pg_get_ruledef(r.oid)
        FROM pg_catalog.pg_rewrite r
        WHERE r.rulename OPERATOR(pg_catalog.<>) '_RETURN'
        AND r.ev_class OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
        ORDER BY r.oid
    """,
    "defaults": """
        SELECT d.adrelid, d.adnum, pg_catalog.pg_get_expr(d.adbin, d.adrelid)
        FROM pg_catalog.pg_attrdef d
        WHERE EXISTS (SELECT
        FROM pg_catalog.pg_depend p
        WHERE p.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass
        AND p.objid OPERATOR(pg_catalog.=) d.oid
        AND (p.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
        OR p.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_operator'::pg_catalog.regclass))
        ORDER BY 1, 2
    """,
    "functions": """
        SELECT p.oid, n.nspname, p.proname, p.prokind, l.lanname, p.provolatile, p.pronargs, p.pronargdefaults,
        p.provariadic OPERATOR(pg_catalog.<>) 0, p.prosrc, CASE
        WHEN p.prokind OPERATOR(pg_catalog.=) ANY ('{f,p}') AND (l.lanname OPERATOR(pg_catalog.=) 'plpgsql'
        OR (l.lanname OPERATOR(pg_catalog.=) 'sql' AND p.prosrc OPERATOR(pg_catalog.=) ''))
        THEN pg_catalog.pg_get_functiondef(p.oid) END, (SELECT e.extname
        FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_extension e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
        WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
        AND d.objid OPERATOR(pg_catalog.=) p.oid
        AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
        AND d.deptype OPERATOR(pg_catalog.=) 'e'), pg_catalog.array_to_json(p.proargnames), pg_catalog.array_to_json(p.proconfig),
        p.proretset, r.typtype, (SELECT pg_catalog.concat(pg_catalog.quote_ident(tn.nspname), '.', pg_catalog.quote_ident(r.typname))
        FROM pg_catalog.pg_namespace tn
        WHERE tn.oid OPERATOR(pg_catalog.=) r.typnamespace), p.proisstrict, p.prosecdef,
        (SELECT pg_catalog.json_agg(CASE
        WHEN t.typtype OPERATOR(pg_catalog.<>) 'p'
        THEN pg_catalog.concat(pg_catalog.quote_ident(tn.nspname), '.', pg_catalog.quote_ident(t.typname))
        ELSE '' END ORDER BY a.place)
        FROM pg_catalog.unnest(p.proargtypes::pg_catalog.oid[]) WITH ORDINALITY AS a (oid, place)
        JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) a.oid
        JOIN pg_catalog.pg_namespace tn ON tn.oid OPERATOR(pg_catalog.=) t.typnamespace),
        COALESCE((SELECT pg_catalog.json_agg(p.proargnames[a.place] ORDER BY a.place)
        FROM pg_catalog.unnest(p.proargmodes) WITH ORDINALITY AS a (mode, place)
        WHERE a.mode OPERATOR(pg_catalog.=) ANY ('{o,b,t}')), (SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) r.typrelid
        AND r.typrelid OPERATOR(pg_catalog.<>) 0 AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped)),
        COALESCE((SELECT pg_catalog.json_agg(COALESCE(p.proargnames[a.place], '') ORDER BY a.place)
        FROM pg_catalog.unnest(p.proargmodes) WITH ORDINALITY AS a (mode, place)
        WHERE a.mode OPERATOR(pg_catalog.=) ANY ('{i,b,v}')), pg_catalog.to_json(p.proargnames)),
        pg_catalog.pg_get_expr(p.proargdefaults, 0), (SELECT pg_catalog.json_agg(CASE
        WHEN fn.nspname OPERATOR(pg_catalog.=) 'pg_catalog' THEN f.proname::pg_catalog.text
        ELSE f.oid::pg_catalog.text END ORDER BY u.place)
        FROM pg_catalog.pg_aggregate g, pg_catalog.unnest(ARRAY[g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggserialfn,
        g.aggdeserialfn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn]) WITH ORDINALITY AS u (fn, place)
        JOIN pg_catalog.pg_proc f ON f.oid OPERATOR(pg_catalog.=) u.fn
        JOIN pg_catalog.pg_namespace fn ON fn.oid OPERATOR(pg_catalog.=) f.pronamespace
        WHERE g.aggfnoid OPERATOR(pg_catalog.=) p.oid)
        FROM pg_catalog.pg_proc p
        JOIN pg_catalog.pg_type r ON r.oid OPERATOR(pg_catalog.=) p.prorettype
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
        JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
        WHERE n.nspname OPERATOR(pg_catalog.<>) ALL ('{pg_catalog,information_schema}')
        ORDER BY 1
    """,
    "builtins": """
        SELECT p.proname, CASE
        WHEN pg_catalog.bool_or(p.prokind OPERATOR(pg_catalog.=) 'a')
        THEN 'a'
        WHEN pg_catalog.bool_or(p.provolatile OPERATOR(pg_catalog.=) 'v')
        THEN 'v' ELSE 's' END
        FROM pg_catalog.pg_proc p
        WHERE p.pronamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
        GROUP BY 1
        ORDER BY 1
    """,
    "operators": """
        SELECT o.oprname, o.oprcode::pg_catalog.oid, s.nspname, p.pronargs
        FROM pg_catalog.pg_operator o
        JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) o.oprnamespace
        JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) o.oprcode
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
        WHERE n.nspname OPERATOR(pg_catalog.<>) 'pg_catalog'
        ORDER BY o.oid
    """,
    "borrowed_operators": """
        SELECT o.oprname, p.proname, s.nspname, p.pronargs
        FROM pg_catalog.pg_operator o
        JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) o.oprnamespace
        JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) o.oprcode
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
        WHERE n.nspname OPERATOR(pg_catalog.=) 'pg_catalog'
        AND o.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
        ORDER BY o.oid
    """,
    "casts": """
        SELECT t.typname, c.castfunc
        FROM pg_catalog.pg_cast c
        JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) c.casttarget
        JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) c.castfunc
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
        WHERE n.nspname OPERATOR(pg_catalog.<>) 'pg_catalog'
        ORDER BY c.oid
    """,
}
