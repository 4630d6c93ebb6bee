"""What Django says is wrong with a row, as one text for commands and files."""

from __future__ import annotations

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError


def sentences(error: ValidationError) -> str:
    """What is wrong, each with the field that is to blame where one is."""
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return " ".join(
        " ".join(messages) if field == NON_FIELD_ERRORS else f"{field}: {' '.join(messages)}"
        for field, messages in error.message_dict.items()
    )
