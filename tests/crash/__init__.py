"""Whole installations whose parts are killed, starved and refused their disk: what was answered 250 is never lost."""
