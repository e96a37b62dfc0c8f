"""Opening an image of the source that is still the one that was hashed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader

from imports.errors import ImageProblemError
from imports.source_tree import signature_of
from imports.work_item import ImageFile


@contextmanager
def open_unchanged(image: ImageFile) -> Iterator[BufferedReader]:
    """The open file, if it is still the one of its signature, at the start and at the end.

    Raises:
        ImageProblemError: if it is not, or cannot be read.
    """
    try:
        file = open(image.path, "rb")  # noqa: SIM115
    except OSError as error:
        raise ImageProblemError(f"image {image.path} cannot be read: {error.strerror}") from error
    with file:
        _check(image, file)
        yield file
        _check(image, file)


def _check(image: ImageFile, file: BufferedReader) -> None:
    if signature_of(os.fstat(file.fileno())) != image.signature:
        raise ImageProblemError(
            f"image {image.path} changed while the run was under way; run again to import it"
        )
