"""A cache of insights that a program works on."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any


class MemoryManager:
    """Keeps the items that were used last, at most `max_items`.

    With `use_weak_references`, an item also goes when nothing else refers to it.
    """

    def __init__(self, max_items: int = 1000, use_weak_references: bool = True) -> None:
        """Begins empty."""
        self.max_items = max_items
        self.use_weak_references = use_weak_references
        self._items: OrderedDict[str, Callable[[], Any]] = OrderedDict()

    def add_item(self, key: str, item: object) -> None:
        """Adds an item, or replaces it; the one that was not used for longest makes room."""
        self._items.pop(key, None)
        self._items[key] = self._reference(item)
        while len(self._items) > self.max_items:
            self._items.popitem(last=False)

    def get_item(self, key: str) -> Any:
        """The item; None if it is not here."""
        reference = self._items.get(key)
        item = None if reference is None else reference()
        if item is None:
            self._items.pop(key, None)
        else:
            self._items.move_to_end(key)
        return item

    def remove_item(self, key: str) -> None:
        """Removes an item, if it is here."""
        self._items.pop(key, None)

    def clear(self) -> None:
        """Removes all items."""
        self._items.clear()

    def get_stats(self) -> dict[str, Any]:
        """How many items there are, and the settings."""
        for key in [key for key, reference in self._items.items() if reference() is None]:
            del self._items[key]
        return {
            "cached_items": len(self._items),
            "max_items": self.max_items,
            "use_weak_references": self.use_weak_references,
            "access_order_length": len(self._items),
        }

    def _reference(self, item: object) -> Callable[[], Any]:
        if self.use_weak_references:
            try:
                return weakref.ref(item)
            except TypeError:
                pass  # a string, for example, has no weak references
        return lambda: item
