"""Opening an image of the source, and checking that it still has its signature."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO

from imports.errors import UnreadImageError
from imports.files.regular_file import open_real
from imports.items.images import ImageFile
from imports.source.tree import signature_of


@contextmanager
def open_unchanged(image: ImageFile) -> Iterator[FileIO]:
    """Yields the open file; checks its signature at the start and at the end.

    Raises:
        UnreadImageError: if the file changed, or cannot be read.
    """
    try:
        file = FileIO(open_real(image.path)[0])
    except OSError as error:
        raise unreadable(image, error) from error
    with file:
        check_unchanged(image, file)
        yield file
        check_unchanged(image, file)


def read_whole(file: FileIO, image: ImageFile) -> bytes:
    """The content of an open image.

    Raises:
        UnreadImageError: if it is shorter than it was, or cannot be read.
    """
    return b"".join(read_pieces(file, image, image.signature.size))


def read_pieces(file: FileIO, image: ImageFile, most: int, done: int = 0) -> Iterator[bytes]:
    """Yields the content of an open image, at most `most` bytes at a time, after `done` bytes.

    Raises:
        UnreadImageError: if it is shorter than it was, or cannot be read.
    """
    left = image.signature.size - done
    while left:
        try:
            piece = file.read(min(left, most))
        except OSError as error:
            raise unreadable(image, error) from error
        if not piece:
            raise _changed(image)
        left -= len(piece)
        yield piece


def check_unchanged(image: ImageFile, file: FileIO) -> None:
    """Checks that an open image still has its signature.

    Raises:
        UnreadImageError: if it does not.
    """
    if signature_of(os.fstat(file.fileno())) != image.signature:
        raise _changed(image)


def unreadable(image: ImageFile, error: OSError) -> UnreadImageError:
    """The error for an image that cannot be read because of `error`."""
    return UnreadImageError(f"image {image.path} cannot be read: {error.strerror}")


def _changed(image: ImageFile) -> UnreadImageError:
    return UnreadImageError(f"image {image.path} changed during the run; run again to import it")
