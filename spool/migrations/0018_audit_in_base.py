"""The table of the audit is that of base.audit from here on; nothing changes in the database."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    safe_because = 'it is about which app has the model: no statement is run'

    dependencies = [
        ('spool', '0017_audit_indexes'),
        ('audit', '0001_initial'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name='bulkjob',
                    name='event',
                    field=models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name='jobs', to='audit.auditevent'
                    ),
                ),
                migrations.AlterField(
                    model_name='trashed',
                    name='event',
                    field=models.ForeignKey(
                        db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT,
                        related_name='trashed', to='audit.auditevent',
                    ),
                ),
                migrations.DeleteModel(name='AuditEvent'),
            ],
        ),
    ]
