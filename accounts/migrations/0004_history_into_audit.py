"""The history of accounts becomes a part of the audit: each row finds its like there, or is copied."""

from django.db import connection, migrations, transaction

# Rows of the history that are looked at in one transaction.
WINDOW = 5_000
# Whose name `on` is, where the row does not say: the user may be gone.
KIND = """CASE
    WHEN old.user_id IS NOT NULL THEN 'user'
    WHEN old.action LIKE '%% user' OR old.action IN ('password', 'contain', 'undo contain') THEN 'user'
    WHEN old.action LIKE '%% domain' THEN 'domain'
    WHEN old.action LIKE '%% alias' THEN 'alias'
    WHEN old.action LIKE '%% list' THEN 'list'
    WHEN old.action IN ('status', 'propagate defaults') AND old.on_name LIKE '%%@%%' THEN 'user'
    WHEN old.action = 'status' THEN 'domain'
    ELSE '' END"""
OLD = """(SELECT id, at, actor, source, action, user_id, "on" AS on_name, outcome FROM accounts_accountevent
    WHERE id > %s AND id <= %s) AS old"""
SAME = """audit.at = old.at AND audit.action = old.action AND audit.actor = old.actor
    AND substr(audit."on", 1, 320) = old.on_name"""
# What the action's own row said later (how an account was contained) is in the history.
NAME = f"""UPDATE spool_auditevent AS audit SET kind = {KIND}, key = old.on_name, row_id = old.user_id,
    outcome = CASE WHEN length(old.outcome) > length(audit.outcome) THEN old.outcome ELSE audit.outcome END
    FROM {OLD} WHERE {SAME} AND audit.key = ''"""
# One of many at once had no row of its own in the audit: there it is a part.
COPY = f"""INSERT INTO spool_auditevent
    (at, actor, source, action, kind, key, row_id, "on", filter, parameters, matched, done, skipped, outcome, undone,
     is_part, ip, via, result)
    SELECT old.at, old.actor, old.source, old.action, {KIND}, old.on_name, old.user_id, old.on_name, '{{}}', '{{}}',
        1, 1, 0, old.outcome, 0, %s, '', '', ''
    FROM {OLD} WHERE NOT EXISTS (SELECT 1 FROM spool_auditevent AS audit WHERE {SAME})"""


def copy(apps, schema_editor):
    events = apps.get_model('accounts', 'AccountEvent').objects.order_by('id')
    last = events.values_list('id', flat=True).last() or 0
    start = (events.values_list('id', flat=True).first() or 1) - 1
    while start < last:
        end = events.filter(id__gt=start).values_list('id', flat=True)[WINDOW - 1:WINDOW].first() or last
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(NAME, [start, end])
            cursor.execute(COPY, [True, start, end])
        start = end


class Migration(migrations.Migration):
    # In pieces, and what a break leaves is done the next time: rows that are there are their own likes.
    atomic = False
    safe_because = 'it fills columns that the version before does not know, and adds rows to what it shows'

    dependencies = [
        ('accounts', '0003_name_of_a_status'),
        ('spool', '0017_audit_indexes'),
    ]

    operations = [
        migrations.RunPython(copy, migrations.RunPython.noop),
    ]
