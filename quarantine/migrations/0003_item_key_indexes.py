from django.db import migrations, models

from accounts.index_building import every_index


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('quarantine', '0002_item_sender_key'),
    ]

    operations = every_index(
        'item',
        models.Index(fields=['state', 'kind', 'message_id', 'id'], name='item_by_message_id'),
        models.Index(
            condition=models.Q(('sender_key__isnull', False)), fields=['sender_key', 'id'], name='item_sender_key'
        ),
    )
