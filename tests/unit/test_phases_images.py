"""The phases that images go through: sha256 and upload."""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from imports.backends.retry import RetryPolicy
from imports.errors import BackendError, BackendUnavailableError, ImageProblemError
from imports.files.patience import WAITS
from imports.files.regular_file import open_real
from imports.items.images import Image, ImageFile
from imports.items.source import Signature
from imports.phases.sha256 import hash_batch
from imports.phases.upload import (
    Uploaded,
    UploadTarget,
    known_images,
    record_images,
    upload_batch,
    upload_image,
)
from imports.source.tree import signature_of
from tests.support.memory import MemoryDatabase, target_config
from tests.support.source import png


def image(number: int = 1) -> Image:
    file = ImageFile(f"/images/{number}.png", Signature(100 + number, 1))
    return Image(file, f"{number:064}", "png", "image/png", 3, None)


class Store:
    """A store that fails as it is told, and remembers what it has."""

    storage_type = "memory"

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.has: set[str] = set()
        self.prepared = 0
        self.puts = 0
        self.away = False

    def prepare(self) -> None:
        self.prepared += 1
        if self.away:
            raise BackendUnavailableError("The store is away.")

    def put(self, image: Image) -> bool:
        self.puts += 1
        if self.away:
            raise BackendUnavailableError("The store is away.")
        if self.errors:
            raise self.errors.pop(0)
        new = image.sha256 not in self.has
        self.has.add(image.sha256)
        return new


class KnowingDatabase(MemoryDatabase):
    """A database that lists some images, each with its kind of store."""

    def __init__(self, known: dict[str, str] | None = None) -> None:
        super().__init__()
        self.known = known or {}

    def known_images(self, hashes: Sequence[str]) -> dict[str, str]:
        return {each: self.known[each] for each in hashes if each in self.known}


def target(
    store: Store, database: MemoryDatabase | None = None, policy: RetryPolicy | None = None
) -> UploadTarget:
    return UploadTarget(
        target_config(database or KnowingDatabase(), store, policy), "batch_1", "run_1"
    )


def on_disk(path: Path, content: bytes) -> ImageFile:
    path.write_bytes(content)
    return ImageFile(str(path), signature_of(path.stat()))


def test_images_are_hashed_and_those_that_are_none_are_problems(tmp_path: Path) -> None:
    files = [
        on_disk(tmp_path / name, content)
        for name, content in (("a", png(1)), ("b", b"<svg/>"), ("c", png(2)))
    ]
    hashed = hash_batch(files)
    assert [each.sha256 for each in hashed.images] == [
        hashlib.sha256(png(number)).hexdigest() for number in (1, 2)
    ]
    assert [file for file, _ in hashed.problems] == [files[1]]
    assert "is not a PNG" in hashed.problems[0][1]
    assert hashed.unread == []


