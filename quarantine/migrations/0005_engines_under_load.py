import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('quarantine', '0004_fill_item_keys'),
    ]

    operations = [
        migrations.AddField(
            model_name='antispamsettings',
            name='inbound_hold_hours',
            field=models.PositiveIntegerField(db_default=4, default=4, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(96)], verbose_name='hold inbound mail for (hours)'),
        ),
        migrations.AddField(
            model_name='antispamsettings',
            name='inbound_unanswered',
            field=models.CharField(choices=[('hold', 'Hold it, then deliver it marked as unchecked'), ('mark', 'Deliver it at once, marked as unchecked'), ('pass', 'Deliver it at once, unmarked')], db_default='mark', default='mark', help_text='Marked: it gets the header field X-Spam-Unchecked, and goes where other mail with its score goes.', max_length=4, verbose_name='inbound mail'),
        ),
        migrations.AddField(
            model_name='antispamsettings',
            name='line_seconds',
            field=models.PositiveIntegerField(db_default=60, default=60, help_text='When a check has as many questions as it may have at once. Waiting in line is no failure.', validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(180)], verbose_name='wait in line for at most (seconds)'),
        ),
        migrations.AddField(
            model_name='antispamsettings',
            name='outbound_hold_hours',
            field=models.PositiveIntegerField(db_default=24, default=24, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(96)], verbose_name='hold outbound mail for (hours)'),
        ),
        migrations.AddField(
            model_name='antispamsettings',
            name='outbound_unanswered',
            field=models.CharField(choices=[('hold', 'Hold it, then put it into the Spam Quarantine'), ('hold_pass', 'Hold it, then send it unchecked'), ('keep', 'Put it into the Spam Quarantine at once'), ('pass', 'Send it at once, unchecked')], db_default='hold', default='hold', max_length=9, verbose_name='outbound mail'),
        ),
        migrations.AddField(
            model_name='check',
            name='parallel',
            field=models.PositiveIntegerField(blank=True, help_text='From all workers together; no more than its server has children. Messages beyond that wait in line. Empty for the usual: SpamAssassin 5, Rspamd 10, DNS lists 100.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(1000)], verbose_name='questions at once'),
        ),
        migrations.AlterField(
            model_name='check',
            name='weight',
            field=models.FloatField(blank=True, default=None, help_text='Points of a hit; for SpamAssassin and Rspamd, the number that their own score is multiplied by. Empty for the usual: SpamAssassin 2, Rspamd 1.7, SPF 5, reverse DNS 4, DKIM 3, null sender 2, others 10.', validators=[django.core.validators.MinValueValidator(-100), django.core.validators.MaxValueValidator(100)]),
        ),
    ]
