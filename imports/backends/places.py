"""Images at places of their own: a store for each bucket, opened when it is first used."""

from __future__ import annotations

import threading
from collections.abc import Callable

from imports.backends.database import ImageStore
from imports.work_item import Image, Placement


class Places:
    """The buckets of a target. Methods may be called from many threads; see `ImageStore`."""

    def __init__(self, open_bucket: Callable[[str], ImageStore]) -> None:
        """`open_bucket` opens the store of a bucket, by its name."""
        self._open_bucket = open_bucket
        self._buckets: dict[str, ImageStore] = {}
        self._lock = threading.Lock()

    def prepare(self, bucket: str) -> str | None:
        """Makes a bucket, if it is absent; what the user should know of it."""
        return self._of(bucket).prepare()

    def probe(self) -> None:
        """Makes sure that the buckets that are in use answer."""
        for bucket in list(self._buckets.values()):
            bucket.prepare()

    def put(self, place: Placement, image: Image, *, over: bool) -> bool:
        """Stores an image, `over` what is there; else False if something is there."""
        return self._of(place.bucket).put_at(place.path, image, over=over)

    def copy(self, place: Placement, to: Placement) -> None:
        """Copies what is stored at a place to another one of its bucket, over what is there."""
        self._of(place.bucket).copy(place.path, to.path)

    def size(self, place: Placement) -> int | None:
        """The size in bytes of what is stored there, None if nothing is."""
        return self._of(place.bucket).size(place.path)

    def is_empty(self, folder: Placement) -> bool:
        """Whether nothing is stored below a folder; False also where that takes long to tell."""
        return self._of(folder.bucket).is_empty(folder.path)

    def sha256(self, place: Placement) -> str:
        """The hash of what is stored there, read anew."""
        return self._of(place.bucket).sha256(place.path)

    def remove(self, place: Placement) -> None:
        """Removes what is stored there, if anything is."""
        self._of(place.bucket).remove(place.path)

    def close(self) -> None:
        """Closes all connections."""
        for bucket in self._buckets.values():
            bucket.close()

    def _of(self, bucket: str) -> ImageStore:
        with self._lock:
            if bucket not in self._buckets:
                self._buckets[bucket] = self._open_bucket(bucket)
            return self._buckets[bucket]
