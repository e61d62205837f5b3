"""What a request shows of its effect, and every way to a yes besides votes; the database guards what must not change."""

import re
from importlib import import_module

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


def into_columns(apps, schema_editor):
    """What a workflow said in JSON about approving by itself and asking more people."""
    workflows = apps.get_model("approvals", "Workflow")
    groups, users = apps.get_model("auth", "Group"), apps.get_model("controlplane", "User")
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    for workflow in workflows.objects.all():
        auto, escalate = workflow.auto_approve or {}, workflow.escalate or {}
        rows = auto.get("affected_rows", {}).get("at_most")
        if auto.get("actions") and rows is not None:
            workflow.auto_approve_actions, workflow.auto_approve_rows = sorted(set(auto["actions"])), rows
        found = re.fullmatch(r"(\d+)([a-z]+)", escalate.get("after", ""))
        if found:
            to = escalate.get("to", {})
            workflow.escalate_after = max(1, int(int(found[1]) * units[found[2]]))
            workflow.escalate_groups.set(groups.objects.filter(name__in=to.get("groups", [])))
            workflow.escalate_users.set(users.objects.filter(username__in=to.get("users", [])))
        workflow.save()


FORWARD = r"""
CREATE OR REPLACE FUNCTION approvals_guard_request() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    answer CONSTANT text[] := ARRAY['state', 'decided_at', 'comment', 'no_approver', 'workflow_id', 'way', 'escalated_at'];
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
    IF (to_jsonb(NEW) - answer) IS DISTINCT FROM (to_jsonb(OLD) - answer)
       OR (NEW.workflow_id IS DISTINCT FROM OLD.workflow_id AND NEW.workflow_id IS NOT NULL) THEN
        RAISE EXCEPTION 'what an approval request asks for never changes' USING ERRCODE = 'check_violation';
    END IF;
    -- By which way it was approved is said once, with the approval; that more people were asked is said once.
    IF (NEW.way IS DISTINCT FROM OLD.way AND NOT (OLD.state = 'PENDING' AND NEW.state = 'APPROVED'))
       OR (NEW.escalated_at IS DISTINCT FROM OLD.escalated_at AND (OLD.escalated_at IS NOT NULL OR OLD.state <> 'PENDING')) THEN
        RAISE EXCEPTION 'how an approval request was answered never changes' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION approvals_guard_glass() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    review CONSTANT text[] := ARRAY['reviewed_by_id', 'reviewed_at', 'review'];
BEGIN
    IF TG_OP <> 'UPDATE' OR OLD.reviewed_at IS NOT NULL OR (to_jsonb(NEW) - review) IS DISTINCT FROM (to_jsonb(OLD) - review) THEN
        RAISE EXCEPTION 'broken glass is reviewed once, and nothing else of it changes' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.reviewed_by_id = NEW.user_id THEN
        RAISE EXCEPTION 'nobody reviews what they did themselves' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_guard_glass BEFORE UPDATE OR DELETE ON approvals_breakglass
    FOR EACH ROW EXECUTE FUNCTION approvals_guard_glass();
CREATE TRIGGER approvals_guard_glasses BEFORE TRUNCATE ON approvals_breakglass
    FOR EACH STATEMENT EXECUTE FUNCTION approvals_guard_vote();

CREATE FUNCTION approvals_guard_shape() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    life CONSTANT text[] := ARRAY['uses', 'revoked_at', 'revoked_by', 'workflow_id'];
BEGIN
    IF TG_OP <> 'UPDATE' OR (to_jsonb(NEW) - life) IS DISTINCT FROM (to_jsonb(OLD) - life)
       OR (NEW.workflow_id IS DISTINCT FROM OLD.workflow_id AND NEW.workflow_id IS NOT NULL) THEN
        RAISE EXCEPTION 'what an approval of a shape covers never changes' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.uses NOT IN (OLD.uses, OLD.uses + 1) OR (OLD.revoked_at IS NOT NULL AND NEW IS DISTINCT FROM OLD
       AND NEW.workflow_id IS NOT DISTINCT FROM OLD.workflow_id) THEN
        RAISE EXCEPTION 'an approval of a shape is used one run at a time, and ends when it is revoked' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_guard_shape BEFORE UPDATE OR DELETE ON approvals_shapeapproval
    FOR EACH ROW EXECUTE FUNCTION approvals_guard_shape();
CREATE TRIGGER approvals_guard_shapes BEFORE TRUNCATE ON approvals_shapeapproval
    FOR EACH STATEMENT EXECUTE FUNCTION approvals_guard_vote();
"""

