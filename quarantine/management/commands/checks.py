"""`manage.py checks list|show|set|remove`: the spam checks."""

from quarantine.admin.antispam import CheckAdmin
from quarantine.models import Check
from spool.shell.rows import RowsCommand


class Command(RowsCommand):
    help = "The spam checks: what looks at mail, and how much its word counts."
    model, page = Check, CheckAdmin
