"""The face of Mailspool: settings, URLs, the admin site, health and the processes of `make run`.

Not for mail itself: that is spool/. It may import every app; no app imports it.
"""

VERSION = "0.1.0"
