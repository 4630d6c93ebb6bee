"""`manage.py trusted list|show|set|remove`: the senders whose mail is not checked for spam."""

from quarantine.admin.antispam import TrustedSenderAdmin
from quarantine.models import TrustedSender
from spool.shell.rows import RowsCommand


class Command(RowsCommand):
    help = "Senders whose mail skips the spam checks, if SPF, DKIM or a login proves that it is theirs."
    model, page = TrustedSender, TrustedSenderAdmin
