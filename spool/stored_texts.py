"""What delivery, workers and administrators' actions say of a message."""

from django.utils.translation import gettext_noop as _

from base.stored_texts import known

# On the way to a host.
known(
    _("waits until its host is tried again: %(why)s"),
    _("connecting to %(host)s [%(ip)s]: %(why)s"),
    _("connecting to %(host)s [%(ip)s] from %(source)s: %(why)s"),
    _("TLS with %(host)s [%(ip)s] failed: %(why)s"),
    _("%(host)s refused STARTTLS: %(why)s"),
    _("%(host)s sent more than its answer to STARTTLS"),
    _("%(host)s does not offer the encryption that is required"),
    _("%(host)s does not promise to send on over TLS alone, as the sender requires (REQUIRETLS)"),
    _("%(host)s: a password is not sent without encryption"),
    _("the route to %(host)s has no password that can be read; enter it again"),
    _("%(host)s [%(ip)s] answered %(names)s: %(why)s"),
    _("%(host)s does not take addresses or headers beyond ASCII (it offers no SMTPUTF8)"),
    _("the message is larger than the %(limit)s bytes that %(host)s takes"),
    _("%(host)s [%(ip)s] hung up after it took %(number)s recipients: the message goes to fewer at a time"),
    _("the connection to %(host)s [%(ip)s] broke: %(why)s"),
    _("the connection to %(host)s broke: %(why)s"),
    _("the connection was closed by the other side"),
    _("the other side sent a line that never ends"),
    _("the other side sent a reply that never ends"),
    _("the other side sent no SMTP reply: %(why)s"),
    _("the other side answered DATA with %(why)s"),
    _("connection refused"),
    _("the other side reset the connection"),
    _("the connection was aborted"),
    _("the other side closed the connection"),
    _("no route to the host"),
    _("the network is unreachable"),
    _("no answer in time"),
    _("no answer in time (%(seconds)s s), and other mail waits"),
    _("too many hosts do not answer, and its turn has not come"),
    _("this machine does not have the address that connections are to come from"),
    _("its certificate is not to be trusted: %(why)s"),
    _("it presented no certificate"),
    _("its certificate is not the one that its TLSA records name (DANE)"),
    _("its certificates can't be read (DANE): %(why)s"),
    _("no certificate of it is the authority that its TLSA records name (DANE)"),
    _("the authority that its TLSA records name does not vouch for it (DANE): %(why)s"),
    _("TLS error: %(why)s"),
    _("the connection broke"),
)
# Where a domain's mail goes.
known(
    _("the host of the route: %(why)s"),
    _("the domain %(domain)s does not exist"),
    _("%(domain)s has no address in the DNS"),
    _("the mail hosts of %(domain)s (%(names)s) have no address in the DNS"),
    _("the DNS gave no answer for %(domain)s: %(why)s"),
    _("not in time"),
    _("its servers failed"),
    _("%(domain)s takes no mail (null MX)"),
    _("%(domain)s is not an IP address"),
    _("mail for %(domain)s loops back to this server"),
    _("the hosts of %(domain)s have no public address: %(names)s; a route or a setting of this server may allow it"),
    _("nothing proves the mail hosts of %(domain)s, as the sender requires (REQUIRETLS)"),
    _("the MTA-STS policy of %(domain)s could not be looked up, and the sender requires proof (REQUIRETLS)"),
    _("nothing proves the route to %(host)s, as the sender requires (REQUIRETLS)"),
    _("it is not known which certificate the mail host has (DANE): %(why)s"),
    _("the MTA-STS policy of %(domain)s does not allow the hosts that the DNS names (%(names)s)"),
)
# Mailboxes, lists and forwards here.
known(
    _("stored in %(address)s's Maildir"),
    _("was already in %(address)s's Maildir"),
    _("the mailbox is full (limit %(number)s MB)"),
    _("the mailbox is full (%(names)s)"),
    _("the mail store is full (%(names)s)"),
    _("could not be stored (%(names)s)"),
    _("no such mailbox here any more; check the address and send again"),
    _("this mailbox is disabled and takes no mail"),
    _("this message has been here before: a mail forwarding loop"),
    _("forwarded to %(names)s, and kept"),
    _("forwarded to %(names)s"),
    _("sent to %(number)s members"),
    _("discarded, as nobody on the list takes mail"),
    _("discarded, as nobody is behind this address"),
    _("a mailing list takes no bounces or automatic replies"),
    _("only its members may write to this list; log in and send from the address it knows"),
    _("only its owner may write to this list; log in and send from the address it knows"),
)
# Workers.
known(
    _("the server was stopped before this one's turn"),
    _("the worker was held up before this one's turn"),
    _("the worker ended before this one's turn"),
    _("the message file is missing: %(why)s"),
    _("the message's file is missing from the spool"),
    _("local delivery failed"),
    _("delivery failed: %(why)s"),
    _("Set aside after %(number)s errors; see its traceback."),
    _("The database or Redis did not answer"),
)
# Administrators.
known(
    _("Removed by %(names)s"),
    _("Moved to %(names)s by %(who)s"),
    _("Redirected to %(names)s by %(who)s"),
    _("Put on hold by %(names)s"),
    _("Imported on %(host)s, %(date)s"),
    _("%(user)s is contained (no. %(number)s)"),
)
# A host that was reached, and no more.
known(_("%(host)s [%(ip)s]: %(why)s"))
# spool.delivery.shaping.brakes
known(
    _("slowed: %(names)s takes only so much mail from us at a time"),
    _("suspended: %(names)s does not take mail from our address"),
    _("suspended: an administrator has suspended mail for %(names)s"),
)
# Why an action left some messages alone.
known(
    _("already gone"),
    _("put back, or already gone"),
    _("were not on hold"),
    _("were put back already"),
    _("their files are missing"),
    _("their files are gone or were changed"),
    _("nothing is found any more"),
    _("would be caught again"),
    _("no scanner is set"),
    _("no check is on"),
    _("no scanner answers"),
    _("a check does not answer"),
)
