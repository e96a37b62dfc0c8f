"""The lock on a file of ours, seen from within and from beside it."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from imports.errors import LockedError
from imports.run.lock import Holder, hold, holder, write_run

OWN = os.getpid()


def held(path: Path, resources: ExitStack) -> None:
    hold(path, "The ledger", "--db-path", resources)


def test_an_unlocked_file_has_no_holder_and_gets_no_lock(tmp_path: Path) -> None:
    assert holder(tmp_path / "ledger.db") is None
    assert list(tmp_path.iterdir()) == []


def test_who_holds_it_is_known_and_for_which_run(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with ExitStack() as resources:
        held(path, resources)
        assert holder(path) == Holder(OWN, None)
        write_run(path, "batch_1")
        assert holder(path) == Holder(OWN, "batch_1")
        (tmp_path / "ledger.db.pid").write_text("garbage")
        assert holder(path) == Holder(None, None)
    assert holder(path) is None


def test_another_process_is_refused_with_the_next_step(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with ExitStack() as first, ExitStack() as second:
        held(path, first)
        with pytest.raises(LockedError) as caught:
            held(path, second)
    assert caught.value.exit_code == 11
    assert str(caught.value) == (
        f"The ledger {path} is in use by process {OWN}. Wait for it to end, or name another one"
        " with --db-path."
    )


def test_a_killed_process_holds_no_lock_whatever_files_it_left(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    read, write = os.pipe()
    if not (child := os.fork()):
        held(path, resources := ExitStack())
        write_run(path, "batch_1")
        os.write(write, b"!")
        signal.pause()
        resources.close()
    assert os.read(read, 1) == b"!"
    found = holder(path)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0) == (child, signal.SIGKILL)
    os.close(read)
    os.close(write)
    assert found == Holder(child, "batch_1")
    assert (tmp_path / "ledger.db.pid").exists()
    assert holder(path) is None
    with ExitStack() as resources:
        held(path, resources)
        assert holder(path) == Holder(OWN, None)


def test_asking_for_the_holder_blocks_nobody(tmp_path: Path) -> None:
    """A run that begins at the very moment waits for the instant that asking takes."""
    import fcntl
    import threading

    path = tmp_path / "ledger.db"
    with (tmp_path / "ledger.db.lock").open("w") as asking, ExitStack() as resources:
        fcntl.flock(asking, fcntl.LOCK_SH)
        threading.Timer(0.02, fcntl.flock, (asking, fcntl.LOCK_UN)).start()
        held(path, resources)
        assert holder(path) == Holder(OWN, None)
