"""The table of the audit is that of base.audit from here on; nothing changes in the database."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    safe_because = 'it is about which app has the model: no statement is run'

    dependencies = [
        ('quarantine', '0010_shorter_names_of_choices'),
        ('audit', '0001_initial'),
    ]
    # There the spool gives the model away.
    run_before = [
        ('spool', '0018_audit_in_base'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name='item',
                    name='event',
                    field=models.ForeignKey(
                        blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT,
                        related_name='quarantine_items', to='audit.auditevent',
                    ),
                ),
            ],
        ),
    ]
