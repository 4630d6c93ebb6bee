"""The Overview's place among the tabs of the spool."""

from spool.console.tabs import Tab

OVERVIEW = Tab("Overview", "admin:index")
