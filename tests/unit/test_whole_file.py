from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from imports.files import free_names
from imports.files.whole_file import replacing, sync_folder


def failing(code: int) -> object:
    def fsync(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    return fsync


def test_a_file_system_that_cannot_bring_names_to_disk_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    sync_folder(tmp_path)


def test_names_that_did_not_get_to_disk_are_not_taken_for_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        sync_folder(tmp_path)


@pytest.mark.parametrize("by_link", [False, True])
def test_a_draft_gets_a_name_only_if_that_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_link: bool
) -> None:
    if by_link:
        monkeypatch.setattr(free_names, "_rename_exclusively", lambda file, name: False)
    path = tmp_path / "a"
    with replacing(path, over=False) as file:
        file.write(b"first")
    with pytest.raises(FileExistsError), replacing(path, over=False) as file:
        file.write(b"second")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a", b"first")]


@pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="the call is Linux's")
def test_a_draft_never_has_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is killed in between would leave it beside the file."""
    monkeypatch.setattr(os, "link", lambda *_, **__: pytest.fail("a second name"))
    with replacing(tmp_path / "a", over=False) as file:
        file.write(b"x")
