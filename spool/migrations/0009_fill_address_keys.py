"""Keys of the addresses that are written otherwise, in the rows that are there; and one row of counts for each key."""

from django.db import connection, migrations, transaction
from django.db.models import Q

from accounts.addresses import key_of, other_key

# Rows that are looked at in one query, and keys of counts that are put together in one transaction.
WINDOW = 20_000
KEYS = 200
# What may be written otherwise than its key.
ODD = r'[A-Z"]|[^ -~]|[].]$'
# Of spool.models.traffic.TrafficKind: those that count by address, and the one that counts by domain.
ADDRESSES, DOMAINS = (3, 5, 6, 9), (8,)
# Whoever adds up has this lock (spool.traffic.rolling).
LOCK = 7_402_113


def fill(apps, schema_editor):
    for name, columns in (
        ('Entry', {'sender': 'sender_key'}),
        ('Trashed', {'sender': 'sender_key'}),
        ('Recipient', {'address': 'address_key'}),
        ('TrashedRecipient', {'address': 'address_key'}),
        ('Trace', {'sender': 'sender_key', 'recipient': 'recipient_key'}),
    ):
        model = apps.get_model('spool', name)
        for address, key in columns.items():
            _each_window(model, Q((f'{address}__regex', ODD)), address, key, other_key)
    for name in ('Recipient', 'TrashedRecipient'):
        _each_window(
            apps.get_model('spool', name), ~Q(original=''), 'original', 'original_key', lambda text: key_of(text)[:320]
        )


def _each_window(model, odd, address, key, of):
    rows = model.objects.order_by('id')
    last = rows.values_list('id', flat=True).last() or 0
    start = (rows.values_list('id', flat=True).first() or 1) - 1
    while start < last:
        end = rows.filter(id__gt=start).values_list('id', flat=True)[WINDOW - 1:WINDOW].first() or last
        found = rows.filter(odd, id__gt=start, id__lte=end, **{f'{key}__isnull': True}).values_list('id', address)
        by_key = {}
        for number, text in found:
            if (wanted := of(text)) is not None:
                by_key.setdefault(wanted, []).append(number)
        for wanted, ids in by_key.items():
            for place in range(0, len(ids), 1000):
                model.objects.filter(id__in=ids[place:place + 1000]).update(**{key: wanted})
        start = end


def join_counts(apps, schema_editor):
    """Of several spellings of one address, whose counts stood beside each other."""
    totals = apps.get_model('spool', 'TrafficTotal').objects
    for kind in (*ADDRESSES, *DOMAINS):
        last = ''
        while True:
            keys = totals.filter(kind=kind, key__gt=last, key__regex=ODD).order_by('key')
            some = list(keys.values_list('key', flat=True)[:KEYS])
            if not some:
                break
            last = some[-1]
            moves = [(_key(kind, text), text) for text in some]
            with transaction.atomic(), connection.cursor() as cursor:
                if connection.vendor == 'postgresql':
                    cursor.execute('SELECT pg_advisory_xact_lock(%s)', [LOCK])
                for wanted, text in moves:
                    if wanted != text:
                        _move(cursor, kind, wanted, text)


def _key(kind, text):
    return (key_of(f'@{text}')[1:] if kind in DOMAINS else key_of(text))[:320]


def _move(cursor, kind, wanted, text):
    greatest = 'GREATEST' if connection.vendor == 'postgresql' else 'MAX'
    cursor.execute(
        'INSERT INTO spool_trafficcount (kind, key, minute, span, number) SELECT kind, %s, minute, span, number'
        ' FROM spool_trafficcount WHERE kind = %s AND key = %s ON CONFLICT (kind, key, minute, span)'
        ' DO UPDATE SET number = spool_trafficcount.number + excluded.number',
        [wanted, kind, text],
    )
    cursor.execute(
        'INSERT INTO spool_traffictotal (kind, key, day, total, seen) SELECT kind, %s, day, total, seen'
        ' FROM spool_traffictotal WHERE kind = %s AND key = %s ON CONFLICT (kind, key) DO UPDATE SET'
        ' day = spool_traffictotal.day + excluded.day, total = spool_traffictotal.total + excluded.total,'
        f' seen = {greatest}(spool_traffictotal.seen, excluded.seen)',
        [wanted, kind, text],
    )
    for table in ('spool_trafficcount', 'spool_traffictotal'):
        cursor.execute(f'DELETE FROM {table} WHERE kind = %s AND key = %s', [kind, text])


class Migration(migrations.Migration):
    # In pieces: mail flows meanwhile, and what a break leaves is done the next time.
    atomic = False
    safe_because = 'it fills columns that the version before does not know, and adds up counts that it goes on with'

    dependencies = [
        ('spool', '0008_address_key_indexes'),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunPython(join_counts, migrations.RunPython.noop),
    ]
