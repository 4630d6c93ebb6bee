"""`manage.py alerts list|show|set|remove`: the rules that watch the counts, and whom they tell."""

from spool.admin.alerts import AlertRuleAdmin
from spool.models import AlertRule
from spool.shell.rows import RowsCommand


class Command(RowsCommand):
    help = "The rules that watch the counts, and whom they tell."
    model, page = AlertRule, AlertRuleAdmin
