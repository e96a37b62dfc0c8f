from __future__ import annotations

import errno
import fcntl
import io
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imports.run.streams import Outlet, lost, tell, tell_apart


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: where it is read, and where it is written to."""
    ends = os.pipe()
    yield ends
    for each in ends:
        try:
            os.close(each)
        except OSError:
            continue


def stream(descriptor: int, error: OSError | None = None) -> io.TextIOWrapper:
    return io.TextIOWrapper(Outlet(descriptor, error), "utf-8", write_through=True)  # type: ignore[type-var]


def test_output_arrives_at_once(pipe: tuple[int, int]) -> None:
    mine = stream(pipe[1])
    tell("é\nb", mine)
    assert os.read(pipe[0], 100) == "é\nb\n".encode()
    assert lost(mine) is None


def test_a_lost_reader_raises_nothing_and_the_text_is_logged(
    pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "imports")
    mine = stream(pipe[1])
    os.close(pipe[0])
    tell("one\ntwo", mine)
    tell("three", mine)
    mine.close()
    found = lost(mine)
    assert found is not None
    assert found.errno == errno.EPIPE
    said = [record.getMessage().strip() for record in caplog.records]
    assert [line for line in said if "cannot be written to" not in line] == ["one", "two", "three"]


def test_a_full_disk_raises_nothing_and_the_error_is_stored() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    mine = stream(descriptor)
    tell("one", mine)
    os.close(descriptor)
    tell("two", mine)
    found = lost(mine)
    assert found is not None
    assert found.errno == errno.ENOSPC


def test_a_pipe_that_another_program_made_non_blocking_gets_all(pipe: tuple[int, int]) -> None:
    text = "x" * 1_000_000
    fcntl.fcntl(pipe[1], fcntl.F_SETFL, os.O_NONBLOCK)
    mine = stream(pipe[1])
    writer = threading.Thread(target=tell, args=(text, mine))
    writer.start()
    got = 0
    while got < len(text) + 1:
        got += len(os.read(pipe[0], 100_000))
    writer.join()
    assert lost(mine) is None


def test_a_stream_of_somebody_else_is_never_lost() -> None:
    assert lost(io.StringIO()) is None


@pytest.mark.parametrize(("errors", "told"), [("mail", b"look\n"), ("report", b"")])
def test_a_message_for_the_user_also_goes_to_a_separate_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errors: str, told: bytes
) -> None:
    with (tmp_path / "report").open("wb") as out, (tmp_path / errors).open("ab") as err:
        monkeypatch.setattr("sys.stdout", stream(out.fileno()))
        monkeypatch.setattr("sys.stderr", stream(err.fileno()))
        tell_apart("look")
    assert (tmp_path / errors).read_bytes() == told
