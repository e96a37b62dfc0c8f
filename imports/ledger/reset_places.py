"""The places of images that a reset looks at: those that a run put, or whose rows it deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from imports.ledger.placements import KnownPlace, PlacementLedger
from imports.ledger.scope import Scope

SIZE = "(select size from image where image.sha256 = placement.sha256 limit 1)"
"""The SQL for the size of the image at a place, NULL if it is not known."""


class MarkedPlace(NamedTuple):
    """A place that a reset looks at, and the size of its image, None if that is not known."""

    known: KnownPlace
    size: int | None


class ResetPlaces(PlacementLedger):
    """The places in the target of runs that a reset looks at; `undo_runs` marks them."""

    def __init__(self, scope: Scope, target_id: str, run_names: Iterable[str]) -> None:
        """Works on runs of a target; the scope is that of one of them."""
        super().__init__(scope, target_id)
        self._run_names = tuple(run_names)

    def unfinished(self, size: int) -> Iterator[list[MarkedPlace]]:
        """The places that wait for rows of the runs, in lists of `size`: they are taken back."""
        runs = ", ".join("'{}'".format(each.replace("'", "''")) for each in self._run_names)
        return self._marked(f"stage in ('putting', 'put') and batch_id in ({runs})", size)

    def marked(self, size: int) -> Iterator[list[MarkedPlace]]:
        """The marked places, in lists of `size`; those of other resets too, if any are left."""
        return self._marked("in_reset", size)

    def keep(self, places: Iterable[KnownPlace]) -> None:
        """Records that rows name the images at these places: they stay."""
        self._for_each("update placement set in_reset = 0", places)

    def forget(self, places: Iterable[KnownPlace]) -> None:
        """Records that these places have no image of ours any more."""
        self._for_each("delete from placement", places)

    def _marked(self, where: str, size: int) -> Iterator[list[MarkedPlace]]:
        for places in self._known(where, size):
            yield [MarkedPlace(known, self._size(known)) for known in places]

    def _size(self, known: KnownPlace) -> int | None:
        row = self._scope.connection.execute(
            "select size from image where sha256 = ? limit 1", (known.sha256,)
        ).fetchone()
        return None if row is None else int(row[0])

    def _for_each(self, change: str, places: Iterable[KnownPlace]) -> None:
        with self._scope.file.transaction() as connection:
            connection.executemany(
                f"{change} where target_id = ? and place = ?",
                [(self._target_id, str(known.place)) for known in places],
            )
