"""Unexplained refusals: whether the refused records or images are the cause, or the target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from imports.errors import BackendUnavailableError
from imports.ledger.cause import cause_of

if TYPE_CHECKING:
    from imports.phases.merging import Imported
    from imports.run.session import RunSession

_MOST_IN_A_ROW = 3
"""If this many records in a row are refused for one cause, the target is probably the cause."""


MAX_IMAGES = 10
"""If none is stored, no more than this many images are tried."""

_MIN_IMAGES = 3
"""If none of at least this many images can be stored, the store is probably the cause."""


def judge_images(session: RunSession, refused: list[tuple[str, str]]) -> None:
    """Judges images that the store refused without naming them, while it has stored none.

    `refused` has the hash and the problem of each. Images that failed in an earlier run do not
    count.

    Raises:
        BackendUnavailableError: if the store, or a proxy before it, is the probable cause.
    """
    if len(refused) < _MIN_IMAGES:
        return
    if len(session.images.untried([sha256 for sha256, _ in refused])) < _MIN_IMAGES:
        return
    raise BackendUnavailableError(
        f"None of {len(refused):,} images can be stored, and the image store names none of them as"
        " the reason. So the cause is probably the image store, or a proxy before it:"
        f" {refused[0][1].rstrip('.')}. No file is recorded as failed.",
        divisible=False,
    )


class UnexplainedRefusals:
    """Holds back batches with only unexplained refusals, until the target judges a record."""

    def __init__(self, tried: Callable[[], Collection[int]]) -> None:
        """`tried` returns the items that an earlier run recorded as failed: these do not count."""
        self._tried = tried
        self._held: list[Imported] = []
        self._causes: Counter[str] = Counter()

    def take(self, imported: Imported) -> list[Imported]:
        """Takes the result of a batch, and returns the results that can be recorded now.

        Raises:
            BackendUnavailableError: if the target, or a proxy before it, is the probable cause.
        """
        if not imported.unexplained:
            if not imported.judged:
                return [imported]
            return [*self.rest(), imported]
        self._held.append(imported)
        tried = self._tried()
        for item_id, reason in imported.unexplained:
            if item_id not in tried:
                self._causes[cause_of(reason)] += 1
        if max(self._causes.values(), default=0) >= _MOST_IN_A_ROW:
            raise BackendUnavailableError(
                f"{self._causes.total():,} records in a row were refused, and the database names"
                " no wrong value in them. So the cause is probably the target, or a proxy before"
                f" it: {imported.unexplained[0][1].rstrip('.')}. The records are not recorded as"
                " failed, and their files stay.",
                divisible=False,
            )
        return []

    def rest(self) -> list[Imported]:
        """The results that are held back: only a few, and an empty merge succeeded after each."""
        held, self._held = self._held, []
        self._causes.clear()
        return held
