import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('quarantine', '0009_moved_fingerprint'),
    ]

    operations = [
        migrations.AlterField(
            model_name='antispamsettings',
            name='inbound_unanswered',
            field=models.CharField(choices=[('hold', 'Hold, then deliver marked'), ('mark', 'Deliver marked'), ('pass', 'Deliver unmarked')], db_default='mark', default='mark', help_text='Marked mail has the header field X-Spam-Unchecked. Its score decides as ever where it goes.', max_length=4, verbose_name='inbound mail'),
        ),
        migrations.AlterField(
            model_name='antispamsettings',
            name='outbound_unanswered',
            field=models.CharField(choices=[('hold', 'Hold, then quarantine'), ('hold_pass', 'Hold, then send unchecked'), ('keep', 'Quarantine'), ('pass', 'Send unchecked')], db_default='hold', default='hold', max_length=9, verbose_name='outbound mail'),
        ),
        migrations.AlterField(
            model_name='check',
            name='parallel',
            field=models.PositiveIntegerField(blank=True, help_text='From all workers together; no more than its server has children. Messages beyond that wait in line. Empty for the usual: SpamAssassin 5, Rspamd 50, DNS lists 100.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(1000)], verbose_name='questions at once'),
        ),
    ]
