"""What workers are handed is plain data: a cluster's executor can take it to another machine."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from imports.backends.retry import RetryPolicy
from imports.backends.target import open_target
from imports.backends.target_config import TargetConfig, opened
from imports.items.images import Image, ImageFile
from imports.items.source import Signature
from imports.phases import prepare
from imports.phases.upload import UploadTarget, record_images
from imports.workers import executors
from tests.support import people
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.source import png

JOBS = {
    *("list_folders", "look_again", "replaced_items", "plan_batch", "dispose_batch"),
    *("hash_batch", "known_images", "upload_batch", "record_images"),
    *("prepare_batch", "import_batch", "prepare_piece", "import_piece"),
    *("prepare_current", "compare_items", "compare_images", "_checked", "rows_written"),
}


class Jobs:
    """The names of the functions that were handed to workers, and how a log would show the jobs."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.shown: list[str] = []

    def pickled(self, function: Any, args: tuple[Any, ...]) -> bytes:
        """A job as it would travel."""
        whole = function
        while isinstance(whole, partial):
            whole = whole.func
        self.names.add(whole.__name__)
        self.shown.append(repr((function, args)))
        return pickle.dumps((function, args))


def unpickled(job: bytes) -> Any:
    """Does a job that has travelled; its answer travels back."""
    function, args = pickle.loads(job)
    return pickle.loads(pickle.dumps(function(*args)))


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """Has every job pickled that is handed to a worker. None is a process: they pickle anyway."""
    jobs = Jobs()
    monkeypatch.setattr("os.cpu_count", lambda: 1)

    class Threads(ThreadPoolExecutor):
        def __init__(self, count: int, thread_name_prefix: str = "") -> None:
            super().__init__(count, thread_name_prefix)
            # A thread without a name is for a question of the coordinator's own.
            self.pickles = bool(thread_name_prefix)

        def submit(self, function: Any, /, *args: Any, **_: Any) -> Future[Any]:
            if not self.pickles:
                return super().submit(function, *args)
            return super().submit(unpickled, jobs.pickled(function, args))

    class Here(executors._Here):
        def submit(self, function: Any, /, *args: Any, **_: Any) -> Future[Any]:
            return super().submit(unpickled, jobs.pickled(function, args))

    monkeypatch.setattr(executors, "ThreadPoolExecutor", Threads)
    monkeypatch.setattr("imports.phases.upload.ThreadPoolExecutor", Threads)
    monkeypatch.setattr(executors, "_Here", Here)
    return jobs


def test_every_job_of_a_run_can_be_pickled(
    bench: Bench, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.source.add_many(6, images=True)
    (bench.source.folder / "day/0005.png").unlink()
    (bench.source.folder / "day/0004.png").write_bytes(png(5)[:-6])
    assert bench.run(batch_size=2).exit_code == 0
    assert (bench.count(), len(bench.images())) == (6, 5)

    query(bench.url, "UPDATE search_results SET license_status = 'x' WHERE search_name < 'Q'")
    query(bench.url, "UPDATE image_assets SET file_size = 1")
    bench.store(next(iter(bench.images().values())), None)
    assert bench.verify(repair=True, deep=True).clean

    folder = bench.folder / "people"
    people.write(folder, "large.json", [people.person(f"p-{number}") for number in range(9)])
    monkeypatch.setattr(prepare, "LARGE_BYTES", 100)
    monkeypatch.setattr(prepare, "PIECE_RECORDS", 2)
    monkeypatch.setattr("imports.phases.pieces.PIECE_RECORDS", 2)
    bench.forget()
    report = bench.run(kind="people", source=folder, on_success="keep", verify_writes=True)
    assert (report.exit_code, report.count("import.inserted")) == (0, 9)
    assert report.verification is not None
    assert (report.verification.clean, report.verification.records) == (True, 9)
    bench.run(kind="people", source=folder)
    assert not (folder / "large.json").exists()

    assert jobs.names >= JOBS
    for secret in (bench.target.supabase_key, bench.target.database_url):
        assert secret is None or not any(secret in shown for shown in jobs.shown)


def connection(config: TargetConfig) -> int:
    """Which one the connection of a worker is."""
    return id(opened(config).database)


def test_a_worker_in_another_process_connects_for_itself_and_once(bench: Bench) -> None:
    image = Image(ImageFile("/images/1.png", Signature(1, 1)), "ab12", "png", "image/png", 3, None)
    with closing(open_target(bench.settings(), RetryPolicy(0))) as target:
        config = target.config
        assert opened(config) is target.connections, "the coordinator's own"
        spawned = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawned) as worker:
            worker.submit(record_images, UploadTarget(config, "batch", "run"), [image]).result()
            assert bench.images() == {"ab12": image.storage_path}
            first, second = (worker.submit(connection, config).result() for _ in range(2))
            assert first == second
