"""How a list looks to the one who looks: which columns in which order, how dense, and how many rows a page has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from base import machine
from spool.console.listing import Column
from spool.console.tabs import columns_of
from spool.filters.pages import PAGE_SIZE
from spool.models import Density, ListLayout

PAGE_SIZES: Final = (25, PAGE_SIZE, 100, 200)


@dataclass(frozen=True, slots=True)
class Layout:
    """What somebody chose for a list, or what it has at first."""

    columns: tuple[Column, ...]
    others: tuple[Column, ...]
    density: str = Density.COMFORTABLE.value
    page_size: int = PAGE_SIZE

    @property
    def choices(self) -> list[tuple[Column, bool]]:
        """Every column, and whether it is shown: those that are first, in their order."""
        return [(column, True) for column in self.columns] + [(column, False) for column in self.others]

    def shows(self, *names: str) -> bool:
        """Whether one of these columns is shown: what it says has to be looked up then."""
        return any(column.name in names for column in self.columns)


def layout_of(user_id: int | None, page: str) -> Layout:
    """What the user chose for the list at that URL's name."""
    choosable = columns_of(page)
    kept = ListLayout.objects.filter(user=user_id, page=page).first()
    columns = (choosable.named(kept.columns) if kept else ()) or choosable.at_first
    others = tuple(column for column in choosable.columns if column not in columns and _has_use(column))
    if kept is None:
        return Layout(columns, others)
    return Layout(columns, others, kept.density, kept.page_size if kept.page_size in PAGE_SIZES else PAGE_SIZE)


def _has_use(column: Column) -> bool:
    """Which machine took a message in says nothing where there is one."""
    return column.name != "machine" or bool(machine.noted())


def arranged(layout: Layout) -> dict[str, Any]:
    """What the template of a list says of its layout, and the form that changes it (`_layout.html`)."""
    return {"layout": layout, "densities": Density.choices, "page_sizes": PAGE_SIZES}


def keep(user_id: int, page: str, names: Iterable[str], density: str, page_size: str) -> None:
    """Write down what the user chose; what does not exist counts as not chosen."""
    chosen = {
        "columns": [column.name for column in columns_of(page).named(names)],
        "density": density if density in Density.values else Density.COMFORTABLE.value,
        "page_size": next((size for size in PAGE_SIZES if str(size) == page_size), PAGE_SIZE),
    }
    ListLayout.objects.update_or_create(user_id=user_id, page=page, defaults=chosen)


def forget(user_id: int, page: str) -> None:
    """The list looks as at first."""
    ListLayout.objects.filter(user=user_id, page=page).delete()
