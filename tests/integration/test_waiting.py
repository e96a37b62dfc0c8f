"""A server that stays away is waited for, and whoever looks on is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from imports import ResilientImporter, load_settings
from imports.backends.target import embedded_folder
from imports.errors import BackendUnavailableError, InterruptedRunError
from imports.items.phase import Phase
from imports.run.display import SilentDisplay
from imports.servers import embedded
from imports.workers.process_id import is_running
from tests.integration.conftest import Waits
from tests.support import contents
from tests.support.bench import Bench
from tests.support.command import wait_until
from tests.support.database import query
from tests.support.proxy import MERGE_STATES, RPC_MERGE_STATES, STORE_IMAGE, Proxy

RECORDS, IMAGES = 30, 6

LONGER_THAN_THE_TRIES = 12


class Told(SilentDisplay):
    """Keeps what the user is told; `beginning` is called when a phase begins."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.waits = threading.Event()
        self.waited_for = ""

    def begin(self, phase: Phase, total: int | None) -> None:
        if phase is Phase.IMPORT:
            self.before_import()

    def before_import(self) -> None:
        """For a test that does something then."""

    def say(self, message: str) -> None:
        self.said.append(message)

    def waiting(self, text: str, *, as_line: bool) -> None:
        if "merging" in text:
            self.waited_for = text
            self.waits.set()


@pytest.fixture
def told() -> Told:
    return Told()


def fill(bench: Bench) -> Proxy:
    bench.source.add_many(RECORDS)
    bench.source.add_many(IMAGES, images=True)
    return bench.proxied()


def check(bench: Bench) -> None:
    assert (bench.count(), len(bench.images())) == (RECORDS, IMAGES)


@pytest.mark.parametrize("moment", ["opening", "upload", "import"])
def test_a_server_that_restarts_is_waited_for_beyond_the_tries(
    bench: Bench, waits: Waits, told: Told, moment: str
) -> None:
    proxy = fill(bench)
    if moment == "opening":
        proxy.stop()
    elif bench.target.backend == "postgresql":
        needle = {"upload": b"image_assets", "import": MERGE_STATES}[moment]
        proxy.add(needle, action="die", spare=1)
    else:
        needle = {"upload": STORE_IMAGE, "import": RPC_MERGE_STATES}[moment]
        proxy.add(needle, action="die", spare=1)
    lock = threading.Lock()

    def come_back(number: int) -> None:
        with lock:
            if number >= LONGER_THAN_THE_TRIES and proxy._listener is None:
                proxy.start()

    waits.then = come_back
    settings = bench.settings(batch_size=10, max_workers=2, max_wait=60)
    report = ResilientImporter(settings, told).run()
    assert (report.exit_code, report.failures) == (0, [])
    assert len(waits) >= LONGER_THAN_THE_TRIES
    check(bench)
    outages = [line for line in told.said if line.startswith("⏳")]
    ends = [line for line in told.said if line.startswith("The target answers again")]
    assert all("Waiting up to 1 min for an answer; Ctrl-C stops." in line for line in outages)
    # The database and the image store may each be one.
    assert 1 <= len(outages) == len(ends) <= 2


def test_a_server_that_stays_away_is_given_up_and_the_run_says_how_long_it_waited(
    bench: Bench, waits: Waits, told: Told
) -> None:
    proxy = fill(bench)
    proxy.stop()
    with pytest.raises(BackendUnavailableError, match=r"Gave up after \d s \(--max-wait\)"):
        ResilientImporter(bench.settings(max_wait=0.3), told).run()
    assert len(told.said) == 1


@pytest.fixture
def quick_locks(supabase_bench_shared: Bench) -> Iterator[Bench]:
    """A Supabase whose merges wait for a lock for a moment only."""
    wait = "ALTER FUNCTION public.importer_merge_states(jsonb) SET lock_timeout = %s"
    query(supabase_bench_shared.url, wait, "20ms")
    yield supabase_bench_shared
    query(supabase_bench_shared.url, wait, "5s")


