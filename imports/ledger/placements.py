"""The ledger's memory of images that are stored at places of their own, not under their hash.

A run notes what it puts at a place before it does so. Until the rows of the image's item are in,
it is known what was there before, and where a copy of that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from imports.ledger.runs import add_counts
from imports.ledger.scope import Scope
from imports.work_item import Image, ImageFile, ItemState, PlacedImage, Placement, Signature


class PlacementStage(StrEnum):
    """What is known of a place; see the table `placement`."""

    PUTTING = "putting"
    PUT = "put"
    STANDS = "stands"
    FOUND = "found"


class KnownPlace(NamedTuple):
    """A place that a run has put an image at, or found one at, which has this hash.

    `kept` is the path, in the same bucket, of a copy of what it replaced; that has the hash
    `previous`, and is known as `previous_stage`, or not at all.
    """

    place: Placement
    sha256: str
    stage: PlacementStage
    kept: str | None = None
    previous: str | None = None
    previous_stage: PlacementStage | None = None

    @property
    def copy(self) -> Placement | None:
        """Where the copy of what it replaced is."""
        return None if self.kept is None else Placement(self.place.bucket, self.kept)


class Claim(NamedTuple):
    """An image of an unfinished item, its place, and what is known of that."""

    image: Image
    place: Placement
    known: KnownPlace | None


class Rival(NamedTuple):
    """An unfinished item with an image for a place, and a later one with another image for it."""

    item_id: int
    place: str
    later: str


_OPEN = "stage in ('putting', 'put')"
"""Said of places that wait for the rows of an item, so that SQLite takes the partial index."""

_CLAIMS = (
    "item_image join item on item.id = item_image.item_id"
    " join image on image.path = item_image.path"
)
_CLAIMS_AT = _CLAIMS.replace(" join ", " cross join ")
"""The same where the place is known: without that, SQLite would begin with all items."""

_OF_PLACE = (
    f"exists (select 1 from {_CLAIMS_AT} where item_image.place = placement.place"
    " and image.sha256 = placement.sha256"
    " and item.scope_id in (select id from scope where scope.target_id = placement.target_id)"
)
_WENT_IN = (
    f"{_OF_PLACE} and not passed_over and (item.state = 'imported' and exists ("
    " select 1 from batch where batch.id = imported_in and batch.batch_id = placement.batch_id)"
    " or item.state = 'failed' and succeeded > 0 and failed_in = placement.batch_id))"
)
"""Whether rows of an item that has this image there went in, by the run that put it."""

_WAITS = f"{_OF_PLACE} and item.state in ('listed', 'planned'))"
"""Whether an item that has this image there is yet to be imported."""

_IMAGE = (
    "image.path, image.size, image.mtime_ns, image.sha256, image.extension, image.content_type,"
    " image.width, image.height, image.flaw"
)
_KNOWN = "sha256, stage, kept, previous, previous_stage"


class PlacementLedger:
    """The places that the items of one scope have images for, in the scope's target."""

    def __init__(self, scope: Scope, target_id: str) -> None:
        """Works on a scope of an open ledger, and its target."""
        self._scope = scope
        self._target_id = target_id

    @property
    def is_used(self) -> bool:
        """Whether any item has, or had, an image with a place of its own."""
        images = "item_image indexed by item_image_place where place is not null"
        return self._exists("placement") or self._exists(images)

    # From the images of unfinished items to their places

    def open_claims(self, *, again: bool) -> int:
        """Gathers the images of unfinished items that this run has yet to see at their places.

        Those too that it has seen there, where they are to be looked at `again`; how many.
        """
        connection = self._scope.connection
        connection.execute("drop table if exists temp.claim")
        connection.execute(
            "create temp table claim as select item_image.place as at, min(image.path),"
            f" {_IMAGE.removeprefix('image.path, ')} from {_CLAIMS}"
            " left join placement on placement.target_id = :target"
            " and placement.place = item_image.place and placement.batch_id = :batch_id"
            " and placement.sha256 = image.sha256 and placement.stage <> 'putting'"
            f" where {self._scope.condition(ItemState.PLANNED)} and item_image.place is not null"
            " and image.sha256 is not null and (:again or placement.place is null)"
            " group by item_image.place order by item_image.place",
            {"target": self._target_id, "batch_id": self._scope.run_name, "again": again},
        )
        return int(connection.execute("select count(*) from temp.claim").fetchone()[0])

    def rivals(self) -> list[Rival]:
        """The unfinished items whose images are not for them to put: a later item has the place.

        Of items that have different images for one place, the last by path has it. Looks at the
        places that `open_claims` gathered.
        """
        of_scope = (
            f"item.state <> 'failed' and item.scope_id = {self._scope.id}"
            " and image.sha256 is not null"
        )
        ask = self._scope.connection.execute
        contested = ask(
            f"select at from temp.claim cross join {_CLAIMS_AT}"
            f" where item_image.place = at and {of_scope}"
            " group by at having count(distinct image.sha256) > 1"
        ).fetchall()
        found = []
        for (place,) in contested:
            (winner, *others) = ask(
                f"select item.path, image.sha256, item.id, item.state from {_CLAIMS_AT}"
                f" where item_image.place = ? and {of_scope} order by item.path desc",
                (place,),
            ).fetchall()
            found += [
                Rival(item_id, place, winner[0])
                for _, sha256, item_id, state in others
                if sha256 != winner[1] and state == ItemState.PLANNED
            ]
        return found

    def claims(self, size: int) -> Iterator[list[Claim]]:
        """What `open_claims` gathered, in lists of `size`, but for items that failed meanwhile."""
        last = 0
        while True:
            rows = self._scope.connection.execute(
                "select claim.rowid, claim.*,"
                f" {', '.join(f'placement.{name}' for name in _KNOWN.split(', '))}"
                " from temp.claim left join placement"
                " on placement.target_id = ? and placement.place = at"
                f" where claim.rowid > ? and exists (select 1 from {_CLAIMS_AT}"
                f" where item_image.place = at and {self._scope.condition(ItemState.PLANNED)})"
                " order by claim.rowid limit ?",
                (self._target_id, last, size),
            ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield [_claim(row[1:]) for row in rows]

    # What becomes of a place

    def note(self, places: Iterable[KnownPlace], counts: Mapping[str, int]) -> None:
        """Notes what this run is about to put at places, has put there, or has found there."""
        with self._scope.file.transaction() as connection:
            connection.executemany(
                "insert or replace into placement (target_id, place, batch_id,"
                f" {_KNOWN}) values (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (self._target_id, str(known.place), self._scope.run_name, *known[1:])
                    for known in places
                ],
            )
            add_counts(connection, self._scope.run_name, counts)

    def pass_over(self, item_ids: Iterable[int], passed_over: Iterable[int]) -> None:
        """Notes of items, before they are imported, whose images are not to stay at their places.

        That is so where the target has newer rows than theirs.
        """
        with self._scope.file.transaction() as connection:
            connection.execute(
                "update item_image set passed_over = item_id in (select value from json_each(?))"
                " where place is not null and item_id in (select value from json_each(?))",
                (orjson.dumps([*passed_over]).decode(), orjson.dumps([*item_ids]).decode()),
            )

    def settle(self) -> None:
        """Notes which images stay at their places, since rows of their items went in.

        Before a source is listed again: from then on it is not known what went in.
        """
        if not self._exists(f"placement where target_id = ? and {_OPEN}", self._target_id):
            return
        with self._scope.file.transaction() as connection:
            connection.execute(
                "update placement set stage = 'stands', previous = null, previous_stage = null"
                f" where target_id = ? and {_OPEN} and {_WENT_IN}",
                (self._target_id,),
            )

    def undone(self, size: int) -> Iterator[list[KnownPlace]]:
        """The places that no item waits for any more, in lists of `size`: to be taken back."""
        return self._known(f"{_OPEN} and not {_WENT_IN} and not {_WAITS}", size)

    def record_taken_back(self, places: Iterable[KnownPlace], counts: Mapping[str, int]) -> None:
        """Notes that there is again at places what was there before."""
        with self._scope.file.transaction() as connection:
            for known in places:
                if known.previous_stage is None:
                    connection.execute(
                        "delete from placement where target_id = ? and place = ?",
                        (self._target_id, str(known.place)),
                    )
                else:
                    connection.execute(
                        "update placement set sha256 = previous, stage = previous_stage,"
                        " kept = null, previous = null, previous_stage = null, batch_id = ''"
                        " where target_id = ? and place = ?",
                        (self._target_id, str(known.place)),
                    )
            add_counts(connection, self._scope.run_name, counts)

    def with_copies(self, size: int) -> Iterator[list[KnownPlace]]:
        """The places, settled, of whose previous content there is still a copy, in lists."""
        return self._known("kept is not null and stage = 'stands'", size)

    def forget_copies(self, places: Iterable[KnownPlace]) -> None:
        """Notes that there is no copy any more of what was at places before."""
        with self._scope.file.transaction() as connection:
            connection.executemany(
                "update placement set kept = null where target_id = ? and place = ?",
                [(self._target_id, str(known.place)) for known in places],
            )

    # For verification

    def open_stored(self, since: int | None = None) -> int:
        """Gathers the images that finished items have at places of their own; how many.

        With `since`, those of items that went in with a later batch than that.
        """
        later = "" if since is None else f" and imported_in > {since}"
        connection = self._scope.connection
        connection.execute("drop table if exists temp.placed")
        connection.execute(
            "create temp table placed as select item_image.place, min(image.path),"
            f" {_IMAGE.removeprefix('image.path, ')} from {_CLAIMS}"
            " join placement on placement.target_id = ? and placement.place = item_image.place"
            " and placement.sha256 = image.sha256 and placement.stage in ('stands', 'found')"
            f" where {self._scope.all_items}{later} and not passed_over"
            " and (item.state = 'imported' or item.state = 'failed' and succeeded > 0)"
            " group by item_image.place order by item_image.place",
            (self._target_id,),
        )
        return int(connection.execute("select count(*) from temp.placed").fetchone()[0])

    def stored(self) -> Iterator[PlacedImage]:
        """What `open_stored` gathered."""
        last, size = 0, 500
        while rows := self._scope.connection.execute(
            "select rowid, * from temp.placed where rowid > ? order by rowid limit ?", (last, size)
        ).fetchall():
            last = rows[-1][0]
            for row in rows:
                yield PlacedImage(_image(row[2:]), _placement(row[1]))

    def items_of(self, place: Placement) -> list[int]:
        """The items that have an image for a place."""
        rows = self._scope.connection.execute(
            "select distinct item.id from item_image join item on item.id = item_id"
            f" where place = ? and {self._scope.all_items}",
            (str(place),),
        )
        return [row[0] for row in rows]

    def _exists(self, what: str, *values: object) -> bool:
        query = f"select exists (select 1 from {what})"
        return bool(self._scope.connection.execute(query, values).fetchone()[0])

    def _known(self, where: str, size: int) -> Iterator[list[KnownPlace]]:
        last = ""
        while rows := self._scope.connection.execute(
            f"select place, {_KNOWN} from placement"
            f" where target_id = ? and {where} and place > ? order by place limit ?",
            (self._target_id, last, size),
        ).fetchall():
            last = rows[-1][0]
            yield [_known(_placement(row[0]), row[1:]) for row in rows]


def _placement(text: str) -> Placement:
    bucket, _, path = text.partition("/")
    return Placement(bucket, path)


def _image(row: tuple[Any, ...]) -> Image:
    path, size, mtime_ns, *rest = row
    return Image(ImageFile(path, Signature(size, mtime_ns)), *rest)


def _known(place: Placement, row: tuple[Any, ...]) -> KnownPlace:
    sha256, stage, kept, previous, before = row
    was = None if before is None else PlacementStage(before)
    return KnownPlace(place, sha256, PlacementStage(stage), kept, previous, was)


def _claim(row: tuple[Any, ...]) -> Claim:
    place = _placement(row[0])
    known = None if row[10] is None else _known(place, row[10:])
    return Claim(_image(row[1:10]), place, known)
