from django.db import migrations, models

from accounts.index_building import every_index

WHOLE = models.Q(('is_part', False))


def ordered(name, *columns, condition=WHOLE):
    return models.Index(fields=[*columns, 'at', 'id'], name=name, condition=condition)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('spool', '0016_audit_columns'),
    ]

    operations = every_index(
        'auditevent',
        ordered('audit_at'),
        ordered('audit_actor', 'actor'),
        ordered('audit_action', 'action'),
        ordered('audit_source', 'source'),
        ordered('audit_kind', 'kind'),
        ordered('audit_ip', 'ip'),
        ordered('audit_key', 'key', 'kind', condition=None),
        ordered('audit_row', 'kind', 'row_id', condition=models.Q(('row_id__isnull', False))),
    )
