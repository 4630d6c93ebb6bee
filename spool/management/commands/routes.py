"""`manage.py routes list|show|set|remove`: where mail for a domain goes instead of the hosts that DNS names."""

from spool.admin.routes import RouteAdmin
from spool.models import Route
from spool.shell.rows import RowsCommand


class Command(RowsCommand):
    help = "Where mail for a domain goes instead of the hosts that DNS names; * for all that is not local."
    model, page = Route, RouteAdmin
