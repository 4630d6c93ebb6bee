"""The Overview's place among the tabs of the spool."""

from django.utils.translation import gettext_lazy as _lazy

from spool.console.tabs import Tab

OVERVIEW = Tab(_lazy("Overview"), "admin:index")
