"""What older actions were done to, where it was one thing that has a name: the history of a message, address or network."""

from django.db import connection, migrations, transaction

# Rows that are looked at in one transaction.
WINDOW = 20_000
KINDS = {
    'blacklist': 'blacklist entry',
    'unblacklist': 'blacklist entry',
    'whitelist': 'whitelist entry',
    'unwhitelist': 'whitelist entry',
    'smtp-block': 'SMTP block',
    'unsmtp-block': 'SMTP block',
    'login-block': 'login block',
    'login-release': 'login block',
}
CASES = ' '.join(f"WHEN '{action}' THEN '{kind}'" for action, kind in KINDS.items())
ACTIONS = ', '.join(f"'{action}'" for action in KINDS)
NAME = f"""UPDATE spool_auditevent SET key = "on", kind = CASE action {CASES} ELSE 'message' END
    WHERE id > %s AND id <= %s AND key = '' AND length("on") <= 320 AND "on" NOT LIKE '%%,%%'
    AND (action IN ({ACTIONS}) AND "on" NOT LIKE '%% more' AND "on" <> ''
         OR "on" LIKE '%%.eml' AND "on" NOT LIKE '%% %%')"""


def name(apps, schema_editor):
    with connection.cursor() as cursor:
        cursor.execute('SELECT min(id), max(id) FROM spool_auditevent')
        first, last = cursor.fetchone()
    for start in range((first or 1) - 1, last or 0, WINDOW):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(NAME, [start, start + WINDOW])


class Migration(migrations.Migration):
    # In pieces, and what a break leaves is done the next time.
    atomic = False
    safe_because = 'it fills columns that the version before does not know'

    dependencies = [
        ('spool', '0018_audit_in_base'),
    ]

    operations = [
        migrations.RunPython(name, migrations.RunPython.noop),
    ]
