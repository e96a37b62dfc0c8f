"""Doubts: whether records that were refused are to blame, or the target and what lies before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from imports.errors import BackendUnavailableError
from imports.ledger.cause import cause_of

if TYPE_CHECKING:
    from imports.phases.merging import Imported

_MOST_IN_A_ROW = 3
"""If so many records are refused one after the other, for one cause, they are hardly to blame."""


class Doubts:
    """What became of batches of which the target judged nothing: held back until it judges one."""

    def __init__(self, tried: Callable[[], Collection[int]]) -> None:
        """`tried` tells the items that failed in an earlier run: that one had no doubt of them."""
        self._tried = tried
        self._held: list[Imported] = []
        self._causes: Counter[str] = Counter()

    def take(self, imported: Imported) -> list[Imported]:
        """What is believed, now that this became of a batch.

        Raises:
            BackendUnavailableError: if the target, or what lies before it, must be the matter.
        """
        if not imported.doubtful:
            if not imported.judged:
                return [imported]
            return [*self.rest(), imported]
        self._held.append(imported)
        tried = self._tried()
        for item_id, reason in imported.doubtful:
            if item_id not in tried:
                self._causes[cause_of(reason)] += 1
        if max(self._causes.values(), default=0) >= _MOST_IN_A_ROW:
            raise BackendUnavailableError(
                f"{self._causes.total():,} records, one after the other, do not go in, and the"
                " database finds no fault with a value in them. So the target is the matter, or"
                f" what lies before it: {imported.doubtful[0][1].rstrip('.')}. They are not called"
                " failed, and their files stay where they are.",
                divisible=False,
            )
        return []

    def rest(self) -> list[Imported]:
        """What was held back. It is few, and a merge of nothing went through after each of it."""
        held, self._held = self._held, []
        self._causes.clear()
        return held
