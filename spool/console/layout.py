"""How a list looks to the one who looks: which columns in which order, how dense, and how many rows a page has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from spool.console.columns import ALL, AT_FIRST, BY_NAME
from spool.console.listing import Column
from spool.filters.pages import PAGE_SIZE
from spool.models import Density, ListLayout

PAGE_SIZES: Final = (25, PAGE_SIZE, 100, 200)


@dataclass(frozen=True, slots=True)
class Layout:
    """What somebody chose for a list, or what it has at first."""

    columns: tuple[Column, ...]
    density: str = Density.COMFORTABLE.value
    page_size: int = PAGE_SIZE

    @property
    def choices(self) -> list[tuple[Column, bool]]:
        """Every column, and whether it is shown: those that are first, in their order."""
        return [(column, True) for column in self.columns] + [
            (column, False) for column in ALL if column not in self.columns
        ]

    @property
    def shows_recipients(self) -> bool:
        """Whether the recipients of the messages must be looked up."""
        return any(column.name in ("recipient", "destination") for column in self.columns)


def layout_of(user_id: int | None, page: str) -> Layout:
    """What the user chose for the list at that URL's name."""
    kept = ListLayout.objects.filter(user=user_id, page=page).first()
    if kept is None:
        return Layout(_known(AT_FIRST))
    size = kept.page_size if kept.page_size in PAGE_SIZES else PAGE_SIZE
    return Layout(_known(kept.columns) or _known(AT_FIRST), kept.density, size)


def keep(user_id: int, page: str, names: Iterable[str], density: str, page_size: str) -> None:
    """Write down what the user chose; what does not exist counts as not chosen."""
    chosen = {
        "columns": [column.name for column in _known(names)],
        "density": density if density in Density.values else Density.COMFORTABLE.value,
        "page_size": next((size for size in PAGE_SIZES if str(size) == page_size), PAGE_SIZE),
    }
    ListLayout.objects.update_or_create(user_id=user_id, page=page, defaults=chosen)


def forget(user_id: int, page: str) -> None:
    """The list looks as at first."""
    ListLayout.objects.filter(user=user_id, page=page).delete()


def _known(names: Iterable[str]) -> tuple[Column, ...]:
    return tuple(BY_NAME[name] for name in dict.fromkeys(names) if name in BY_NAME)
