"""The table that the spool has made (spool.0017) becomes that of all; nothing changes in the database."""

from django.db import migrations, models

WHOLE = models.Q(('is_part', False))


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ('spool', '0017_audit_indexes'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name='AuditEvent',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('at', models.DateTimeField(db_index=True)),
                        ('actor', models.CharField(max_length=254)),
                        ('source', models.CharField(default='page', help_text='page, shell or system', max_length=10)),
                        ('ip', models.CharField(blank=True, db_default='', default='', max_length=45, verbose_name='IP address')),
                        ('via', models.CharField(blank=True, db_default='', default='', help_text='The page by its name, or the command.', max_length=100)),
                        ('action', models.CharField(max_length=30)),
                        ('kind', models.CharField(blank=True, db_default='', default='', max_length=40)),
                        ('key', models.CharField(blank=True, db_default='', default='', max_length=320)),
                        ('row_id', models.BigIntegerField(blank=True, null=True)),
                        ('on', models.TextField(blank=True, default='', help_text='The filter or the names, in words.')),
                        ('filter', models.JSONField(blank=True, default=dict)),
                        ('parameters', models.JSONField(blank=True, default=dict)),
                        ('matched', models.PositiveIntegerField(default=0)),
                        ('done', models.PositiveIntegerField(default=0)),
                        ('skipped', models.PositiveIntegerField(default=0)),
                        ('result', models.CharField(blank=True, choices=[('begun', 'Begun'), ('done', 'Done'), ('cancelled', 'Cancelled'), ('failed', 'Failed')], db_default='', default='', max_length=10)),
                        ('said', models.CharField(blank=True, db_column='outcome', default='', help_text='The outcome, where no code says it.', max_length=500)),
                        ('undone', models.PositiveIntegerField(default=0, help_text='How many of them were restored since.')),
                        ('is_part', models.BooleanField(db_default=False, default=False)),
                    ],
                    options={
                        'verbose_name': 'action',
                        'db_table': 'spool_auditevent',
                        'ordering': ['-id'],
                        'indexes': [
                            models.Index(condition=WHOLE, fields=['at', 'id'], name='audit_at'),
                            models.Index(condition=WHOLE, fields=['actor', 'at', 'id'], name='audit_actor'),
                            models.Index(condition=WHOLE, fields=['action', 'at', 'id'], name='audit_action'),
                            models.Index(condition=WHOLE, fields=['source', 'at', 'id'], name='audit_source'),
                            models.Index(condition=WHOLE, fields=['kind', 'at', 'id'], name='audit_kind'),
                            models.Index(condition=WHOLE, fields=['ip', 'at', 'id'], name='audit_ip'),
                            models.Index(fields=['key', 'kind', 'at', 'id'], name='audit_key'),
                            models.Index(condition=models.Q(('row_id__isnull', False)), fields=['kind', 'row_id', 'at', 'id'], name='audit_row'),
                        ],
                    },
                ),
            ],
        ),
    ]
