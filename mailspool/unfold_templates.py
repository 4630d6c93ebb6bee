"""Unfold's templates but for two things: no icon is read aloud, and no script comes that no page uses."""

from __future__ import annotations

import re

from django.template import Origin
from django.template.loaders import app_directories

_ICON = re.compile(r'<span (?=[^>]*class="[^"]*material-symbols-outlined)(?![^>]*(?:aria-hidden|title=))')
# The text of such a one says what it is; its name as a picture would be read instead ("help").
_EXPLAINED_ICON = re.compile(r'<span (?=[^>]*class="[^"]*material-symbols-outlined)(?=[^>]*title=)(?![^>]*role=)')
# A button without a word: its icon was its name.
_SEARCH = 'id="searchbar-submit"'
# Our charts are drawn by the server (mailspool.overview.charts).
CHARTS_SCRIPT = """<script src="{% static 'unfold/js/chart/chart.js' %}"></script>"""


def marked(template: str) -> str:
    """A template of Unfold with icons that a screen reader passes over, without the library of charts (200 KB)."""
    template = _ICON.sub('<span aria-hidden="true" ', template)
    template = template.replace(_SEARCH, f'aria-label="Search" {_SEARCH}')
    return _EXPLAINED_ICON.sub('<span role="img" ', template).replace(CHARTS_SCRIPT, "")


class Loader(app_directories.Loader):
    """Finds the templates of the apps, as Django's loader of that name does."""

    def get_contents(self, origin: Origin) -> str:
        """The text of a template. Raises TemplateDoesNotExist."""
        contents = str(super().get_contents(origin))
        return marked(contents) if str(origin.template_name).startswith(("unfold/", "admin/")) else contents
