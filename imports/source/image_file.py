"""Opening an image of the source that is still the one that its signature is of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO

from imports.errors import UnreadImageError
from imports.files.regular_file import open_real
from imports.source.tree import signature_of
from imports.work_item import ImageFile


@contextmanager
def open_unchanged(image: ImageFile) -> Iterator[FileIO]:
    """The open file, if it is still the one of its signature, at the start and at the end.

    Raises:
        UnreadImageError: if it is not, or cannot be read.
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
    """The content of an open image, at most `most` bytes at a time; `done` bytes have been read.

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
    """Makes sure that an open image is still the one of its signature.

    Raises:
        UnreadImageError: if it is not.
    """
    if signature_of(os.fstat(file.fileno())) != image.signature:
        raise _changed(image)


def unreadable(image: ImageFile, error: OSError) -> UnreadImageError:
    """The problem with an image that the system does not let us read."""
    return UnreadImageError(f"image {image.path} cannot be read: {error.strerror}")


def _changed(image: ImageFile) -> UnreadImageError:
    return UnreadImageError(
        f"image {image.path} changed while the run was under way; run again to import it"
    )
