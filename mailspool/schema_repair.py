"""Before migrations are applied: are the tables there that those applied already were to make?

Until 28 November 2026 the first migrations were edited in place, so installations of before that claim what they don't
have. Whole tables that are missing are made here, which is what nearly all of them lack; anything else is refused
before a thing has been changed.
"""

from __future__ import annotations

import logging

from django.db import connection
from django.db.migrations.loader import MigrationLoader

from base import schema
from mailspool.preflight import CannotStart

log = logging.getLogger(__name__)


def mend() -> None:
    """Make the tables that applied migrations ought to have made. Raises CannotStart when more than that is amiss."""
    loader = MigrationLoader(connection)
    applied = [key for key in loader.applied_migrations if key in loader.graph.nodes]
    if not applied or any(key not in loader.graph.nodes for key in loader.applied_migrations):
        # Nothing is there yet; or a newer version has been here, and what it took away is not to be made anew.
        return
    models = loader.project_state(applied).apps
    lacking, demanding = schema.differences(models)
    missing = {model._meta.db_table: model for model in models.get_models() if model._meta.db_table in lacking}
    amiss = schema.Schema(lacking=tuple(name for name in lacking if name not in missing), demanding=demanding)
    if amiss.fault:
        raise CannotStart(amiss.fault)
    if missing:
        with connection.schema_editor() as editor:
            for model in missing.values():
                editor.create_model(model)
        log.warning("made the tables that an earlier version had not: %s", ", ".join(sorted(missing)))
