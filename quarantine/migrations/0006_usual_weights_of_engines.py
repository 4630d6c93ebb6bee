"""SpamAssassin's and Rspamd's scores no longer times ten where nobody has chosen that."""

from django.db import migrations

# The weight that a check had unless somebody changed it; a scale of somebody's own shows in the thresholds.
OLD = 10
NEW = {'spamd': 2.0, 'rspamd': 1.7}
USUAL_POINTS = {'low': 10, 'medium': 20, 'high': 30, 'reject_from': 50, 'outbound_threshold': 30}


def weigh(apps, schema_editor):
    settings, checks = (apps.get_model('quarantine', name).objects for name in ('AntispamSettings', 'Check'))
    row = settings.first()
    if row is not None and any(getattr(row, name) != points for name, points in USUAL_POINTS.items()):
        return
    for kind, weight in NEW.items():
        checks.filter(kind=kind, weight=OLD).update(weight=weight)


class Migration(migrations.Migration):
    safe_because = 'the version before adds up points by the weight that a row has, whatever it is'

    dependencies = [('quarantine', '0005_engines_under_load')]

    operations = [migrations.RunPython(weigh, migrations.RunPython.noop)]
