"""What restoring a backup, and stopping an incident, say of a message."""

from django.utils.translation import gettext_noop as _

from base.stored_texts import known

known(_("Restored from the backup of %(names)s UTC"), _("Incident no. %(number)s: %(why)s"))