BEFORE = import_module("approvals.migrations.0002_guard").FORWARD.partition("$$;")[0].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
BACKWARD = f"""{BEFORE}$$;
DROP FUNCTION approvals_guard_shape() CASCADE;
DROP FUNCTION approvals_guard_glass() CASCADE;
DROP TRIGGER IF EXISTS approvals_guard_glasses ON approvals_breakglass;
DROP TRIGGER IF EXISTS approvals_guard_shapes ON approvals_shapeapproval;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0003_step_up'),
        ('auth', '0012_alter_user_first_name_max_length'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='BreakGlass',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.TextField()),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('reviewed_at', models.DateTimeField(null=True)),
                ('review', models.TextField(blank=True)),
            ],
            options={
                'verbose_name_plural': 'broken glass',
                'ordering': ['-at', '-id'],
            },
        ),
        migrations.CreateModel(
            name='ShapeApproval',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('shape', models.CharField(max_length=64)),
                ('subject', models.CharField(max_length=255)),
                ('connection', models.CharField(max_length=255)),
                ('free', django.contrib.postgres.fields.ArrayField(base_field=models.PositiveIntegerField(), default=list, help_text='The places whose values may differ.', size=None)),
                ('bound', models.BigIntegerField(help_text='Rows that each run may change at most.', null=True)),
                ('granted_by', models.CharField(max_length=500)),
                ('granted_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('expires_at', models.DateTimeField()),
                ('limit', models.PositiveIntegerField()),
                ('uses', models.PositiveIntegerField(default=0)),
                ('revoked_at', models.DateTimeField(null=True)),
                ('revoked_by', models.CharField(blank=True, max_length=150)),
            ],
            options={
                'ordering': ['-granted_at', 'id'],
            },
        ),
        migrations.RemoveConstraint(
            model_name='delivery',
            name='one_delivery_per_approver',
        ),
        migrations.AddField(
            model_name='approvalrequest',
            name='bound',
            field=models.BigIntegerField(help_text='Rows that it may change at most; if it changes more, it is undone.', null=True),
        ),
        migrations.AddField(
            model_name='approvalrequest',
            name='escalated_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='approvalrequest',
            name='normalised',
            field=models.TextField(blank=True, help_text='The statement with its constants replaced by $n.'),
        ),
        migrations.AddField(
            model_name='approvalrequest',
            name='places',
            field=models.JSONField(default=list, help_text='Where values stand in it (places.py), for those that may run with others.'),
        ),
        migrations.AddField(
            model_name='approvalrequest',
            name='preview',
            field=models.JSONField(help_text='What the statement would do, as the worker found out without running it.', null=True),
        ),
        migrations.AddField(
            model_name='approvalrequest',
            name='shape',
            field=models.CharField(blank=True, help_text='What statements share that differ in values only; empty: values matter.', max_length=64),
        ),
        migrations.AddField(
            model_name='approvalrequest',
            name='way',
            field=models.CharField(blank=True, choices=[('policy', 'by the policy'), ('break_glass', 'by breaking glass'), ('shape', 'by an approval of its shape')], help_text='How it was approved, where not by votes.', max_length=11),
        ),
        migrations.AddField(
            model_name='delivery',
            name='kind',
            field=models.CharField(choices=[('asked', 'an answer is needed'), ('escalated', 'an answer is still needed'), ('alarm', 'somebody broke glass')], default='asked', max_length=9),
        ),
        migrations.AddField(
            model_name='vote',
            name='shape_free',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.PositiveIntegerField(), default=list, help_text='And in which places with any value.', size=None),
        ),
        migrations.AddField(
            model_name='vote',
            name='shape_runs',
            field=models.PositiveIntegerField(help_text='And how many times.', null=True),
        ),
        migrations.AddField(
            model_name='vote',
            name='shape_seconds',
            field=models.PositiveIntegerField(help_text="For how long this person lets the statement's shape pass, too.", null=True),
        ),
        migrations.AddField(
            model_name='workflow',
            name='auto_approve_actions',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=20), blank=True, default=list, help_text='Statements that do nothing but this, separated by commas, are approved at once if they change few enough rows.', size=None),
        ),
        migrations.AddField(
            model_name='workflow',
            name='auto_approve_rows',
            field=models.PositiveBigIntegerField(blank=True, help_text='As counted before; a statement whose rows cannot be counted waits for a person. Empty: nothing is approved by itself.', null=True, verbose_name='auto approve up to (rows)'),
        ),
        migrations.AddField(
            model_name='workflow',
            name='break_glass_groups',
            field=models.ManyToManyField(blank=True, help_text='In an emergency each of these people may approve alone, with a reason. Everybody hears of it, and it is reviewed.', related_name='break_glass_workflows', to='auth.group'),
        ),
        migrations.AddField(
            model_name='workflow',
            name='break_glass_users',
            field=models.ManyToManyField(blank=True, related_name='break_glass_workflows', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='workflow',
            name='escalate_after',
            field=models.PositiveIntegerField(blank=True, help_text='Seconds after which a request that still waits is shown to more people, who may then decide. Empty: never.', null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='escalate after (s)'),
        ),
        migrations.AddField(
            model_name='workflow',
            name='escalate_groups',
            field=models.ManyToManyField(blank=True, related_name='escalation_workflows', to='auth.group'),
        ),
        migrations.AddField(
            model_name='workflow',
            name='escalate_users',
            field=models.ManyToManyField(blank=True, related_name='escalation_workflows', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='workflow',
            name='exclude_owner',
            field=models.BooleanField(default=False, help_text='The person who answers for the subject may not say yes to what it asks. Whoever asked never may.', verbose_name='owner never approves'),
        ),
        migrations.AddField(
            model_name='workflow',
            name='shapes',
            field=models.BooleanField(default=False, help_text='Approvers may let a statement run again, also with other values, for a time and up to a number of runs.', verbose_name='approve shapes'),
        ),
        migrations.AlterField(
            model_name='delivery',
            name='user',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='approvalrequest',
            index=django.contrib.postgres.indexes.HashIndex(condition=models.Q(('normalised', ''), _negated=True), fields=['normalised'], name='request_normalised'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(fields=('request', 'user', 'kind'), name='one_delivery_of_a_kind'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(condition=models.Q(('user__isnull', True)), fields=('request', 'kind'), name='one_webhook_of_a_kind'),
        ),
        migrations.AddField(
            model_name='breakglass',
            name='request',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='break_glass', to='approvals.approvalrequest'),
        ),
        migrations.AddField(
            model_name='breakglass',
            name='reviewed_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='breakglass',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='shapeapproval',
            name='request',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='shape_approval', to='approvals.approvalrequest'),
        ),
        migrations.AddField(
            model_name='shapeapproval',
            name='workflow',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='approvals.workflow'),
        ),
        migrations.AddIndex(
            model_name='shapeapproval',
            index=models.Index(fields=['shape', 'expires_at'], name='shape_covering'),
        ),
        migrations.AddConstraint(
            model_name='shapeapproval',
            constraint=models.CheckConstraint(condition=models.Q(('uses__lte', models.F('limit'))), name='shape_used_within_limit'),
        ),
        migrations.RunPython(into_columns, migrations.RunPython.noop),
        # What was filled in must be checked before the tables can change again.
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", migrations.RunSQL.noop),
        migrations.RemoveField(
            model_name='workflow',
            name='auto_approve',
        ),
        migrations.RemoveField(
            model_name='workflow',
            name='escalate',
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
