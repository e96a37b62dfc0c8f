"""Placements: images that go to places of their own, where other images may be.

The place is the unit: what an earlier run put there is replaced. Until the rows of an image's item
are in, a copy of that is kept, and it is put back if they do not go in. In which order:

1. It is looked what is at the place.
2. The ledger notes what this run is about to put there, and what it replaces.
3. That is copied to a hidden path of the bucket.
4. The image is put at its place, and the ledger notes that.
5. Import merges the rows; the ledger notes that the item is imported.
6. The ledger notes that the image stays there (`settle`), and the copy is removed.

If the item fails, the place is taken back in place of the last two. A crash between two steps
leaves what the next run goes on with, or takes back. What no run of this ledger has put at a place
is neither overwritten nor removed, unless the user asks for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from imports.errors import BackendUnavailableError
from imports.ledger import Claim, KnownPlace, PlacementStage
from imports.phases.putting import (
    PlaceTarget,
    Put,
    PutJob,
    by_folder,
    decided,
    look_in,
    put_image,
    remove_copy,
    take_back,
)
from imports.work_item import Phase, RowOutcome
from imports.workers.executors import run_bounded

if TYPE_CHECKING:
    from imports.run.session import RunSession

_log = logging.getLogger("imports.run")

J = TypeVar("J")
R = TypeVar("R")

PAGE = 500
"""So many places are looked at, noted in one transaction of the ledger, and then put."""

_FEWEST_DOUBTED = 3
"""If no image can be put at its place, and they are so many, it is hardly their fault."""

_MOST_DOUBTED = 10
"""At so many nobody tries on."""


def place_images(session: RunSession) -> None:
    """Puts the images of unfinished items that have places of their own at these places.

    An image that cannot be put there fails its items.

    Raises:
        BackendUnavailableError: if the store does not answer, or takes no image at all.
    """
    if not session.placements.is_used:
        return
    settle_placements(session)
    total = session.placements.open_claims(again=session.state.repairing)
    if rivals := session.placements.rivals():
        for rival in rivals:
            reason = (
                f"Image upload failed: {rival.place} is also the place of another image, of"
                f" {rival.later}, which comes later: that one is stored there"
            )
            _fail(session, rival.place, reason, session.items.record_rival(rival.item_id, reason))
        total = session.placements.open_claims(again=session.state.repairing)
    if not total:
        return
    session.ledger.bring_to_disk()
    session.display.begin(Phase.UPLOAD, total)
    target = _target(session)
    prepared: set[str] = set()
    doubts = _Doubts(session)
    for claims in session.placements.claims(PAGE):
        for bucket in {claim.place.bucket for claim in claims} - prepared:
            if notice := session.ask(session.target.places.bucket(bucket).prepare):
                session.notice(notice)
            prepared.add(bucket)
        for put in _put_page(session, target, doubts, claims):
            if put.problem is not None:
                reason = f"Image upload failed: {put.problem}"
                place = str(put.claim.place)
                paths = session.items.record_placement_failure(place, reason)
                _fail(session, place, reason, paths)
        session.advance(Phase.UPLOAD, len(claims))
        session.raise_if_stopping()


def settle_placements(session: RunSession) -> None:
    """Takes back what was put at places for items that did not go in, and forgets the copies.

    Not what was put for items that are yet to be imported.
    """
    if not session.placements.is_used:
        return
    session.placements.settle()
    target = _target(session)
    for places in session.placements.undone(PAGE):
        taken = []
        for known, left in _each(session, partial(take_back, target), places):
            taken.append(known)
            _log.info("%s: taken back", known.place)
            if left is not None:
                session.notice(left)
        session.placements.record_taken_back(taken, {"upload.taken_back": len(taken)})
        session.raise_if_stopping()
    for places in session.placements.with_copies(PAGE):
        removed = list(_each(session, partial(remove_copy, target), places))
        session.placements.forget_copies(removed)
        session.raise_if_stopping()


def passed_over(merged: list[tuple[int, RowOutcome, str]]) -> set[int]:
    """The items of which all records were skipped, since the target has newer ones."""
    written = {item_id for item_id, outcome, _ in merged if outcome is not RowOutcome.SKIPPED}
    return {item_id for item_id, _, _ in merged} - written


def _put_page(
    session: RunSession, target: PlaceTarget, doubts: _Doubts, claims: list[Claim]
) -> list[Put]:
    """What became of some images, as the ledger notes it before and after they are put."""
    outcomes: list[Put] = []
    jobs: list[PutJob] = []
    there: list[KnownPlace] = []
    looked = chain.from_iterable(_each(session, partial(look_in, target), by_folder(claims)))
    for claim, here, problem, in_doubt in looked:
        noted = problem if problem is not None else _decided(session, claim, here)
        if isinstance(noted, str):
            outcomes.append(doubts.take(Put(claim, noted, in_doubt)))
        elif noted.stage is PlacementStage.PUTTING:
            jobs.append(PutJob(claim, noted, over=here is not None))
        else:
            there.append(noted)
            outcomes.append(Put(claim))
    session.raise_if_stopping()
    noted_first = [*there, *(job.noted for job in jobs)]
    session.placements.note(noted_first, {"upload.skipped": len(there)})
    put = [doubts.take(each) for each in _each(session, partial(put_image, target), jobs)]
    done = {each.claim.place for each in put if each.problem is None}
    session.placements.note(
        [job.noted._replace(stage=PlacementStage.PUT) for job in jobs if job.claim.place in done],
        {"upload.completed": len(done)},
    )
    doubts.end()
    return outcomes + put


def _decided(session: RunSession, claim: Claim, here: str | None) -> KnownPlace | str:
    known = claim.known
    # That it is not what it was, is what is to be mended.
    mended = session.state.repairing and known is not None and known.sha256 == claim.image.sha256
    replace = session.settings.force or mended
    return decided(claim, here, session.state.run_name, replace=replace)


class _Doubts:
    """Images that the store did not take, and for none of which it named the image as the reason.

    While it has taken none at all, it is hardly their fault that many are not.
    """

    def __init__(self, session: RunSession) -> None:
        self._session = session
        self._doubted: list[Put] = []
        self._works = False

    def take(self, put: Put) -> Put:
        """Takes what became of an image.

        Raises:
            BackendUnavailableError: if the store must be the matter.
        """
        self._works = self._works or put.problem is None
        if put.in_doubt:
            self._doubted.append(put)
            if len(self._doubted) >= _MOST_DOUBTED:
                self.end()
        return put

    def end(self) -> None:
        """Takes in that no more images of a page come; raises as `take` does."""
        doubted, self._doubted = self._doubted, []
        if self._works or len(doubted) < _FEWEST_DOUBTED:
            return
        hashes = [put.claim.image.sha256 for put in doubted]
        if len(self._session.images.untried(hashes)) < _FEWEST_DOUBTED:
            return
        problem = (doubted[0].problem or "").rstrip(".")
        raise BackendUnavailableError(
            f"Of {len(doubted):,} images none can be stored, and for none the image is named as"
            f" the reason. So the image store is the matter, or what lies before it: {problem}. No"
            " file is called failed for it.",
            divisible=False,
        )


def _fail(session: RunSession, place: str, reason: str, paths: list[str]) -> None:
    session.add_counts({"upload.failed": 1})
    _log.error("%s: %s", place, reason)
    session.tell_failures(Phase.UPLOAD, [(path, reason) for path in paths])


def _target(session: RunSession) -> PlaceTarget:
    trusts = not session.state.repairing
    return PlaceTarget(session.target.config, trusts_sizes=trusts)


def _each(session: RunSession, do: Callable[[J], R], jobs: Iterable[J]) -> Iterator[R]:
    return run_bounded(
        session.workers.for_waiting(),
        do,
        jobs,
        in_flight=session.settings.max_concurrent_uploads,
        stop=session.policy.stop,
    )
