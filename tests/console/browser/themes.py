"""In which colours pages are looked at: the palette of the dark ones is seen by axe in every run."""

import pytest

THEMES = ["light", pytest.param("dark", marks=pytest.mark.long)]
