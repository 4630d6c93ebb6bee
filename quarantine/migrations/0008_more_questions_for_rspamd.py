import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('quarantine', '0007_text_not_looked_at'),
    ]

    operations = [
        migrations.AlterField(
            model_name='check',
            name='parallel',
            field=models.PositiveIntegerField(blank=True, help_text='From all workers together; no more than its server has children. Messages beyond that wait in line. Empty for the usual: SpamAssassin 5, Rspamd 50, DNS lists 100.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(1000)], verbose_name='questions at once'),
        ),
    ]
