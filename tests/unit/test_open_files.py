from __future__ import annotations

import os
from pathlib import Path

import pytest

from imports.files.open_files import is_open_for_writing


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.json"
    path.write_bytes(b"{}")
    if is_open_for_writing(str(path)) is None:
        pytest.skip("nobody can tell here")
    return path


def test_a_file_that_a_program_writes_is_known_also_by_a_link(file: Path) -> None:
    link = file.with_name("link.json")
    link.symlink_to(file)
    assert [is_open_for_writing(str(each)) for each in (file, link)] == [False, False]
    with file.open("ab"):
        assert [is_open_for_writing(str(each)) for each in (file, link)] == [True, True]


def test_a_pipe_is_not_opened_and_whoever_writes_to_it_not_woken(tmp_path: Path) -> None:
    pipe = tmp_path / "a.json"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert is_open_for_writing(str(pipe)) is None
    finally:
        os.close(reader)
    assert is_open_for_writing(str(pipe)) is None
    assert is_open_for_writing(str(tmp_path / "gone.json")) is False
