"""The workers of placements: look at a place, put an image there, and take it back."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from imports.backends.places import Places
from imports.backends.target_config import TargetConfig, opened
from imports.errors import BackendUnavailableError, ImageProblemError
from imports.items.images import Placement
from imports.ledger import Claim, KnownPlace, PlacementStage

_VARIED = 2
"""Letters at the end of a folder's name: one request is for all that differ only in them."""

_UNREADABLE = ""
"""Instead of a hash: the content of the place cannot be read."""


@dataclass(frozen=True, slots=True)
class PlaceTarget:
    """Where images are put.

    `trusts_sizes`: an image of the expected size counts as the one that a run put there.
    """

    config: TargetConfig
    trusts_sizes: bool

    @property
    def places(self) -> Places:
        """This process's connections to the buckets."""
        return opened(self.config).places

    def content(self, place: Placement) -> str | None:
        """The hash of the content of a place; None if the place is empty."""
        return None if self.places.size(place) is None else self.hash(place)

    def hash(self, place: Placement) -> str:
        """The hash of the content of a place that is not empty."""
        try:
            return self.places.sha256(place)
        except ImageProblemError:
            return _UNREADABLE


class Looked(NamedTuple):
    """The content of an image's place: its hash, or None if it is empty; or the problem."""

    claim: Claim
    here: str | None = None
    problem: str | None = None
    unexplained: bool = False


class PutJob(NamedTuple):
    """An image to put at its place, as recorded in the ledger; `over` overwrites the content."""

    claim: Claim
    noted: KnownPlace
    over: bool


class Put(NamedTuple):
    """The result of putting an image; `unexplained`: the store did not name the image as reason."""

    claim: Claim
    problem: str | None = None
    unexplained: bool = False


def side_by_side(claims: list[Claim]) -> list[list[Claim]]:
    """Groups images whose folders are in one folder and begin with the same letters."""
    return [list(some) for _, some in groupby(claims, _beginning)]


def _beginning(claim: Claim) -> tuple[Placement, str]:
    """Where the folder of an image is, and the beginning of its name: all but two letters."""
    parent, _, name = claim.place.path.rpartition("/")[0].rpartition("/")
    return Placement(claim.place.bucket, parent), name[:-_VARIED]


def in_new_folders(target: PlaceTarget, claims: list[Claim]) -> set[Placement]:
    """The places of a group that are certainly empty: their folders do not exist yet, as usually.

    Raises:
        BackendUnavailableError: if the store does not answer any request.
    """
    parent, beginning = _beginning(claims[0])
    names = None
    if len(claims) > 1:
        # If this request fails, the requests for single images report the problem.
        with suppress(ImageProblemError, BackendUnavailableError):
            names = target.places.names(parent, beginning)
    if names is None:
        return set()
    places = [claim.place for claim in claims if "/" in claim.place.path]
    return {place for place in places if place.path.split("/")[-2] not in names}


def look_at(target: PlaceTarget, claim: Claim) -> Looked:
    """Looks at the place of an image.

    Raises:
        BackendUnavailableError: if the store does not answer any request.
    """
    place, image, known = claim.place, claim.image, claim.known
    ours = known is not None and known.stage is PlacementStage.COMMITTED
    try:
        size = target.places.size(place)
        if size is None:
            return Looked(claim)
        same = ours and known is not None and known.sha256 == image.sha256
        if same and target.trusts_sizes and size == image.file.signature.size:
            return Looked(claim, image.sha256)
        return Looked(claim, target.hash(place))
    except ImageProblemError as error:
        return Looked(claim, problem=str(error))
    except BackendUnavailableError as error:
        return Looked(claim, problem=_problem(target, claim, error), unexplained=True)