def test_a_lock_is_waited_for_beyond_the_tries_and_nothing_is_halved(
    quick_locks: Bench, waits: Waits
) -> None:
    bench = quick_locks
    bench.source.add_many(RECORDS)
    with ExitStack() as held:
        held.enter_context(contents.held(bench.url))
        waits.then = lambda number: held.close() if number == LONGER_THAN_THE_TRIES else None
        report = bench.run(max_wait=60)
    assert (report.exit_code, report.count("import.inserted")) == (0, RECORDS)
    assert len(waits) == LONGER_THAN_THE_TRIES
    assert report.count("import.completed_batches") == 1


def test_a_lock_that_stays_ends_the_run_which_can_be_resumed(
    quick_locks: Bench, waits: Waits
) -> None:
    bench = quick_locks
    bench.source.add_many(RECORDS)
    with contents.held(bench.url):
        report = bench.run(max_wait=0.3)
    assert (report.exit_code, report.failures, bench.count()) == (75, [], 0)
    told = " ".join(report.next_commands)
    assert "pg_locks" in told
    assert "Gave up after" in told
    assert bench.run().exit_code == 0
    assert bench.count() == RECORDS


def test_ctrl_c_is_heard_while_a_server_is_waited_for(
    bench: Bench, waits: Waits, told: Told
) -> None:
    proxy = fill(bench)
    proxy.add(*_merge(bench), action="die")
    stop = threading.Event()
    waits.then = lambda number: stop.set() if number == LONGER_THAN_THE_TRIES else None
    settings = bench.settings(max_wait=3_600, max_workers=1)
    report = ResilientImporter(settings, told, stop).run()
    assert (report.exit_code, report.state.status) == (130, "interrupted")
    stop.clear()
    waits.then = lambda number: stop.set() if len(waits) > 2 * LONGER_THAN_THE_TRIES else None
    with pytest.raises(InterruptedRunError, match="The same command resumes it"):
        ResilientImporter(settings, told, stop).run()


def test_a_server_that_says_nothing_is_named_after_a_while(
    bench: Bench, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imports.run.waiting.SECONDS_BEFORE_IT_IS_SHOWN", 0.0)
    monkeypatch.setattr("imports.run.waiting._SECONDS_BETWEEN_LOOKS", 0.005)
    proxy = fill(bench)

    def wait_until_it_is_told() -> None:
        # That of images may have been told before.
        told.waits.clear()
        told.waits.wait(20)

    fault = proxy.add(*_merge(bench), action="call", call=wait_until_it_is_told)
    report = ResilientImporter(bench.settings(), told).run()
    assert (report.exit_code, fault.happened) == (0, 1)
    assert told.waited_for.startswith(f"waiting for the database: merging {RECORDS} rows, ")


def _merge(bench: Bench) -> tuple[bytes, ...]:
    return (MERGE_STATES,) if bench.target.backend == "postgresql" else (RPC_MERGE_STATES,)


@pytest.fixture
def embedded_bench(postgresql_bench: Bench) -> Iterator[Bench]:
    """A source, and no target that is configured."""
    yield postgresql_bench
    embedded.stop(embedded_folder(postgresql_bench.data_folder))


def test_the_embedded_server_is_started_again_if_it_was_killed(
    embedded_bench: Bench, waits: Waits, told: Told
) -> None:
    bench = embedded_bench
    bench.source.add_many(RECORDS)
    folder = embedded_folder(bench.data_folder)
    settings = load_settings(
        environment={},
        folder=bench.folder,
        source=bench.source.folder,
        tag="test",
        state_file=bench.state_file,
        data_folder=bench.data_folder,
        max_wait=60,
    )

    def kill() -> None:
        postmaster = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
        sessions = postmaster.children()
        postmaster.kill()
        # One that is asked just now answers before it notices, and all would be in.
        wait_until(lambda: not any(is_running(session.pid) for session in sessions))

    told.before_import = kill  # type: ignore[method-assign]
    found: list[object] = []

    def look(_: object) -> None:
        url = embedded.running_url(folder) or ""
        found.extend(query(url, "SELECT count(*) FROM search_results"))

    assert ResilientImporter(settings, told).run(look).exit_code == 0
    assert found == [(RECORDS,)]
