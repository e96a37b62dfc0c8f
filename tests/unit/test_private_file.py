from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from imports.files.private_file import make_folder, private, read_own, tighten


@pytest.fixture(params=[0o000, 0o022, 0o077], autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_its_owners(tmp_path: Path) -> None:
    with open(tmp_path / "a", "w", opener=private) as file:
        file.write("x")
    assert mode(tmp_path / "a") == 0o600
    assert read_own(tmp_path / "a") == b"x"


def test_new_folders_are_their_owners_and_others_stay(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert [mode(each) for each in (tmp_path, tmp_path / "a", tmp_path / "a/b")] == [
        0o755,
        0o700,
        0o700,
    ]


@pytest.mark.parametrize("what", ["link", "pipe", "folder", "dangling"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, what: str) -> None:
    victim, place = tmp_path / "victim", tmp_path / "place"
    victim.write_text("years of work")
    if what == "pipe":
        os.mkfifo(place)
    elif what == "folder":
        place.mkdir()
    else:
        place.symlink_to(victim if what == "link" else tmp_path / "new")
    with pytest.raises(OSError):
        open(place, "w", opener=private)  # noqa: SIM115
    with pytest.raises(OSError):
        read_own(place)
    assert victim.read_text() == "years of work"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [(0o644, 0o600), (0o666, 0o600), (0o755, 0o700), (0o640, 0o640), (0o400, 0o400)],
)
def test_a_file_that_all_may_read_is_closed_and_a_groups_stays_open(
    tmp_path: Path, before: int, after: int
) -> None:
    file = tmp_path / "a"
    file.touch()
    file.chmod(before)
    tighten(file)
    assert mode(file) == after


def test_the_target_of_a_link_and_what_is_gone_stay_as_they_are(tmp_path: Path) -> None:
    file, link = tmp_path / "a", tmp_path / "link"
    file.touch()
    file.chmod(0o644)
    link.symlink_to(file)
    tighten(link)
    tighten(tmp_path / "gone")
    assert mode(file) == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_belongs_to_somebody_else_is_neither_read_nor_changed(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.touch()
    file.chmod(0o644)
    os.chown(file, 12345, 12345)
    tighten(file)
    assert mode(file) == 0o644
    with pytest.raises(PermissionError):
        read_own(file)
