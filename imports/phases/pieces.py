"""Large work items: the coordinator reads them once, from front to back, in pieces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imports.errors import NotOursError
from imports.phases.prepare import PIECE_RECORDS, PieceJob, reason_of

if TYPE_CHECKING:
    from imports.items.work_item import WorkItem
    from imports.run.session import RunSession
    from imports.source.cleaning import Tally


class PieceReader:
    """Reads the pieces of one large item.

    After the last piece, `problem` says why reading failed, if it did, and `stays` whether the file
    is not of this kind; `cleaned` counts the values that were cleaned.
    """

    def __init__(self, session: RunSession, item: WorkItem) -> None:
        """Opens nothing yet."""
        self._session = session
        self._item = item
        self.problem: str | None = None
        self.stays = False
        self.cleaned: Tally = Counter()

    def jobs(self) -> Iterator[PieceJob]:
        """The pieces that are not imported yet, in order."""
        session, item = self._session, self._item
        read = session.kind.pieces
        if read is None:
            return
        row_format = session.target.database.row_format
        try:
            for piece in read(
                session.source,
                item.path,
                item.signature,
                item.records_done,
                PIECE_RECORDS,
                self.cleaned,
            ):
                if piece.size:
                    yield PieceJob(session.kind.name, row_format, item, piece)
        except Exception as error:  # noqa: BLE001 - a defect must cost one item, not the run
            self.problem = reason_of(error)
            self.stays = isinstance(error, NotOursError)
