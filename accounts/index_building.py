"""Building an index on a table that mail flows through: a step of migrations."""

from __future__ import annotations

from typing import Any

from django.db import migrations


class AddIndexBesideMail(migrations.AddIndex):
    """As AddIndex, but on PostgreSQL nobody who writes waits for it, however large the table is.

    Its migration has `atomic = False`, and nothing else in it: what was left half done is done anew.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        # It waits for all transactions that were open when it began.
        schema_editor.execute("SET lock_timeout TO 0")
        try:
            # One that was broken off is there, and is not used.
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {schema_editor.quote_name(self.index.name)}")
            schema_editor.add_index(model, self.index, concurrently=True)
        finally:
            schema_editor.execute("RESET lock_timeout")

    def describe(self) -> str:
        return f"{super().describe()}, beside the mail"


def every_index(model_name: str, *indexes: Any) -> list[migrations.AddIndex]:
    """Steps for several indexes of one table."""
    return [AddIndexBesideMail(model_name=model_name, index=index) for index in indexes]
