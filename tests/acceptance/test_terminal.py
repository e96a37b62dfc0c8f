"""Whoever reads what is said may go away, hang up or never have been there: the import goes on."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg2
import pytest

from imports.servers import embedded
from imports.servers.embedded_host import read_postmaster
from tests.support.command import MODULE, Workplace, wait_until
from tests.support.contents import count, held, until_somebody_waits
from tests.support.target import Target

LOG = "resilient_import.log"
ROOT = {"PYTHONPATH": str(Path(__file__).parents[2])}


def limited(name: str, most: int) -> tuple[str, ...]:
    """The command line, with less of something than it has."""
    limit = f"import resource as r; r.setrlimit(r.RLIMIT_{name}, ({most}, {most}))"
    return (sys.executable, "-c", f"{limit}; from imports.__main__ import start; start()")


def run(
    place: Workplace, *arguments: object, out: int | None = None, err: int | None = None
) -> tuple[int, str]:
    """Runs a command with streams of the test's own, -1 for a closed one; None is captured.

    Its exit code, and what it says where it is captured.
    """

    def close() -> None:
        for number, descriptor in ((1, out), (2, err)):
            if descriptor == -1:
                os.close(number)

    done = subprocess.run(
        [*MODULE, *map(str, arguments)],
        cwd=place.folder,
        env=place.variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if out in (None, -1) else out,
        stderr=subprocess.PIPE if err in (None, -1) else err,
        preexec_fn=close,
        check=False,
        timeout=60,
    )
    return done.returncode, ((done.stdout or b"") + (done.stderr or b"")).decode()


def without_reader() -> int:
    """A pipe whose reader is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def full() -> int:
    """A disk on which nothing has room."""
    return os.open("/dev/full", os.O_WRONLY)


def closed() -> int:
    """No stream at all."""
    return -1


@pytest.mark.parametrize("end", [without_reader, full, closed])
def test_an_import_goes_on_without_readers_and_the_log_has_its_report(
    pg_place: Workplace, postgresql: Target, small_source: Path, end: Callable[[], int]
) -> None:
    place, out, err = pg_place, end(), end()
    try:
        assert run(place, "states", small_source, "--tag", "t", out=out) == (0, "")
        assert count(postgresql.database_url) == 12
        log = (place.folder / LOG).read_text()
        assert "Standard output cannot be written to" in log
        assert "12 inserted" in log
        assert "All done." in log
        assert run(place, "verify", out=out, err=err) == (0, "")
        assert "12 records and 4 images match their files" in (place.folder / LOG).read_text()
    finally:
        for descriptor in {out, err} - {-1}:
            os.close(descriptor)


def test_a_command_that_only_prints_ends_as_others_do_when_nobody_reads_it(
    folder: Path,
) -> None:
    place = Workplace(folder, {})
    for command in (("schema", "print"), ("status",), ("status", "--json")):
        gone = without_reader()
        assert run(place, *command, out=gone) == (-signal.SIGPIPE, ""), command
        os.close(gone)
    for end in (full, closed):
        descriptor = end()
        code, said = run(place, "schema", "print", out=descriptor)
        assert (code, said.count("\n")) == (1, 1)
        assert said.startswith("Error: Standard output cannot be written to")
        if descriptor != -1:
            os.close(descriptor)
    assert run(place, "nonsense", err=-1) == (2, "")


def test_a_full_disk_under_the_log_alone_is_one_warning(
    pg_place: Workplace, postgresql: Target, small_source: Path
) -> None:
    most = 50_000_000
    (pg_place.folder / LOG).touch()
    os.truncate(pg_place.folder / LOG, most)
    limit = limited("FSIZE", most)
    done = pg_place.run("states", small_source, "--tag", "t", program=limit, environment=ROOT)
    assert done.err.count("\n") == 1
    assert done.err.startswith("⚠️  The log")
    assert "All done." in done.out
    assert count(postgresql.database_url) == 12


# Signals


def command(source: Path) -> list[object]:
    return ["states", source, "--tag", "t", "--batch-size", 25]


def test_a_terminal_that_is_closed_is_one_interruption(
    pg_place: Workplace, postgresql: Target, large_source: Path
) -> None:
    """The system and the shell each send a hang-up, to the whole group: workers get it, too."""
    url = postgresql.database_url
    with pg_place.started(*command(large_source)) as running:
        with held(url):
            until_somebody_waits(url)
            assert len(running.descendants()) >= 2
            for _ in range(3):
                os.killpg(running.pid, signal.SIGHUP)
                wait_until(lambda: "Stopping" in running.err)
            assert not running.ended
        stopped = running.finish(130)
    assert stopped.said_of_its_stop(), stopped.err
    assert pg_place.state["status"] == "interrupted"
    assert "To resume:" in stopped.out


