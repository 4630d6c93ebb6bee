"""Keys of the addresses of what is in quarantine."""

from django.db import migrations

from accounts.addresses import key_of, other_key

ODD = r'[A-Z"]|[^ -~]|[].]$'
WINDOW = 5_000


def fill(apps, schema_editor):
    items, addresses = (apps.get_model('quarantine', name).objects for name in ('Item', 'ItemAddress'))
    last = 0
    while rows := list(items.filter(id__gt=last, sender__regex=ODD).order_by('id').values_list('id', 'sender')[:WINDOW]):
        for number, sender in rows:
            items.filter(pk=number).update(sender_key=other_key(sender))
        last = rows[-1][0]
    last = 0
    while rows := list(
        addresses.filter(id__gt=last, address__regex=ODD).order_by('id').values_list('id', 'address')[:WINDOW]
    ):
        for number, address in rows:
            addresses.filter(pk=number).update(address=key_of(address)[:320])
        last = rows[-1][0]


class Migration(migrations.Migration):
    atomic = False
    safe_because = 'it fills a column that the version before does not know, and by keys that version finds as well'

    dependencies = [
        ('quarantine', '0003_item_key_indexes'),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
