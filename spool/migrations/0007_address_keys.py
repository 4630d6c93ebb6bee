from django.db import migrations, models


def key(words):
    return models.CharField(editable=False, help_text=words, max_length=320, null=True)


SENDER = "The sender's key where it is written otherwise."
ADDRESS = "The address's key where it is written otherwise."
ORIGINAL = "The original's key."


class Migration(migrations.Migration):

    dependencies = [
        ('spool', '0006_settings_send_as'),
    ]

    operations = [
        migrations.AddField('entry', 'sender_key', key(SENDER)),
        migrations.AddField('recipient', 'address_key', key(ADDRESS)),
        migrations.AddField('recipient', 'original_key', key(ORIGINAL)),
        migrations.AddField('trace', 'sender_key', key(SENDER)),
        migrations.AddField(
            'trace', 'recipient_key', key("The recipient's key where it is written otherwise.")
        ),
        migrations.AddField(
            'trace', 'original',
            key('Key of the address that was written, when an alias or a list led to the recipient.'),
        ),
        migrations.AddField('trashed', 'sender_key', key(SENDER)),
        migrations.AddField('trashedrecipient', 'address_key', key(ADDRESS)),
        migrations.AddField('trashedrecipient', 'original_key', key(ORIGINAL)),
    ]
