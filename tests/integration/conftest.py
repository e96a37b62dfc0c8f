"""What integration tests share."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from tenacity import RetryCallState

from imports.servers.local_supabase import LocalSupabase
from imports.tables.table import TableGroup
from tests.support.bench import Bench
from tests.support.small_kinds import placed
from tests.support.small_kinds.installing import Install, installed
from tests.support.small_kinds.placed import Trays
from tests.support.target import Target


@pytest.fixture(params=["postgresql", "supabase"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """An empty source and an empty target, of each of the backends in turn.

    The databases are shared: a test may change their schema only if it puts it right again.
    """
    yield from opened_bench(request, tmp_path)


@pytest.fixture(params=["postgresql", "supabase", "lite"])
def any_bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """The same, and for the REST API of `@supabase/lite` too.

    The modules that say what every backend does take it for their `bench`. Not that of images:
    both store them with `@supabase/lite`.
    """
    yield from opened_bench(request, tmp_path)


def opened_bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """The bench of the backend that a fixture is parametrized with."""
    if request.param == "postgresql":
        target = request.getfixturevalue("postgresql")
    else:
        target = Target.of(request.getfixturevalue(request.param))
        tmp_path = _beside(tmp_path)
    with closing(Bench(target, tmp_path)) as bench:
        yield bench


@pytest.fixture
def supabase_bench_shared(supabase: LocalSupabase, tmp_path: Path) -> Iterator[Bench]:
    """The same for Supabase alone."""
    with closing(Bench(Target.of(supabase), _beside(tmp_path))) as bench:
        yield bench


@pytest.fixture
def postgresql_bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """The same for a PostgreSQL of the test's own."""
    with closing(Bench(Target("postgresql", database_url), tmp_path)) as bench:
        yield bench


@pytest.fixture
def supabase_bench(own_supabase: LocalSupabase, tmp_path: Path) -> Iterator[Bench]:
    """The same for a Supabase of the test's own."""
    with closing(Bench(Target.of(own_supabase), _beside(tmp_path))) as bench:
        yield bench


def _beside(tmp_path: Path) -> Path:
    """A folder that is not that of the PostgreSQL, for the tests that compare the two."""
    folder = tmp_path / "supabase"
    folder.mkdir()
    return folder


class Waits(list[int]):
    """The number of each try that failed and was followed by another; `then` is called for it."""

    then: Callable[[int], object] = staticmethod(lambda number: None)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """No waiting before another try, and a list of those that would have been waited for."""
    waits = Waits()

    def report(state: RetryCallState) -> None:
        waits.append(state.attempt_number)
        waits.then(len(waits))

    monkeypatch.setattr("imports.backends.retry._backoff", lambda state: 0.001)
    monkeypatch.setattr("imports.backends.retry._log_retry", report)
    monkeypatch.setattr("imports.backends.retry._log_outage", report)
    return waits


@pytest.fixture
def nothing_left_open() -> Iterator[None]:
    """A connection that a test leaves open is told now, not in whichever test comes after it."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def small_kinds() -> Iterator[Install]:
    """Installs small kinds, into each database once: its REST API must hear of each."""
    done: set[tuple[str, str]] = set()
    with ExitStack() as stack:

        def install(bench: Bench, group: TableGroup, ddl: str, drop: str) -> None:
            if (bench.url, group.name) not in done:
                stack.enter_context(installed(bench, group, ddl, drop))
                done.add((bench.url, group.name))

        yield install


@pytest.fixture
def trays(bench: Bench, small_kinds: Install, monkeypatch: pytest.MonkeyPatch) -> Trays:
    """A bench whose source has trays, a small kind whose images have places of their own."""
    small_kinds(bench, placed.GROUP, placed.DDL, placed.DROP)
    return Trays(bench, monkeypatch)