def test_an_unreadable_image_is_distinguished_from_a_file_that_is_no_image(
    tmp_path: Path,
) -> None:
    gone = on_disk(tmp_path / "gone", png(1))
    grown = on_disk(tmp_path / "grown", png(2))
    begun = on_disk(tmp_path / "begun", b"")
    (tmp_path / "gone").unlink()
    (tmp_path / "grown").write_bytes(png(2) + b"more")
    (tmp_path / "begun").write_bytes(png(3))
    hashed = hash_batch([gone, grown, begun])
    assert (hashed.images, hashed.problems) == ([], [])
    assert [file for file, _ in hashed.unread] == [gone, grown, begun]
    assert "No such file" in hashed.unread[0][1]
    assert all("changed during the run" in reason for _, reason in hashed.unread[1:])


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    file = on_disk(tmp_path / "a", png(1))
    refusals = [OSError(number, "Too many open files")] * 3
    waits: list[float] = []

    def refusing(*arguments: Any, **more: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return open_real(*arguments, **more)

    monkeypatch.setattr("imports.source.image_file.open_real", refusing)
    monkeypatch.setattr("imports.files.patience.time.sleep", waits.append)
    assert len(hash_batch([file]).images) == 1
    assert len(waits) == 3


def test_too_many_open_files_that_do_not_pass_fail_the_image_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = on_disk(tmp_path / "a", png(1))
    tries = []

    def refusing(*arguments: Any, **more: Any) -> Any:
        tries.append(1)
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("imports.source.image_file.open_real", refusing)
    monkeypatch.setattr("imports.files.patience.time.sleep", lambda _: None)
    ((unread, reason),) = hash_batch([file]).unread
    assert (unread, len(tries)) == (file, 1 + len(WAITS))
    assert "Too many open files" in reason


def test_other_read_errors_are_not_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = on_disk(tmp_path / "a", png(1))

    def refusing(*arguments: Any, **more: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("imports.source.image_file.open_real", refusing)
    monkeypatch.setattr("imports.files.patience.time.sleep", pytest.fail)
    assert [file for file, _ in hash_batch([file]).unread] == [file]


def test_an_image_is_known_only_if_it_is_listed_for_this_kind_of_store() -> None:
    database = KnowingDatabase({image(1).sha256: "memory", image(2).sha256: "local"})
    images = [image(1), image(2), image(3)]
    assert known_images(target(Store(), database), images) == {image(1).sha256}


def test_an_image_is_new_the_first_time_alone() -> None:
    store = Store()
    assert upload_image(target(store), image()) == Uploaded(image(), new=True)
    assert upload_image(target(store), image()) == Uploaded(image(), new=False)


def test_a_refused_image_is_a_problem_and_not_tried_again() -> None:
    store = Store(ImageProblemError("too large"))
    found = upload_image(target(store, policy=RetryPolicy(3)), image())
    assert found.problem == "too large"
    assert not found.new
    assert store.puts == 1


def test_an_image_that_the_store_cannot_take_is_a_problem_while_others_can() -> None:
    store = Store(BackendUnavailableError("544: it timed out"))
    found = upload_image(target(store), image())
    assert found.problem is not None
    assert "/images/1.png" in found.problem
    assert "timed out" in found.problem
    assert store.prepared == 1


def test_a_store_that_answers_to_nothing_ends_the_upload() -> None:
    store = Store()
    store.away = True
    with pytest.raises(BackendUnavailableError):
        upload_image(target(store), image())


def test_a_wrong_key_ends_the_upload() -> None:
    with pytest.raises(BackendError):
        upload_image(target(Store(BackendError("wrong key"))), image())


def test_a_run_that_is_stopping_does_not_call_an_image_failed() -> None:
    stop = threading.Event()
    stop.set()
    store = Store(BackendUnavailableError("not now"))
    with pytest.raises(BackendUnavailableError):
        upload_image(target(store, policy=RetryPolicy(3, stop)), image())
    assert store.puts == 1


def test_some_images_are_stored_one_after_the_other_and_one_problem_stops_none() -> None:
    store = Store(ImageProblemError("too large"))
    found = upload_batch(target(store), [image(1), image(2), image(3)])
    assert [(each.image, each.new, each.problem) for each in found] == [
        (image(1), False, "too large"),
        (image(2), True, None),
        (image(3), True, None),
    ]


def test_a_run_that_is_stopping_begins_no_further_image() -> None:
    stop = threading.Event()

    class StoppingStore(Store):
        def put(self, image: Image) -> bool:
            stop.set()
            return super().put(image)

    store = StoppingStore()
    found = upload_batch(target(store, policy=RetryPolicy(0, stop)), [image(1), image(2)])
    assert found == [Uploaded(image(1), new=True)]
    assert store.has == {image(1).sha256}


def test_stored_images_are_listed_with_what_is_known_of_them() -> None:
    database = MemoryDatabase()
    record_images(target(Store(), database), [image(1), image(2)])
    assert len(database.requests) == 1
    assert database.stored[0] == {
        "content_hash": image(1).sha256,
        "storage_path": image(1).storage_path,
        "storage_type": "memory",
        "file_size": 101,
        "content_type": "image/png",
        "width": 3,
        "height": None,
    }


def test_where_nothing_was_stored_nothing_is_asked() -> None:
    database = MemoryDatabase()
    record_images(target(Store(), database), [])
    assert database.requests == []
