"""`manage.py settings list|get|set`: the Settings row from the shell."""

import argparse
import json
import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand

from spool.models import Settings


class Command(BaseCommand):
    """Exit status: 0 done, 1 refused, 2 usage."""

    help = "Show or change how mail is handled."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list").add_argument("--json", action="store_true")
        verbs.add_parser("get").add_argument("name")
        setting = verbs.add_parser("set")
        setting.add_argument("name")
        setting.add_argument("value")

    def handle(self, *args: Any, **options: Any) -> None:
        row = Settings.load()
        names = [field.name for field in Settings._meta.fields if field.name != "id"]
        if options["verb"] == "list":
            values = {name: getattr(row, name) for name in names}
            plain = "\n".join(f"{name} = {value}" for name, value in values.items())
            self.stdout.write(json.dumps(values, indent=2) if options["json"] else plain)
            return
        if options["name"] not in names:
            self._refuse(f"There is no setting {options['name']}; `settings list` shows all.")
        if options["verb"] == "get":
            self.stdout.write(str(getattr(row, options["name"])))
            return
        setattr(row, options["name"], options["value"])
        try:
            row.full_clean()
        except ValidationError as error:
            self._refuse(" ".join(error.messages))
        row.save()

    def _refuse(self, sentence: str) -> None:
        self.stderr.write(sentence)
        sys.exit(1)
