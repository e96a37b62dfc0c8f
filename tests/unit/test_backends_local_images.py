from __future__ import annotations

import errno
import hashlib
import os
import resource
import signal
from functools import partial
from io import FileIO
from pathlib import Path

import psutil
import pytest

from imports.backends import local_images
from imports.backends.local_images import LocalImages
from imports.errors import (
    BackendError,
    BackendUnavailableError,
    ImageProblemError,
    UnreadImageError,
)
from imports.items.images import Image, ImageFile
from imports.source.image_content import read_image
from imports.source.tree import signature_of
from tests.support.source import png


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "imagecache"


@pytest.fixture
def store(folder: Path) -> LocalImages:
    store = LocalImages(folder)
    store.prepare()
    return store


@pytest.fixture
def image(tmp_path: Path) -> Image:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    return read_image(ImageFile(str(path), signature_of(path.stat())))


def files(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


def test_an_image_is_stored_once_under_its_hash(
    store: LocalImages, folder: Path, image: Image
) -> None:
    assert store.put(image) is True
    assert store.put(image) is False
    digest = hashlib.sha256(png()).hexdigest()
    assert files(folder) == [f"sha256/{digest[:2]}/{digest[2:4]}/{digest}.png"]
    assert (folder / image.storage_path).read_bytes() == png()


def test_a_disk_that_takes_but_a_part_stores_nothing(
    store: LocalImages, folder: Path, tmp_path: Path
) -> None:
    """It may take a part of a write and say so, rather than refuse it."""
    path = tmp_path / "large.png"
    path.write_bytes(png() + b"\0" * 900_000)
    image = read_image(ImageFile(str(path), signature_of(path.stat())))
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, most))
    try:
        with pytest.raises(ImageProblemError, match=r"cannot be stored at .*File too large"):
            store.put(image)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
        signal.signal(signal.SIGXFSZ, handler)
    assert files(folder) == []
    assert store.put(image) is True


def test_what_is_stored_is_found_by_size_and_hash(store: LocalImages, image: Image) -> None:
    assert store.size(image.storage_path) is None
    store.put(image)
    assert store.size(image.storage_path) == len(png())
    assert store.sha256(image.storage_path) == image.sha256


def test_a_stored_image_of_another_size_is_replaced(
    store: LocalImages, folder: Path, image: Image
) -> None:
    store.put(image)
    (folder / image.storage_path).write_bytes(b"torn")
    assert store.put(image) is True
    assert store.sha256(image.storage_path) == image.sha256


def test_a_changed_content_is_seen_by_the_hash_alone(
    store: LocalImages, folder: Path, image: Image
) -> None:
    store.put(image)
    (folder / image.storage_path).write_bytes(bytes(len(png())))
    assert store.size(image.storage_path) == len(png())
    assert store.sha256(image.storage_path) != image.sha256


def test_what_is_not_there_has_no_hash_and_can_be_removed(store: LocalImages, image: Image) -> None:
    with pytest.raises(ImageProblemError, match="cannot be read"):
        store.sha256(image.storage_path)
    store.remove(image.storage_path)
    store.put(image)
    store.remove(image.storage_path)
    assert store.size(image.storage_path) is None


def test_an_image_that_changed_since_it_was_hashed_is_not_stored(
    store: LocalImages, folder: Path, image: Image
) -> None:
    Path(image.file.path).write_bytes(png(2, 9, 9))
    with pytest.raises(ImageProblemError, match="changed during the run"):
        store.put(image)
    assert files(folder) == []


def test_an_image_that_is_gone_is_a_problem_and_leaves_nothing(
    store: LocalImages, folder: Path, image: Image
) -> None:
    Path(image.file.path).unlink()
    with pytest.raises(ImageProblemError, match="cannot be read"):
        store.put(image)
    assert files(folder) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_disk_that_is_full_or_broken_is_the_stores_matter_and_leaves_no_half_image(
    store: LocalImages, folder: Path, image: Image, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(local_images.os, "fsync", full)
        with pytest.raises(BackendUnavailableError, match=os.strerror(number)) as caught:
            store.put(image)
    assert not caught.value.divisible, "no other image would pass"
    assert str(folder) in str(caught.value)
    assert files(folder) == []
    assert store.put(image) is True


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_folder_that_lets_nobody_in_is_an_error_of_the_folder(
    store: LocalImages, folder: Path, image: Image, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def denied(path: str, *_: object) -> None:
        raise PermissionError(number, os.strerror(number), path)

    monkeypatch.setattr(local_images.os, "stat", denied)
    for ask in (partial(store.put, image), partial(store.size, image.storage_path)):
        with pytest.raises(BackendError, match=os.strerror(number)) as caught:
            ask()
        assert str(folder) in str(caught.value)
        assert "give this user the rights" in str(caught.value).lower()


def test_a_file_where_a_folder_should_be_is_an_error_of_the_folder(
    store: LocalImages, folder: Path, image: Image
) -> None:
    (folder / "sha256").write_text("in the way")
    for ask in (
        partial(store.put, image),
        partial(store.size, image.storage_path),
        partial(store.remove, image.storage_path),
    ):
        with pytest.raises(BackendError, match="Not a directory") as caught:
            ask()
        assert str(folder / "sha256") in str(caught.value)


def test_a_folder_where_one_image_should_be_is_that_images_matter(
    store: LocalImages, folder: Path, image: Image
) -> None:
    (folder / image.storage_path).mkdir(parents=True)
    with pytest.raises(ImageProblemError, match="Is a directory"):
        store.put(image)


def test_a_source_that_cannot_be_read_is_the_images_matter(
    store: LocalImages, folder: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails under the source is not the one of the folder for images."""

    class Broken(FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("imports.source.image_file.FileIO", Broken)
    with pytest.raises(UnreadImageError, match="cannot be read: Input/output error"):
        store.put(image)
    assert files(folder) == []


def test_an_image_is_on_disk_before_it_has_its_name(
    store: LocalImages, folder: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    fsync = os.fsync

    def look(descriptor: int) -> None:
        synced.append((folder / image.storage_path).exists())
        fsync(descriptor)

    monkeypatch.setattr(local_images.os, "fsync", look)
    store.put(image)
    assert synced == [False, True], "first the content, then the folder with the name"


def test_what_a_killed_run_left_is_removed_and_what_a_living_one_writes_stays(
    store: LocalImages, folder: Path, image: Image
) -> None:
    place = folder / image.storage_path
    place.parent.mkdir(parents=True)
    nobody = next(pid for pid in range(2**22 - 1, 1, -1) if not psutil.pid_exists(pid))
    dead = place.with_name(f".{place.name}.{nobody}.abc.part")
    living = place.with_name(f".{place.name}.{os.getpid()}.abc.part")
    for part in (dead, living):
        part.write_bytes(b"half")
    store.put(image)
    assert not dead.exists()
    assert living.exists()


def test_the_folder_may_be_there_already_and_a_file_in_its_place_is_an_error(
    store: LocalImages, tmp_path: Path
) -> None:
    store.prepare()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BackendError, match=r"File exists|Not a directory"):
        LocalImages(tmp_path / "file").prepare()
