"""What the checks for viruses and spam say of a message."""

from django.utils.translation import gettext_noop as _

from base.stored_texts import known

known(
    _("Not checked for spam yet: %(why)s"),
    _("Not checked for spam: no answer of %(names)s"),
    _("Deleted as spam: %(why)s"),
    _("Quarantined: %(why)s"),
    _("Blocked by %(user)s: %(why)s"),
    _("DMARC fails for %(domain)s, whose owner asks to refuse such mail"),
    _("DMARC fails for %(domain)s, whose owner asks to quarantine such mail"),
    _("From shows more domains than DMARC can judge"),
    _("No virus scanner answers: %(why)s"),
    _("they need too long for the mail that there is"),
    _("the scanners took too long"),
    _("too large to be scanned: %(number)s KB"),
    _("the message's file is missing"),
    _("It could not be deleted yet"),
    _("It could not be quarantined yet"),
)
