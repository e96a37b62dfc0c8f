"""The ledger's record of images: their hashes, by path, size and mtime."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from imports.items.images import Image, ImageFile, flaw_warning
from imports.items.source import Signature
from imports.items.work_item import ItemState
from imports.ledger.runs import add_counts
from imports.ledger.scope import Scope

# If min() is the only aggregate, SQLite takes the other columns from the row with the minimum.
_IMAGE = (
    "min(image.path), image.size, image.mtime_ns, image.sha256, image.extension,"
    " image.content_type, image.width, image.height, image.flaw"
)


class ImageLedger:
    """The images that the unfinished items of one scope name."""

    def __init__(self, scope: Scope) -> None:
        """Works on a scope of an open ledger."""
        self._scope = scope

    def count(self) -> int:
        """The number of different images that all items of the scope name, finished or not."""
        row = self._scope.connection.execute(
            "select count(distinct item_image.path) from item"
            f" join item_image on item_image.item_id = item.id where {self._scope.all_items}"
        ).fetchone()
        return int(row[0])

    def open_unhashed(self) -> int:
        """Selects the images without a known hash, for `unhashed`; returns their number."""
        return self._open(
            "unhashed",
            f"select distinct image.path, image.size, image.mtime_ns {self._named()}"
            # Also those with a problem that another scope found, and of which an item has no
            # warning.
            " and image.sha256 is null and (image.problem is null or item.unusable = 0)"
            " order by image.path",
        )

    def unhashed(self, size: int) -> Iterator[list[ImageFile]]:
        """The images of `open_unhashed`, in lists of `size`."""
        for rows in self._pages("unhashed", size):
            yield [ImageFile(row[0], Signature(row[1], row[2])) for row in rows]

    def open_unstored(self) -> int:
        """Selects an image for each hash that this run has not seen stored; returns the number."""
        return self._open(
            "unstored",
            f"select {_IMAGE} {self._named()}"
            " and item_image.place is null"
            f" and image.sha256 is not null and not {self._scope.seen_stored}"
            " group by image.sha256 order by image.sha256",
        )

    def unstored(self, size: int) -> Iterator[list[Image]]:
        """The images of `open_unstored`, in lists of `size`."""
        return self._images("unstored", size)

    def untried(self, hashes: list[str]) -> set[str]:
        """The hashes that an unfinished item without an earlier failure names."""
        rows = self._scope.connection.execute(
            "select distinct sha256 from image"
            " join item_image on item_image.path = image.path"
            " join item on item.id = item_image.item_id"
            f" where sha256 in (select value from json_each(?)) and {self._scope.condition()}"
            " and tries = 0",
            (orjson.dumps(hashes).decode(),),
        )
        return {sha256 for (sha256,) in rows}

    def record_stored(self, hashes: Iterable[str], counts: Mapping[str, int]) -> None:
        """Records that images are stored: a resumed run does not count them again."""
        with self._scope.file.transaction() as connection:
            connection.executemany(
                "insert or replace into seen_stored values (?, ?, ?, ?)",
                [
                    (self._scope.id, sha256, self._scope.only or "", self._scope.run_name)
                    for sha256 in hashes
                ],
            )
            add_counts(connection, self._scope.run_name, counts)

    def forget_stored(self) -> None:
        """Makes this run check the stored images of its planned items again."""
        with self._scope.file.transaction() as connection:
            connection.execute(
                f"delete from seen_stored where scope_id = {self._scope.id} and batch_id = ?"
                " and sha256 in ("
                " select sha256 from item join item_image on item_image.item_id = item.id"
                " join image on image.path = item_image.path"
                f" where {self._scope.condition()} and state <> 'failed')",
                (self._scope.run_name,),
            )

    def record_hashes(self, images: list[Image], problems: list[tuple[ImageFile, str]]) -> None:
        """Records the results of hashing; an image with a problem counts as missing.

        The planned items with an image get a warning of its problem or flaw. Their missing images
        are counted anew, since an image may be read again after an interruption.
        """
        warnings = [
            {"reason": reason, "path": file.path, "scope": self._scope.id}
            for file, reason in problems
        ]
        # Other scopes do not read an image with a known hash again.
        warnings += [
            {
                "reason": flaw_warning(each.file.path, each.flaw),
                "path": each.file.path,
                "scope": None,
            }
            for each in images
            if each.flaw is not None
        ]
        with self._scope.file.transaction() as connection:
            connection.executemany(
                "update image set sha256 = ?, extension = ?, content_type = ?, width = ?,"
                " height = ?, flaw = ?, problem = null where path = ?",
                [
                    (
                        image.sha256,
                        image.extension,
                        image.content_type,
                        image.width,
                        image.height,
                        image.flaw,
                        image.file.path,
                    )
                    for image in images
                ],
            )
            connection.executemany(
                "update image set problem = ? where path = ?",
                [(reason, file.path) for file, reason in problems],
            )
            connection.executemany(
                "update item set warnings = iif(exists (select 1 from json_each(warnings)"
                " where value = :reason), warnings,"
                " json_insert(coalesce(warnings, '[]'), '$[#]', :reason)), unusable = ("
                " select count(distinct image.path) from item_image"
                " join image on image.path = item_image.path"
                " where item_id = item.id and problem is not null)"
                " where (:scope is null or scope_id = :scope) and state = 'planned' and id in"
                " (select item_id from item_image where path = :path)",
                warnings,
            )
            add_counts(
                connection,
                self._scope.run_name,
                {"sha256.processed": len(images), "sha256.unusable": len(problems)},
            )

    def count_flawed(self) -> int:
        """The number of damaged images that items with a warning name."""
        row = self._scope.connection.execute(
            "select count(distinct image.path) from item indexed by item_warned"
            " join item_image on item_image.item_id = item.id"
            " join image on image.path = item_image.path"
            f" where {self._scope.all_items} and warnings is not null and state <> 'failed'"
            " and flaw is not null"
        ).fetchone()
        return int(row[0])

    def open_stored(self, since: int | None = None) -> int:
        """Selects the stored images of finished items, each hash once; returns their number.

        Includes stored images of failed items. With `since`, only those of items that a later batch
        imported.
        """
        later = "" if since is None else f" and imported_in > {since}"
        return self._open(
            "stored",
            f"select {_IMAGE} from item join item_image on item_image.item_id = item.id"
            " join image on image.path = item_image.path"
            f" where {self._scope.all_items}{later} and place is null and sha256 is not null and"
            " (state = 'imported' or state = 'failed' and exists (select 1 from seen_stored"
            f" as seen where seen.scope_id = {self._scope.id} and seen.sha256 = image.sha256))"
            " group by sha256 order by sha256",
        )

    def stored(self, size: int) -> Iterator[list[Image]]:
        """The images of `open_stored`, in lists of `size`."""
        return self._images("stored", size)

    def open_planned(self) -> int:
        """Selects the images of planned items, each with its item; returns their number."""
        return self._open(
            "planned", f"select item.id, image.path, image.size, image.mtime_ns {self._named()}"
        )

    def planned(self, size: int) -> Iterator[list[tuple[int, ImageFile]]]:
        """The images of `open_planned`, each with the id of its item, in lists of `size`."""
        return self._with_items("planned", size)

    def open_flawed(self) -> int:
        """Selects damaged images, each with its imported item; returns their number."""
        return self._open(
            "flawed",
            "select item.id, image.path, image.size, image.mtime_ns"
            " from item indexed by item_warned"
            " join item_image on item_image.item_id = item.id"
            " join image on image.path = item_image.path"
            f" where {self._scope.all_items} and warnings is not null and state = 'imported'"
            " and disposed_at is null and flaw is not null",
        )

    def flawed(self, size: int) -> Iterator[list[tuple[int, ImageFile]]]:
        """The images of `open_flawed`, each with the id of its item, in lists of `size`."""
        return self._with_items("flawed", size)

    def _with_items(self, name: str, size: int) -> Iterator[list[tuple[int, ImageFile]]]:
        for rows in self._pages(name, size):
            yield [(row[0], ImageFile(row[1], Signature(*row[2:]))) for row in rows]

    def _named(self) -> str:
        return (
            "from item join item_image on item_image.item_id = item.id"
            " join image on image.path = item_image.path"
            f" where {self._scope.condition(ItemState.PLANNED)}"
        )

    def _open(self, name: str, query: str) -> int:
        """Stores the result of a query in a temporary table, so that the query runs only once."""
        connection = self._scope.connection
        connection.execute(f"drop table if exists temp.{name}")
        values = {"batch_id": self._scope.run_name}
        connection.execute(f"create temp table {name} as {query}", values)
        return int(connection.execute(f"select count(*) from temp.{name}").fetchone()[0])

    def _images(self, name: str, size: int) -> Iterator[list[Image]]:
        for rows in self._pages(name, size):
            yield [Image(ImageFile(row[0], Signature(row[1], row[2])), *row[3:]) for row in rows]

    def _pages(self, name: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        last = 0
        query = f"select rowid, * from temp.{name} where rowid > ? order by rowid limit ?"
        while rows := self._scope.connection.execute(query, (last, size)).fetchall():
            last = rows[-1][0]
            yield [row[1:] for row in rows]

    def files_of(self, sha256: str) -> list[ImageFile]:
        """The files that had this hash when they were last read."""
        rows = self._scope.connection.execute(
            "select path, size, mtime_ns from image where sha256 = ?", (sha256,)
        )
        return [ImageFile(row[0], Signature(row[1], row[2])) for row in rows]

    def items_of(self, sha256: str) -> list[int]:
        """The items that name an image of this hash."""
        rows = self._scope.connection.execute(
            "select distinct item.id from image join item_image on item_image.path = image.path"
            " join item on item.id = item_image.item_id"
            f" where sha256 = ? and {self._scope.all_items}",
            (sha256,),
        )
        return [row[0] for row in rows]
