"""What models and fields are called that have no name besides that in the code, in the language of whoever looks.

Django makes such names of identifiers. They are put into a language here, all together, rather than by a
`verbose_name` that repeats the identifier: that would be a migration of each of their tables.
"""

from __future__ import annotations

from typing import Final

from django.apps import apps
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_noop as _noop

# As Django makes them of identifiers.
NAMES: Final = frozenset(
    {
        _noop("action"),
        _noop("active"),
        _noop("added"),
        _noop("address"),
        _noop("alert rule"),
        _noop("alert rules"),
        _noop("algorithm"),
        _noop("alias"),
        _noop("alias target"),
        _noop("alias targets"),
        _noop("changed"),
        _noop("check"),
        _noop("checked"),
        _noop("checks"),
        _noop("created"),
        _noop("description"),
        _noop("destination rule"),
        _noop("destination rules"),
        _noop("diagnostic"),
        _noop("direction"),
        _noop("domain"),
        _noop("domains"),
        _noop("dry run"),
        _noop("enabled"),
        _noop("evidence"),
        _noop("expires"),
        _noop("failed recipient"),
        _noop("guard policy"),
        _noop("host"),
        _noop("key name"),
        _noop("kind"),
        _noop("language"),
        _noop("list member"),
        _noop("list members"),
        _noop("local store"),
        _noop("mailing list"),
        _noop("mailing lists"),
        _noop("max connections"),
        _noop("messages per connection"),
        _noop("name"),
        _noop("password"),
        _noop("pattern"),
        _noop("port"),
        _noop("published"),
        _noop("reason"),
        _noop("received"),
        _noop("received bounce"),
        _noop("received bounces"),
        _noop("retired"),
        _noop("route"),
        _noop("routes"),
        _noop("secret"),
        _noop("selector"),
        _noop("senders"),
        _noop("since"),
        _noop("source address"),
        _noop("source addresses"),
        _noop("status"),
        _noop("subject prefix"),
        _noop("suspended until"),
        _noop("threshold"),
        _noop("trace"),
        _noop("traces"),
        _noop("trusted sender"),
        _noop("trusted senders"),
        _noop("until"),
        _noop("user"),
        _noop("username"),
        _noop("users"),
        _noop("warm up"),
        _noop("weight"),
        _noop("where"),
    }
)


def translate() -> None:
    """Have them in the language that is active when they are shown; what migrations see of models stays as it is."""
    for model in apps.get_models():
        for field in model._meta.get_fields():
            if getattr(field, "_verbose_name", "") is None and str(field.verbose_name) in NAMES:  # type: ignore[union-attr]
                field.verbose_name = gettext_lazy(str(field.verbose_name))  # type: ignore[union-attr]
        for name in ("verbose_name", "verbose_name_plural"):
            text = str(getattr(model._meta, name))
            if name not in model._meta.original_attrs and text in NAMES:  # type: ignore[attr-defined]
                setattr(model._meta, name, gettext_lazy(text))
