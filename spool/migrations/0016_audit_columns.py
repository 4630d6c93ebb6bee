"""Where something was done from, what it was done to, and how it ended: in columns."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


class AddColumn(migrations.AddField):
    """As AddField, but SQLite does not copy the table for it: mail flows meanwhile, and each column has a default."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        model = to_state.apps.get_model(app_label, self.model_name)
        BaseDatabaseSchemaEditor.add_field(schema_editor, model, model._meta.get_field(self.name))


def text(length):
    return models.CharField(blank=True, db_default='', default='', max_length=length)


class Migration(migrations.Migration):

    dependencies = [
        ('spool', '0015_content'),
    ]

    operations = [
        AddColumn('auditevent', 'ip', text(45)),
        AddColumn('auditevent', 'via', text(100)),
        AddColumn('auditevent', 'kind', text(40)),
        AddColumn('auditevent', 'key', text(320)),
        AddColumn('auditevent', 'row_id', models.BigIntegerField(blank=True, null=True)),
        AddColumn('auditevent', 'result', text(10)),
        AddColumn('auditevent', 'is_part', models.BooleanField(db_default=False, default=False)),
    ]
