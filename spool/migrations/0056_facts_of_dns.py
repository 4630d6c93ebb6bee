"""What was wrong with records of the DNS is kept as facts, beside the English text."""

from django.db import migrations, models



class Migration(migrations.Migration):

    dependencies = [
        ('spool', '0055_machine_of_message'),
    ]

    operations = [
        migrations.AddField(
            model_name='dkimkey',
            name='found_fact',
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name='dkimkey',
            name='send_problem_fact',
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name='domainrecord',
            name='fact',
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name='updateserver',
            name='problem_fact',
            field=models.JSONField(editable=False, null=True),
        ),
    ]
