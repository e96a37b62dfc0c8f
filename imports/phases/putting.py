"""What workers do at places of images: look, put an image there, and take it back."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from imports.backends.places import Places
from imports.backends.target_config import TargetConfig, opened
from imports.errors import BackendUnavailableError, ImageProblemError
from imports.ledger import Claim, KnownPlace, PlacementStage
from imports.work_item import Placement

_UNREADABLE = ""
"""In place of a hash: something is there that cannot be read."""


@dataclass(frozen=True, slots=True)
class PlaceTarget:
    """Where images are put.

    `trusts_sizes` says that what has the size of what a run put at a place is taken for that.
    """

    config: TargetConfig
    trusts_sizes: bool

    @property
    def places(self) -> Places:
        """This process's connections to the buckets."""
        return opened(self.config).places

    def content(self, place: Placement) -> str | None:
        """The hash of what is at a place, None if nothing is."""
        return None if self.places.size(place) is None else self.hash(place)

    def hash(self, place: Placement) -> str:
        """The hash of what is at a place, where something is."""
        try:
            return self.places.sha256(place)
        except ImageProblemError:
            return _UNREADABLE


class Looked(NamedTuple):
    """What was found at the place of an image: a hash, or None for nothing; else the problem."""

    claim: Claim
    here: str | None = None
    problem: str | None = None
    in_doubt: bool = False


class PutJob(NamedTuple):
    """An image to put at its place, `over` what is there, as the ledger has noted it."""

    claim: Claim
    noted: KnownPlace
    over: bool


class Put(NamedTuple):
    """What became of an image; a problem is in doubt if the store did not blame the image."""

    claim: Claim
    problem: str | None = None
    in_doubt: bool = False


def by_folder(claims: list[Claim]) -> list[list[Claim]]:
    """Images whose places are side by side, together."""
    return [
        list(some)
        for _, some in groupby(
            claims, lambda claim: (claim.place.bucket, claim.place.path.rpartition("/")[0])
        )
    ]


def look_in(target: PlaceTarget, claims: list[Claim]) -> list[Looked]:
    """Looks what is at the places of images in one folder, which most often is not there yet.

    Raises:
        BackendUnavailableError: if the store does not answer to anything any more.
    """
    bucket, path = claims[0].place
    folder = path.rpartition("/")[0]
    if folder and len(claims) > 1:
        # If that cannot be answered, the matter shows with the single ones.
        with suppress(ImageProblemError, BackendUnavailableError):
            if target.places.is_empty(Placement(bucket, folder)):
                return [Looked(claim) for claim in claims]
    return [_look_at(target, claim) for claim in claims]


def _look_at(target: PlaceTarget, claim: Claim) -> Looked:
    place, image, known = claim.place, claim.image, claim.known
    ours = known is not None and known.stage is PlacementStage.STANDS
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
        return Looked(claim, problem=_problem(target, claim, error), in_doubt=True)


def put_image(target: PlaceTarget, job: PutJob) -> Put:
    """Puts an image at its place, after a copy was made of what it replaces there.

    Raises:
        BackendUnavailableError: if the store does not answer to anything any more.
    """
    claim, places, copy = job.claim, target.places, job.noted.copy
    try:
        if copy is not None:
            if target.content(copy) != job.noted.previous:
                places.copy(claim.place, copy)
            if target.content(copy) != job.noted.previous:
                return Put(claim, problem=_foreign(claim, "meanwhile "))
        stored = places.put(claim.place, claim.image, over=job.over)
        # A first try may have reached the store, and its answer not us.
        if not stored and target.content(claim.place) != claim.image.sha256:
            return Put(claim, problem=_foreign(claim, "meanwhile "))
    except ImageProblemError as error:
        return Put(claim, problem=str(error))
    except BackendUnavailableError as error:
        return Put(claim, problem=_problem(target, claim, error), in_doubt=True)
    return Put(claim)


def _problem(target: PlaceTarget, claim: Claim, error: BackendUnavailableError) -> str:
    """The problem with one image, if the store still answers: the others shall go on."""
    target.places.blame_image(claim.place, error)
    return f"image {claim.image.file.path}: {error}"


def take_back(target: PlaceTarget, known: KnownPlace) -> tuple[KnownPlace, str | None]:
    """Brings back what was at a place before; what somebody else has put there since stays.

    What the user must know of it comes second.

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
            left = f"{known.place} had another image before, and its copy {known.copy} is gone"
    remove_copy(target, known)
    return known, left


def remove_copy(target: PlaceTarget, known: KnownPlace) -> KnownPlace:
    """Removes the copy of what was at a place before, if there is one.

    Raises:
        BackendUnavailableError: if the store does not answer.
    """
    if known.copy is not None:
        target.places.remove(known.copy)
    return known


def decided(claim: Claim, here: str | None, run_name: str, *, replace: bool) -> KnownPlace | str:
    """What the ledger is to note of a place, of which it has looked what is `here`.

    An image is put there if that is `putting`. A text is the reason for which it cannot be put:
    nobody asked us to `replace` what is there.
    """
    place, sha256, known = claim.place, claim.image.sha256, claim.known
    if known is not None and known.stage in (PlacementStage.PUTTING, PlacementStage.PUT):
        # It waits for this image: any other one was taken back before.
        if here == sha256:
            return known._replace(stage=PlacementStage.PUT)
        if here == known.previous or (here == _UNREADABLE and known.kept is None):
            return known._replace(stage=PlacementStage.PUTTING)
        return _foreign(claim, "meanwhile ")
    ours = known is not None and known.stage is PlacementStage.STANDS
    if here == sha256:
        stays = ours and known is not None and known.sha256 == sha256
        return KnownPlace(place, sha256, PlacementStage.STANDS if stays else PlacementStage.FOUND)
    new = KnownPlace(place, sha256, PlacementStage.PUTTING)
    if here is None:
        return new
    if not replace and not (ours and known is not None and here in (known.sha256, _UNREADABLE)):
        return _foreign(claim, "")
    if here == _UNREADABLE:
        return new
    before = known.stage if known is not None and known.sha256 == here else None
    return new._replace(kept=_kept(place, run_name), previous=here, previous_stage=before)


def _kept(place: Placement, run_name: str) -> str:
    """The path of a copy: hidden, in the same bucket, and of this run alone."""
    name = hashlib.blake2b(f"{run_name}/{place}".encode(), digest_size=16).hexdigest()
    return f".importer/{name[:2]}/{name[2:]}"


def _foreign(claim: Claim, when: str) -> str:
    return (
        f"image {claim.image.file.path} belongs at {claim.place}, where {when}somebody else has put"
        " another image. That one was left as it is. Look at it; to replace it, import this one"
        " again with --force"
    )
