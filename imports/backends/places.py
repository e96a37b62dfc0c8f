"""Images at places of their own: a store for each bucket, opened on first use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from imports.backends.retrying import RetryingStore
from imports.errors import BackendUnavailableError
from imports.items.images import Image, Placement


class Places:
    """The buckets of a target. Thread-safe; for the errors see `RetryingStore`."""

    def __init__(self, open_bucket: Callable[[str], RetryingStore]) -> None:
        """`open_bucket` opens the store of a bucket, by its name."""
        self._open_bucket = open_bucket
        self._buckets: dict[str, RetryingStore] = {}
        self._lock = threading.Lock()

    def bucket(self, name: str) -> RetryingStore:
        """The store of a bucket, by its name."""
        with self._lock:
            if name not in self._buckets:
                self._buckets[name] = self._open_bucket(name)
            return self._buckets[name]

    def put(self, place: Placement, image: Image, *, over: bool) -> bool:
        """Stores an image; False if the place has content already and `over` is false."""
        return self.bucket(place.bucket).put_at(place.path, image, over=over)

    def copy(self, place: Placement, to: Placement) -> None:
        """Copies an object to another place in its bucket; replaces what is there."""
        self.bucket(place.bucket).copy(place.path, to.path)

    def size(self, place: Placement) -> int | None:
        """The size of an object in bytes; None if it does not exist."""
        return self.bucket(place.bucket).size(place.path)

    def names(self, folder: Placement, beginning: str) -> Collection[str] | None:
        """The names in a folder that begin so, and perhaps others; None if that is unknown."""
        return self.bucket(folder.bucket).names(folder.path, beginning)

    def sha256(self, place: Placement) -> str:
        """The hash of an object; reads its stored content."""
        return self.bucket(place.bucket).sha256(place.path)

    def remove(self, place: Placement) -> None:
        """Removes an object if it exists."""
        self.bucket(place.bucket).remove(place.path)

    def blame_image(self, place: Placement, error: BackendUnavailableError) -> None:
        """Checks that a request failed because of the image at a place; see `RetryingStore`."""
        self.bucket(place.bucket).blame_image(error)

    def close(self) -> None:
        """Closes all connections."""
        for store in self._buckets.values():
            store.close()
