"""Placements: images that go to places of their own, where other images may be.

A place has one image: a new image replaces that of an earlier run. The replaced image is copied
first, and restored if the item fails. The order is:

1. Look at what is at the place.
2. Record in the ledger what this run will put there, and what it replaces.
3. Copy the old image to a hidden path of the bucket.
4. Put the image at its place, and record that in the ledger.
5. Import: merge the rows, and record in the ledger that the item is imported.
6. Record in the ledger that the image stays (`commit`), and remove the copy.

If the item fails, the place is taken back instead of steps 5 and 6. After a crash between two
steps, the next run continues, or takes the place back. An image that no run of this ledger has
put at a place is neither overwritten nor removed, unless the user requests it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

from imports.items.phase import Phase
from imports.items.records import RowOutcome
from imports.ledger import Claim, KnownPlace, PlacementStage
from imports.phases.putting import (
    Looked,
    PlaceTarget,
    Put,
    PutJob,
    decide_place,
    in_new_folders,
    look_at,
    put_image,
    remove_copy,
    side_by_side,
    take_back,
)
from imports.phases.unexplained import MAX_IMAGES, judge_images
from imports.workers.executors import run_bounded

if TYPE_CHECKING:
    from imports.run.session import RunSession

_log = logging.getLogger("imports.run")

J = TypeVar("J")
R = TypeVar("R")

PAGE = 500
"""Places that are checked, recorded in one transaction of the ledger, and filled together."""


def place_images(session: RunSession) -> None:
    """Puts the images of unfinished items that have places of their own at these places.

    An image that cannot be put there fails its items.

    Raises:
        BackendUnavailableError: if the store does not answer, or accepts no image.
    """
    if not session.placements.is_used:
        return
    finish_placements(session)
    total = session.placements.open_claims(again=session.state.repairing)
    if conflicts := session.placements.conflicts():
        for conflict in conflicts:
            reason = (
                f"Image upload failed: {conflict.place} is also the place of an image of"
                f" {conflict.later}, which comes later: that image is stored there"
            )
            _fail(
                session,
                conflict.place,
                reason,
                session.items.record_conflict(conflict.item_id, reason),
            )
        total = session.placements.open_claims(again=session.state.repairing)
    if not total:
        return
    session.ledger.bring_to_disk()
    session.display.begin(Phase.UPLOAD, total)
    target = _target(session)
    prepared: set[str] = set()
    refused = _UnexplainedPuts(session)
    for claims in session.placements.claims(PAGE):
        for bucket in {claim.place.bucket for claim in claims} - prepared:
            if notice := session.ask(session.target.places.bucket(bucket).prepare):
                session.notice(notice)
            prepared.add(bucket)
        for put in _put_page(session, target, refused, claims):
            if put.problem is not None:
                reason = f"Image upload failed: {put.problem}"
                place = str(put.claim.place)
                paths = session.items.record_placement_failure(place, reason)
                _fail(session, place, reason, paths)
        session.advance(Phase.UPLOAD, len(claims))
        session.raise_if_stopping()


def finish_placements(session: RunSession) -> None:
    """Takes back the places of items that failed, and removes the copies of imported ones.

    The places of unfinished items stay.
    """
    if not session.placements.is_used:
        return
    session.placements.commit()
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


def skipped_items(merged: list[tuple[int, RowOutcome, str]]) -> set[int]:
    """The items whose records were all skipped: the target has newer ones, or guards its own."""
    not_written = (RowOutcome.SKIPPED, RowOutcome.GUARDED)
    written = {item_id for item_id, outcome, _ in merged if outcome not in not_written}
    return {item_id for item_id, _, _ in merged} - written


def _put_page(
    session: RunSession, target: PlaceTarget, refused: _UnexplainedPuts, claims: list[Claim]
) -> list[Put]:
    """Puts some images, records them in the ledger before and after, and returns the results."""
    outcomes: list[Put] = []
    jobs: list[PutJob] = []
    there: list[KnownPlace] = []
    # A thread needs more time to take a job than to copy a small file.
    at_once = session.target.places.bucket(claims[0].place.bucket).put_at_once
    for claim, here, problem, unexplained in _look(session, target, claims, at_once):
        noted = problem if problem is not None else _decide(session, claim, here)
        if isinstance(noted, str):
            outcomes.append(refused.take(Put(claim, noted, unexplained)))
        elif noted.stage is PlacementStage.PUTTING:
            jobs.append(PutJob(claim, noted, over=here is not None))
        else:
            there.append(noted)
            outcomes.append(Put(claim))
    session.raise_if_stopping()
    noted_first = [*there, *(job.noted for job in jobs)]
    session.placements.note(noted_first, {"upload.skipped": len(there)})
    put = [refused.take(each) for each in _each(session, partial(put_image, target), jobs, at_once)]
    stored = [each.claim for each in put if each.problem is None]
    done = {claim.place for claim in stored}
    session.placements.note(
        [job.noted._replace(stage=PlacementStage.PUT) for job in jobs if job.claim.place in done],
        {
            "upload.completed": len(done),
            "uploaded_bytes": sum(claim.image.file.signature.size for claim in stored),
        },
    )
    refused.end()
    return outcomes + put


def _look(
    session: RunSession, target: PlaceTarget, claims: list[Claim], at_once: int
) -> Iterator[Looked]:
    """Looks at the places of some images: first, with few requests, which have no folder yet."""
    found = _each(session, partial(in_new_folders, target), side_by_side(claims))
    empty = {*chain.from_iterable(found)}
    yield from (Looked(claim) for claim in claims if claim.place in empty)
    others = [claim for claim in claims if claim.place not in empty]
    yield from _each(session, partial(look_at, target), others, at_once)


def _decide(session: RunSession, claim: Claim, here: str | None) -> KnownPlace | str:
    known = claim.known
    # A repair replaces a wrong image at the place.
    repaired = session.state.repairing and known is not None and known.sha256 == claim.image.sha256
    replace = session.settings.force or repaired
    return decide_place(claim, here, session.state.run_name, replace=replace)


class _UnexplainedPuts:
    """Images that the store refused without naming the image as the reason.

    If it has accepted none and refused many, the store is probably the cause.
    """

    def __init__(self, session: RunSession) -> None:
        self._session = session
        self._unexplained: list[Put] = []
        self._works = False

    def take(self, put: Put) -> Put:
        """Takes the result of an image, and returns it.

        Raises:
            BackendUnavailableError: if the store is the probable cause.
        """
        self._works = self._works or put.problem is None
        if put.unexplained:
            self._unexplained.append(put)
            if len(self._unexplained) >= MAX_IMAGES:
                self.end()
        return put

    def end(self) -> None:
        """Ends a page of images; raises as `take` does."""
        refused = [(each.claim.image.sha256, each.problem or "") for each in self._unexplained]
        self._unexplained = []
        if not self._works:
            judge_images(self._session, refused)


def _fail(session: RunSession, place: str, reason: str, paths: list[str]) -> None:
    session.add_counts({"upload.failed": 1})
    _log.error("%s: %s", place, reason)
    session.write_failures(Phase.UPLOAD, [(path, reason) for path in paths])


def _target(session: RunSession) -> PlaceTarget:
    trusts = not session.state.repairing
    return PlaceTarget(session.target.config, trusts_sizes=trusts)


def _each(
    session: RunSession, do: Callable[[J], R], jobs: Iterable[J], at_once: int = 1
) -> Iterator[R]:
    """Yields the results of all jobs as they come; a thread takes `at_once` of them at a time."""
    remaining = iter(jobs)
    results = run_bounded(
        session.workers.for_waiting(),
        partial(_all, do),
        iter(lambda: [*islice(remaining, at_once)], []),
        in_flight=session.settings.max_concurrent_uploads,
        stop=session.policy.stop,
    )
    return chain.from_iterable(results)


def _all(do: Callable[[J], R], jobs: list[J]) -> list[R]:
    return [do(job) for job in jobs]
