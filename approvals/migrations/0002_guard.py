"""The database itself refuses an impossible life of a request, a changed question and a changed vote."""

from django.db import migrations

FORWARD = r"""
CREATE FUNCTION approvals_guard_request() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'approval requests are kept' USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'PENDING' THEN
            RAISE EXCEPTION 'an approval request begins as PENDING, not %', NEW.state USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.state IS DISTINCT FROM OLD.state AND NOT (OLD.state || '>' || NEW.state) = ANY (ARRAY[
        'PENDING>APPROVED', 'PENDING>REJECTED', 'PENDING>EXPIRED', 'PENDING>CANCELLED',
        'APPROVED>CONSUMED', 'APPROVED>EXPIRED', 'APPROVED>CANCELLED'
    ]) THEN
        RAISE EXCEPTION 'an approval request that is % cannot become %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    -- Everything but the answer is what was shown; a workflow may be forgotten (set to null), never exchanged.
    IF (to_jsonb(NEW) - ARRAY['state', 'decided_at', 'comment', 'no_approver', 'workflow_id'])
       IS DISTINCT FROM (to_jsonb(OLD) - ARRAY['state', 'decided_at', 'comment', 'no_approver', 'workflow_id'])
       OR (NEW.workflow_id IS DISTINCT FROM OLD.workflow_id AND NEW.workflow_id IS NOT NULL) THEN
        RAISE EXCEPTION 'what an approval request asks for never changes' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER approvals_guard_request BEFORE INSERT OR UPDATE OR DELETE ON approvals_approvalrequest
    FOR EACH ROW EXECUTE FUNCTION approvals_guard_request();

CREATE FUNCTION approvals_guard_vote() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'votes are never changed or removed' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER approvals_guard_vote BEFORE UPDATE OR DELETE ON approvals_vote
    FOR EACH ROW EXECUTE FUNCTION approvals_guard_vote();
CREATE TRIGGER approvals_guard_votes BEFORE TRUNCATE ON approvals_vote
    FOR EACH STATEMENT EXECUTE FUNCTION approvals_guard_vote();
CREATE TRIGGER approvals_guard_requests BEFORE TRUNCATE ON approvals_approvalrequest
    FOR EACH STATEMENT EXECUTE FUNCTION approvals_guard_vote();
"""

BACKWARD = """
DROP TRIGGER approvals_guard_requests ON approvals_approvalrequest;
DROP TRIGGER approvals_guard_votes ON approvals_vote;
DROP TRIGGER approvals_guard_vote ON approvals_vote;
DROP TRIGGER approvals_guard_request ON approvals_approvalrequest;
DROP FUNCTION approvals_guard_vote();
DROP FUNCTION approvals_guard_request();
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
