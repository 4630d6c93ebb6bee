import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('quarantine', '0006_usual_weights_of_engines'),
    ]

    operations = [
        migrations.AlterField(
            model_name='check',
            name='kind',
            field=models.CharField(choices=[('spamd', 'SpamAssassin (spamd)'), ('rspamd', 'Rspamd'), ('ip_list', 'DNS list of IP addresses'), ('uri_list', 'DNS list of domains in links'), ('spf', 'SPF'), ('dkim', 'DKIM'), ('dmarc', 'DMARC'), ('rdns', 'Reverse DNS'), ('null_sender', 'Null sender'), ('header', 'Header rule'), ('body', 'Text rule'), ('unread', 'Text not looked at')], max_length=11),
        ),
        migrations.AlterField(
            model_name='check',
            name='weight',
            field=models.FloatField(blank=True, default=None, help_text='Points of a hit; for SpamAssassin and Rspamd, the number that their own score is multiplied by. Empty for the usual: SpamAssassin 2, Rspamd 1.7, SPF 5, reverse DNS 4, DKIM 3, text not looked at 3, null sender 2, others 10.', validators=[django.core.validators.MinValueValidator(-100), django.core.validators.MaxValueValidator(100)]),
        ),
    ]
