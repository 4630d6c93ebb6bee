from django.db import migrations, models

from accounts.index_building import every_index


def keyed(name, column, *further):
    return models.Index(fields=[column, *further], name=name, condition=models.Q((f'{column}__isnull', False)))


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('spool', '0007_address_keys'),
    ]

    operations = [
        *every_index('entry', keyed('entry_sender_key', 'sender_key', 'id')),
        *every_index(
            'recipient', keyed('recipient_key', 'address_key', 'entry'),
            keyed('recipient_original', 'original_key', 'entry'),
        ),
        *every_index(
            'trace', keyed('trace_sender_key', 'sender_key', 'ended'),
            keyed('trace_recipient_key', 'recipient_key', 'ended'), keyed('trace_original', 'original', 'ended'),
        ),
        *every_index('trashed', keyed('trashed_sender_key', 'sender_key')),
        *every_index(
            'trashedrecipient', keyed('trashed_key', 'address_key'), keyed('trashed_original', 'original_key')
        ),
    ]
