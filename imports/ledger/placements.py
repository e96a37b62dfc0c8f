"""The ledger's record of images at places of their own, not under their hash.

A run records what it puts at a place before it does so. Until the rows of the image's item are
imported, the ledger also has the earlier content of the place, and where its copy is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from imports.items.images import Image, ImageFile, PlacedImage, Placement
from imports.items.source import Signature
from imports.items.work_item import ItemState
from imports.ledger.runs import add_counts
from imports.ledger.scope import Scope


class PlacementStage(StrEnum):
    """The stage of a place; see the table `placement`."""

    PUTTING = "putting"
    PUT = "put"
    COMMITTED = "committed"
    FOUND = "found"


class KnownPlace(NamedTuple):
    """A place with an image of this hash, which a run put or found there.

    `kept` is the path of the copy of the replaced image, in the same bucket; `previous` is its
    hash, and `previous_stage` its stage (None if it earlier_stage not known).
    """

    place: Placement
    sha256: str
    stage: PlacementStage
    kept: str | None = None
    previous: str | None = None
    previous_stage: PlacementStage | None = None

    @property
    def copy(self) -> Placement | None:
        """The place of the copy of the replaced image."""
        return None if self.kept is None else Placement(self.place.bucket, self.kept)


class Claim(NamedTuple):
    """An image of an unfinished item, its place, and what the ledger knows of the place."""

    image: Image
    place: Placement
    known: KnownPlace | None


class PlaceConflict(NamedTuple):
    """An unfinished item whose place a later item has, with another image."""

    item_id: int
    place: str
    later: str


_OPEN = "stage in ('putting', 'put')"
"""Places that wait for the rows of an item; the condition of the partial index."""

_CLAIMS = (
    "item_image join item on item.id = item_image.item_id"
    " join image on image.path = item_image.path"
)
_CLAIMS_AT = _CLAIMS.replace(" join ", " cross join ")
"""For queries with a known place: otherwise SQLite would begin with all items."""

_OF_PLACE = (
    f"exists (select 1 from {_CLAIMS_AT} where item_image.place = placement.place"
    " and image.sha256 = placement.sha256"
    " and item.scope_id in (select id from scope where scope.target_id = placement.target_id)"
)
_IMPORTED = (
    f"{_OF_PLACE} and not skipped and (item.state = 'imported' and exists ("
    " select 1 from batch where batch.id = imported_in and batch.batch_id = placement.batch_id)"
    " or item.state = 'failed' and succeeded > 0 and failed_in = placement.batch_id))"
)
"""Whether the run that put the image has imported rows of an item with it."""

_PENDING = f"{_OF_PLACE} and item.state in ('listed', 'planned'))"
"""Whether an item with this image is still to be imported."""

_IMAGE = (
    "image.path, image.size, image.mtime_ns, image.sha256, image.extension, image.content_type,"
    " image.width, image.height, image.flaw"
)
_KNOWN = "sha256, stage, kept, previous, previous_stage"


class PlacementLedger:
    """The places of images of one scope's items, in the scope's target."""

    def __init__(self, scope: Scope, target_id: str) -> None:
        """Works on a scope of an open ledger, and its target."""
        self._scope = scope
        self._target_id = target_id

    @property
    def is_used(self) -> bool:
        """Whether any item has or had an image with a place of its own."""
        images = "item_image indexed by item_image_place where place is not null"
        return self._exists("placement") or self._exists(images)

    # From the images of unfinished items to their places

    def open_claims(self, *, again: bool) -> int:
        """Selects the images of unfinished items that this run has not seen at their places.

        With `again`, also those that it has seen there. Returns their number.
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

    def conflicts(self) -> list[PlaceConflict]:
        """The unfinished items whose place a later item has, among those of `open_claims`.

        If items have different images for one place, the last item by path has it.
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
                PlaceConflict(item_id, place, winner[0])
                for _, sha256, item_id, state in others
                if sha256 != winner[1] and state == ItemState.PLANNED
            ]
        return found

    def claims(self, size: int) -> Iterator[list[Claim]]:
        """The images of `open_claims`, in lists of `size`, without those of failed items."""
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

    # Changes of a place

    def note(self, places: Iterable[KnownPlace], counts: Mapping[str, int]) -> None:
        """Records what this run will put at places, has put there, or has found there."""
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

    def record_skipped(self, item_ids: Iterable[int], skipped: Iterable[int]) -> None:
        """Records, before items are imported, whether their images are not to stay at their places.

        They do not stay if the target has newer rows.
        """
        with self._scope.file.transaction() as connection:
            connection.execute(
                "update item_image set skipped = item_id in (select value from json_each(?))"
                " where place is not null and item_id in (select value from json_each(?))",
                (orjson.dumps([*skipped]).decode(), orjson.dumps([*item_ids]).decode()),
            )

    def commit(self) -> None:
        """Records which images stay at their places, since rows of their items are imported.

        To be called before a source is listed again: listing resets which items are imported.
        """
        if not self._exists(f"placement where target_id = ? and {_OPEN}", self._target_id):
            return
        with self._scope.file.transaction() as connection:
            connection.execute(
                "update placement set stage = 'committed', previous = null, previous_stage = null"
                f" where target_id = ? and {_OPEN} and {_IMPORTED}",
                (self._target_id,),
            )

    def undone(self, size: int) -> Iterator[list[KnownPlace]]:
        """The places to be taken back, in lists of `size`: no item needs their image any more."""
        return self._known(f"{_OPEN} and not {_IMPORTED} and not {_PENDING}", size)

    def record_taken_back(self, places: Iterable[KnownPlace], counts: Mapping[str, int]) -> None:
        """Records that places have their earlier content again."""
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
        """The finished places that still have a copy of their earlier content, in lists."""
        return self._known("kept is not null and stage = 'committed'", size)

    def forget_copies(self, places: Iterable[KnownPlace]) -> None:
        """Records that the copies of places are removed."""
        with self._scope.file.transaction() as connection:
            connection.executemany(
                "update placement set kept = null where target_id = ? and place = ?",
                [(self._target_id, str(known.place)) for known in places],
            )

    # For verification

    def open_stored(self, since: int | None = None) -> int:
        """Selects the images that finished items have at places of their own; returns their number.

        With `since`, only those of items that a later batch imported.
        """
        later = "" if since is None else f" and imported_in > {since}"
        connection = self._scope.connection
        connection.execute("drop table if exists temp.placed")
        connection.execute(
            "create temp table placed as select item_image.place, min(image.path),"
            f" {_IMAGE.removeprefix('image.path, ')} from {_CLAIMS}"
            " join placement on placement.target_id = ? and placement.place = item_image.place"
            " and placement.sha256 = image.sha256 and placement.stage in ('committed', 'found')"
            f" where {self._scope.all_items}{later} and not skipped"
            " and (item.state = 'imported' or item.state = 'failed' and succeeded > 0)"
            " group by item_image.place order by item_image.place",
            (self._target_id,),
        )
        return int(connection.execute("select count(*) from temp.placed").fetchone()[0])

    def stored(self) -> Iterator[PlacedImage]:
        """The images of `open_stored`."""
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
    earlier_stage = None if before is None else PlacementStage(before)
    return KnownPlace(place, sha256, PlacementStage(stage), kept, previous, earlier_stage)


def _claim(row: tuple[Any, ...]) -> Claim:
    place = _placement(row[0])
    known = None if row[10] is None else _known(place, row[10:])
    return Claim(_image(row[1:10]), place, known)
