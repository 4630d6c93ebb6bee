"""`manage.py guard list|show|set|remove`: what the guard against stolen accounts looks for in each domain."""

from spool.shell.rows import RowsCommand
from throttling.admin.guard import GuardPolicyAdmin
from throttling.models import GuardPolicy


class Command(RowsCommand):
    help = "What the guard against accounts that somebody else uses looks for in each domain, and what it does."
    model, page = GuardPolicy, GuardPolicyAdmin
