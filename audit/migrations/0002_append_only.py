"""The ledger's rows are added, never changed: the database refuses it whoever asks.

An entry's leaf index is the one exception: it is set once, from null, when the entry is sealed.
"""

from django.db import migrations

FORWARD = r"""
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % of % is refused', lower(TG_OP), TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION audit_seal_only() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    otherwise record := NEW;
BEGIN
    otherwise.leaf_index := NULL;
    IF OLD.leaf_index IS NULL AND NEW.leaf_index IS NOT NULL AND otherwise IS NOT DISTINCT FROM OLD THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the ledger is append-only: update of % is refused', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER audit_entry_update BEFORE UPDATE ON audit_entry FOR EACH ROW EXECUTE FUNCTION audit_seal_only();
CREATE TRIGGER audit_entry_delete BEFORE DELETE ON audit_entry FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_entry_truncate BEFORE TRUNCATE ON audit_entry FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_checkpoint_rows BEFORE UPDATE OR DELETE ON audit_checkpoint FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_checkpoint_truncate BEFORE TRUNCATE ON audit_checkpoint FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
"""

BACKWARD = """
DROP TRIGGER audit_checkpoint_truncate ON audit_checkpoint;
DROP TRIGGER audit_checkpoint_rows ON audit_checkpoint;
DROP TRIGGER audit_entry_truncate ON audit_entry;
DROP TRIGGER audit_entry_delete ON audit_entry;
DROP TRIGGER audit_entry_update ON audit_entry;
DROP FUNCTION audit_seal_only();
DROP FUNCTION audit_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
