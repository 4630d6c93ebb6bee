from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('quarantine', '0001_initial'),
        ('spool', '0007_address_keys'),
    ]

    operations = [
        migrations.AddField(
            model_name='item',
            name='sender_key',
            field=models.CharField(
                editable=False, help_text="The sender's key where it is written otherwise.", max_length=320, null=True
            ),
        ),
    ]
