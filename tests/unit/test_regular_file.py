from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from imports.files import regular_file
from imports.files.regular_file import (
    LatestFolder,
    open_folder,
    open_new,
    open_real,
    open_regular,
    opener,
    read_named,
)
from tests.support.patience import within_seconds


def below(folder: Path) -> Callable[[str], bool]:
    return lambda place: f"{place}/".startswith(f"{folder}/")


def content(opened: regular_file.OpenedFile) -> bytes:
    with os.fdopen(opened[0], "rb") as file:
        return file.read()


def open_files() -> int:
    """How many files this process has open; 0 where the system does not tell."""
    place = Path("/proc/self/fd")
    return sum(1 for _ in place.iterdir()) if place.is_dir() else 0


def write(path: Path, text: str = "content") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture(params=["as it is", "without /proc"])
def any_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every system tells where an open file is."""
    if request.param == "without /proc":
        whole = os.readlink

        def absent(path: str, **options: int) -> str:
            if str(path).startswith("/proc/self/fd/"):
                raise FileNotFoundError(2, "No such file or directory", path)
            return whole(path, **options)

        monkeypatch.setattr(regular_file.os, "readlink", absent)


# What is opened


def openings(path: Path) -> list[Callable[[], object]]:
    return [
        lambda: open_regular(str(path)),
        lambda: open_real(str(path)),
        lambda: opener(str(path), os.O_RDONLY),
        lambda: opener(str(path), os.O_WRONLY | os.O_APPEND),
        lambda: read_named(path),
        lambda: LatestFolder(below(path.parent)).open(str(path)),
    ]


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "device"])
def test_nothing_but_a_regular_file_is_opened_and_nothing_is_waited_for(kind: str) -> None:
    # The path of a socket may be no longer than about 100 signs.
    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as server:
        path = Path(name).resolve() / "odd"
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            server.bind(str(path))
        elif kind == "folder":
            path.mkdir()
        else:
            path = Path("/dev/null")
        before = open_files()
        for each in openings(path):
            with within_seconds(10), pytest.raises(OSError) as caught:
                each()
            assert caught.value.strerror
            # Its traceback holds what was open meanwhile.
            del caught
        assert open_files() == before, "and nothing stays open"


def test_a_regular_file_is_opened_with_its_status(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json")
    opened = open_regular(str(path))
    assert opened[1].st_size == 7
    assert content(opened) == b"content"
    assert not os.get_inheritable(os.open(path, os.O_RDONLY))


def test_a_link_is_not_opened_where_no_link_may_be(tmp_path: Path) -> None:
    write(tmp_path / "a.json")
    (tmp_path / "link.json").symlink_to("a.json")
    for each in (open_regular, open_real):
        with pytest.raises(OSError):
            each(str(tmp_path / "link.json"))
    assert read_named(tmp_path / "link.json") == b"content"


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    precious = write(tmp_path / "precious")
    for name, make in (
        ("file", write),
        ("pipe", os.mkfifo),
        ("link", lambda path: path.symlink_to(precious)),
        ("lost", lambda path: path.symlink_to(tmp_path / "made by following")),
    ):
        make(tmp_path / name)
        with within_seconds(10), pytest.raises(FileExistsError):
            open_new(str(tmp_path / name), 0o600)
    assert precious.read_text() == "content"
    assert not (tmp_path / "made by following").exists()


@pytest.mark.usefixtures("any_system")
def test_a_real_path_with_a_link_in_it_by_now_is_another_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write(folder / "a.png", "image")
    write(tmp_path / "elsewhere/a.png", "image")
    assert content(open_real(str(folder / "a.png"))) == b"image"
    folder.rename(tmp_path / "aside")
    folder.symlink_to("elsewhere")
    before = open_files()
    with pytest.raises(OSError, match="replaced by a link"):
        open_real(str(folder / "a.png"))
    assert open_files() == before


# Where it may be


@pytest.mark.usefixtures("any_system")
def test_a_folder_is_opened_where_it_may_be_read(tmp_path: Path) -> None:
    for name in ("source", "beside", "elsewhere"):
        (tmp_path / name).mkdir()
    source = tmp_path / "source"
    (source / "in").symlink_to(tmp_path / "beside")
    (source / "out").symlink_to(tmp_path / "elsewhere")
    before = open_files()
    for name in (source, source / "in"):
        os.close(open_folder(str(name), below(tmp_path / "beside")))
    with pytest.raises(OSError, match="leads out of the folders that may be read"):
        open_folder(str(source / "out"), below(tmp_path / "beside"))
    assert open_files() == before


@pytest.mark.usefixtures("any_system")
def test_a_link_is_read_only_where_its_end_may_be(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write(source / "deep/a.json", "mine")
    write(tmp_path / "secret.json", "secret")
    (source / "in.json").symlink_to("deep/a.json")
    (source / "out.json").symlink_to(tmp_path / "secret.json")
    (source / "there and back.json").symlink_to("../source/deep/a.json")
    (source / "circle.json").symlink_to("circle.json")
    (source / "lost.json").symlink_to("gone")
    folder = LatestFolder(below(source))
    for name in ("in.json", "there and back.json", "deep/a.json"):
        assert content(folder.open(str(source / name))) == b"mine"
    for name in ("out.json", "circle.json", "lost.json"):
        with pytest.raises(OSError):
            folder.open(str(source / name))
    with pytest.raises(OSError, match="--image-root"):
        folder.open(str(source / "out.json"))


@pytest.mark.usefixtures("any_system")
def test_a_folder_that_was_replaced_by_a_link_after_it_was_listed_is_not_read(
    tmp_path: Path,
) -> None:
    """The file there may have the same size and times: nothing else would tell."""
    source = tmp_path / "source"
    listed = write(source / "day/a.json", "mine!!")
    secret = write(tmp_path / "home/a.json", "secret")
    os.utime(secret, ns=(listed.stat().st_mtime_ns,) * 2)
    (source / "day").rename(source / "aside")
    (source / "day").symlink_to(tmp_path / "home")
    with pytest.raises(OSError, match="leads out"):
        LatestFolder(below(source)).open(str(listed))


def test_files_side_by_side_are_opened_from_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1", "a/2", "a/3", "b/4", "a/5"):
        write(tmp_path / name)
    opened: list[str] = []
    whole = open_folder

    def counted(path: str, may_read: Callable[[str], bool]) -> int:
        opened.append(os.path.basename(path))
        return whole(path, may_read)

    monkeypatch.setattr(regular_file, "open_folder", counted)
    before = open_files()
    folder = LatestFolder(below(tmp_path))
    for name in ("a/1", "a/2", "a/3", "b/4", "a/5"):
        assert content(folder.open(str(tmp_path / name))) == b"content"
    assert opened == ["a"], "a file alone needs none"
    assert open_files() in (before + 1, 0)
    del folder
    assert open_files() == before


def test_many_threads_may_open_files_at_once(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    paths = [str(write(tmp_path / f"{number % 7}/{number}", str(number))) for number in range(200)]
    folder = LatestFolder(below(tmp_path))
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda path: content(folder.open(path)).decode(), paths))
    assert found == [os.path.basename(path) for path in paths]


def test_errors_hold_no_folder_open(tmp_path: Path) -> None:
    """A batch may keep the error of each of its files until all are read."""
    folder = LatestFolder(below(tmp_path))
    before = open_files()
    errors = []
    for number in range(20):
        write(tmp_path / f"{number}/a.json").unlink()
        for _ in range(3):
            try:
                folder.open(str(tmp_path / f"{number}/a.json"))
            except OSError as error:
                errors.append(error)
    assert len(errors) == 60
    assert open_files() in (before + 1, 0)


@pytest.mark.usefixtures("any_system")
def test_a_folder_that_the_system_spells_in_another_way_is_the_same_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where upper and lower case do not matter."""
    path = write(tmp_path / "source/a.json")
    whole = os.readlink

    def respelt(path: str, **options: int) -> str:
        return whole(path, **options).replace("source", "SOURCE")

    monkeypatch.setattr(regular_file.os, "readlink", respelt)
    assert content(open_real(str(path))) == b"content"
    assert content(LatestFolder(below(path.parent)).open(str(path))) == b"content"