def put_image(target: PlaceTarget, job: PutJob) -> Put:
    """Copies the image that is to be replaced, and puts an image at its place.

    Raises:
        BackendUnavailableError: if the store does not answer any request.
    """
    claim, places, copy = job.claim, target.places, job.noted.copy
    try:
        if copy is not None:
            if target.content(copy) != job.noted.previous:
                places.copy(claim.place, copy)
            if target.content(copy) != job.noted.previous:
                return Put(claim, problem=_foreign_image(claim, "meanwhile "))
        stored = places.put(claim.place, claim.image, over=job.over)
        # A first attempt may have succeeded, and its response been lost.
        if not stored and target.content(claim.place) != claim.image.sha256:
            return Put(claim, problem=_foreign_image(claim, "meanwhile "))
    except ImageProblemError as error:
        return Put(claim, problem=str(error))
    except BackendUnavailableError as error:
        return Put(claim, problem=_problem(target, claim, error), unexplained=True)
    return Put(claim)


def _problem(target: PlaceTarget, claim: Claim, error: BackendUnavailableError) -> str:
    """The problem of one image, if the store still answers: the other images continue."""
    target.places.blame_image(claim.place, error)
    return f"image {claim.image.file.path}: {error}"


def take_back(target: PlaceTarget, known: KnownPlace) -> tuple[KnownPlace, str | None]:
    """Restores the earlier content of a place, unless somebody else has changed it since.

    Returns the place, and a message for the user, if one is needed.

    Raises:
        BackendUnavailableError: if the store does not answer.
    """
    here = target.content(known.place)
    left = None
    if here not in (None, known.sha256, known.previous):
        left = f"{known.place} has an image that no run of ours has put there: it stays"
    elif known.copy is None:
        if here is not None:
            target.places.remove(known.place)
    elif here != known.previous:
        if target.content(known.copy) == known.previous:
            target.places.copy(known.copy, known.place)
        else:
            left = (
                f"{known.place}: the earlier image is not restored, its copy {known.copy} is gone"
            )
    remove_copy(target, known)
    return known, left


def remove_copy(target: PlaceTarget, known: KnownPlace) -> KnownPlace:
    """Removes the copy of the earlier content of a place, if there is one.

    Raises:
        BackendUnavailableError: if the store does not answer.
    """
    if known.copy is not None:
        target.places.remove(known.copy)
    return known


def decide_place(
    claim: Claim, here: str | None, run_name: str, *, replace: bool
) -> KnownPlace | str:
    """Decides what the ledger records of a place that has `here`, or why no image can be put there.

    If the stage is `putting`, the image is to be put there. A text is the reason against it: the
    place has another image, and `replace` is false.
    """
    place, sha256, known = claim.place, claim.image.sha256, claim.known
    if known is not None and known.stage in (PlacementStage.PUTTING, PlacementStage.PUT):
        # The place is waiting for this image: any other image was taken back before.
        if here == sha256:
            return known._replace(stage=PlacementStage.PUT)
        if here == known.previous or (here == _UNREADABLE and known.kept is None):
            return known._replace(stage=PlacementStage.PUTTING)
        return _foreign_image(claim, "meanwhile ")
    ours = known is not None and known.stage is PlacementStage.COMMITTED
    if here == sha256:
        stays = ours and known is not None and known.sha256 == sha256
        return KnownPlace(
            place, sha256, PlacementStage.COMMITTED if stays else PlacementStage.FOUND
        )
    new = KnownPlace(place, sha256, PlacementStage.PUTTING)
    if here is None:
        return new
    if not replace and not (ours and known is not None and here in (known.sha256, _UNREADABLE)):
        return _foreign_image(claim, "")
    if here == _UNREADABLE:
        return new
    before = known.stage if known is not None and known.sha256 == here else None
    return new._replace(kept=_kept(place, run_name), previous=here, previous_stage=before)


def _kept(place: Placement, run_name: str) -> str:
    """The path of a copy: hidden, in the same bucket, only for this run."""
    name = hashlib.blake2b(f"{run_name}/{place}".encode(), digest_size=16).hexdigest()
    return f".importer/{name[:2]}/{name[2:]}"


def _foreign_image(claim: Claim, when: str) -> str:
    return (
        f"image {claim.image.file.path} belongs at {claim.place}, where {when}somebody else has put"
        " another image. That image stays unchanged. Check it; to replace it, import this one"
        " again with --force"
    )
