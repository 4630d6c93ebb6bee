"""`manage.py updateservers list|show|set|remove`: the name servers that take the records of our domains (RFC 2136)."""

from spool.admin.update_servers import UpdateServerAdmin
from spool.models import UpdateServer
from spool.shell.rows import RowsCommand


class Command(RowsCommand):
    help = "The name servers that take the records of our domains from this server (RFC 2136)."
    model, page = UpdateServer, UpdateServerAdmin
