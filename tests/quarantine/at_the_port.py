"""An installation whose listener refuses spam or greylists, and short ways to set it and to send to it."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

from tests.spool.smtpd.dialogue import Dialogue, Reply, submission
from tests.support.mailspool_process import PASSWORD, MailspoolUnderTest
from tests.support.messages import a_message

ANN, BOB, EVE = "ann@here.test", "bob@here.test", "eve@elsewhere.test"
# The listener reads its settings once a second.
SEEN_SECONDS = 2.2
_IMPORTS = """
from accounts import actions as accounts
from accounts.models import User
from quarantine.models import *
from security import actions, lists
from security.models import *
from spool.flow import passes
from spool.actions.actor import Actor
root = Actor.at_the_shell()
"""
_FRESH = f"""{_IMPORTS}
Check.objects.all().delete()
AntispamSettings.objects.all().delete()
TrustedSender.objects.all().delete()
ListedSender.objects.all().delete()
Greylisted.objects.all().delete()
GreylistClient.objects.all().delete()
CheckCount.objects.all().delete()
WhitelistEntry.objects.filter(is_default=False).delete()
User.objects.update(spam_filter="")
from accounts import directory
directory.changed()
# Everything here comes from this machine.
actions.whitelist(root, "127.0.0.0/8", protocols=["web"])
"""


class Port:
    """The installation."""

    def __init__(self, mailspool: MailspoolUnderTest) -> None:
        self.mailspool = mailspool

    def begin_anew(self) -> None:
        self.mailspool.run(_FRESH)
        self.clear()

    def clear(self) -> None:
        """Nothing in the spool."""
        self.mailspool.run("from spool.models import *\nRecipient.objects.all().delete()\nEntry.objects.all().delete()")

    def do(self, statements: str) -> str:
        """Run Python in the installation; the listener knows of it on return."""
        said = self.mailspool.run(_IMPORTS + statements)
        time.sleep(SEEN_SECONDS)
        return said

    def settings(self, **values: object) -> str:
        """Statements that set fields of the page Antispam."""
        fields = "".join(f"row.{name} = {value!r}\n" for name, value in values.items())
        return f"row = AntispamSettings.load()\n{fields}row.full_clean()\nrow.save()\n"

    def client(self, source: str = "127.0.0.1") -> Dialogue:
        return Dialogue(self.mailspool.smtp_port, source=source)

    def submission(self, username: str = ANN) -> AbstractContextManager[Dialogue]:
        return submission(self.mailspool.submission_port, username, PASSWORD)

    def send(self, subject: str, *to: str, sender: str = EVE, source: str = "127.0.0.1", size: int = 0) -> Reply:
        """A message from outside; the reply to its end."""
        with self.client(source) as client:
            client.begin(sender, *(to or (ANN,)))
            return client.content(a_message(to=list(to) or [ANN], sender=sender, subject=subject, size=size))

    def waiting(self) -> int:
        return self.mailspool.count("spool_entry")
