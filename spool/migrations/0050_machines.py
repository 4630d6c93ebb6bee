"""Machines, their programs by their signs of life, and what one of these does for all."""

from django.db import migrations, models


def make_rules(apps, schema_editor):
    if not apps.get_model("spool", "TrafficState").objects.exists():
        # Nothing was ever counted here: it is new, and gets its rules when it is prepared (spool.alerts.defaults).
        return
    rules = apps.get_model("spool", "AlertRule").objects
    # Who was told of dead programs is told of dead machines.
    program = rules.filter(kind="program", enabled=True).order_by("pk").first()
    mail_to = program.mail_to if program is not None else ""
    for name, kind, threshold in (("Missed machine", "machine", 2), ("Machine drains for long", "machine-drain", 240)):
        if not rules.filter(kind=kind).exists():
            rules.get_or_create(
                name=name,
                defaults={
                    "kind": kind,
                    "threshold": threshold,
                    "ends_below": 50,
                    "minutes": 10,
                    "at_least": 50,
                    "mail_to": mail_to,
                },
            )


class Migration(migrations.Migration):
    safe_because = "the version before has no watch of the new kinds, and sees nothing of them"

    dependencies = [("spool", "0049_rule_for_reported_tls")]

    operations = [
        migrations.CreateModel(
            name="Duty",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=20)),
                ("holder", models.CharField(blank=True, default="", help_text="A program's key.", max_length=250)),
                ("until", models.DateTimeField(help_text="By the database's clock.")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("name",), name="duty_name")],
            },
        ),
        migrations.CreateModel(
            name="Machine",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
                ("since", models.DateTimeField(help_text="When it first told of itself.")),
                ("drain_since", models.DateTimeField(null=True)),
                ("drain_by", models.CharField(blank=True, default="", help_text="Who asked for it.", max_length=320)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("name",), name="machine_name")],
            },
        ),
        migrations.CreateModel(
            name="Program",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(help_text="Machine, kind, host and process.", max_length=250)),
                ("machine", models.CharField(max_length=100)),
                ("kind", models.CharField(max_length=20)),
                ("host", models.CharField(max_length=100)),
                ("pid", models.PositiveIntegerField()),
                ("version", models.CharField(max_length=40)),
                ("born", models.DateTimeField()),
                ("seen", models.DateTimeField(help_text="By the database's clock.")),
                ("drains", models.BooleanField(help_text="Whether it knows that its machine is to be drained.")),
                ("busy", models.PositiveIntegerField(help_text="What it has in hand: transactions, messages under lease, jobs.")),
                ("shows", models.JSONField(default=dict, help_text="What else it says of itself.")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("key",), name="program_key")],
            },
        ),
        migrations.RunPython(make_rules, migrations.RunPython.noop),
    ]