def test_on_a_terminal_that_is_gone_the_batches_are_finished_and_the_log_has_the_report(
    pg_place: Workplace, postgresql: Target, medium_source: Path
) -> None:
    url = postgresql.database_url
    terminal, theirs = os.openpty()
    with held(url):
        process = subprocess.Popen(
            [*MODULE, *map(str, command(medium_source))],
            cwd=pg_place.folder,
            env=pg_place.variables(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        until_somebody_waits(url)
        os.close(terminal)
    assert process.wait(20) == 130
    assert pg_place.state["status"] == "interrupted"
    log = (pg_place.folder / LOG).read_text()
    assert "Stopping" in log
    assert "To resume:" in log


def test_what_ignores_a_hang_up_goes_on_ignoring_it(
    pg_place: Workplace, postgresql: Target, medium_source: Path
) -> None:
    url = postgresql.database_url
    nohup = ("/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", *MODULE)
    with pg_place.started(*command(medium_source), program=nohup) as running:
        with held(url):
            until_somebody_waits(url)
            running.interrupt(signal.SIGHUP)
        done = running.finish(0)
    assert done.err == ""


def test_a_group_that_is_ended_loses_no_worker_before_its_batches_are_done(
    pg_place: Workplace, postgresql: Target, large_source: Path
) -> None:
    """As `timeout` and service managers do it: the same signal twice, to the group."""
    url = postgresql.database_url
    with pg_place.started(*command(large_source)) as running:
        with held(url):
            until_somebody_waits(url)
            for _ in range(2):
                os.killpg(running.pid, signal.SIGTERM)
            wait_until(lambda: "Stopping" in running.err)
        stopped = running.finish(130)
    assert stopped.said_of_its_stop(), stopped.err
    assert pg_place.state["work_items_remaining"] < 1_500


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_leaves_no_server_no_process_and_no_warning(
    bare_place: Workplace, large_source: Path, number: signal.Signals
) -> None:
    place = bare_place
    data = place.folder / ".importer" / "postgresql"
    place.run("schema", "apply")
    with place.started(*command(large_source)) as running:
        wait_until(lambda: running.ended or embedded.running_url(data))
        url = embedded.running_url(data)
        assert url is not None
        with held(url):
            until_somebody_waits(url)
            left = running.descendants()
            assert len(left) >= 3

            def insist() -> bool:
                os.killpg(running.pid, number)
                return running.ended

            wait_until(insist, timeout=5, pause=0.1)
            stopped = running.finish(130)
            assert embedded.running_url(data) == url, "somebody is connected"
    assert [line.partition(":")[0] for line in stopped.err.splitlines()] == ["Stopping"]
    wait_until(lambda: not (data / "postmaster.pid").exists())
    psutil.wait_procs(left, timeout=10)
    assert not [each for each in left if each.is_running()]
    assert running.err == stopped.err, "nothing was said afterwards"


# The embedded server


def test_a_server_in_use_is_not_stopped_under_its_run(
    bare_place: Workplace, medium_source: Path
) -> None:
    place = bare_place
    url = place.run("db", "start").out.strip()
    place.run("states", medium_source, "--tag", "t", "--limit", 1)
    with place.started("states", medium_source, "--tag", "t", "--force") as running:
        with held(url):
            until_somebody_waits(url)
            refused = place.run("db", "stop", exit_code=11)
            assert f"process {running.pid}" in refused.err
            assert "--force" in refused.err
        running.finish(0)
    somebody = psycopg2.connect(url, application_name="psql")
    assert "used by psql" in place.run("db", "stop", exit_code=11).err
    assert place.run("db", "url").out.strip() == url
    assert "is stopped" in place.run("db", "stop", "--force").out
    somebody.close()


def test_a_server_that_is_killed_while_the_run_stops_it_costs_nothing(
    bare_place: Workplace, small_source: Path
) -> None:
    place = bare_place
    data = place.folder / ".importer" / "postgresql"
    command = ("states", small_source, "--tag", "t", "--backend", "embedded", "--force")
    killed: list[int] = []

    def stopping() -> bool:
        server = read_postmaster(data)
        if server is not None and server.status == "stopping":
            os.kill(server.pid, signal.SIGKILL)
            killed.append(server.pid)
        return bool(killed) or running.ended

    for _ in range(5):  # a busy machine may look too late
        with place.started(*command) as running:
            wait_until(stopping, pause=0.0003)
            done = running.finish(0)
        assert "All done." in done.out
        assert done.err == ""
        if killed:
            break
    assert killed
    place.run("verify")


def test_too_little_of_something_is_told_without_a_traceback(
    pg_place: Workplace, large_source: Path
) -> None:
    run = ("states", large_source, "--tag", "t")
    few = pg_place.run(*run, program=limited("NOFILE", 12), environment=ROOT, exit_code=1)
    assert "ulimit -n" in few.err
    # Each thread takes its stack out of the memory there is: the second one finds no room.
    small = ("/bin/sh", "-c", 'ulimit -s 262144; ulimit -v 500000; exec "$@"', "sh", *MODULE)
    none = pg_place.run(*run, program=small, exit_code=1)
    assert "ulimit -u" in none.err
    for told in (few, none):
        assert "Traceback" not in told.text
        assert len(told.err.splitlines()) == 1
