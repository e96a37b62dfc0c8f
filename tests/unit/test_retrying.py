from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast
from uuid import uuid4

import pytest

from imports.backends.database import Database, ImageStore, Rows, TargetIdentity
from imports.backends.operations import Operations, OperationStats
from imports.backends.reading import RowQuery
from imports.backends.retry import RetryPolicy
from imports.backends.retrying import RetryingDatabase, RetryingStore
from imports.errors import BackendError, BackendUnavailableError, DataRefusedError
from imports.items.images import Image, ImageFile
from imports.items.source import Signature
from imports.kinds.states import STATES
from imports.run.waiting import QUESTIONS

IMAGE = Image(ImageFile("/images/1.png", Signature(1, 1)), "ab12", "png", "image/png", 3, None)
ROWS = Rows(STATES.group, {}, {0: [b"{}"]})


class Clock(threading.Event):
    """A stop event, and the time: it passes where somebody waits, and with each request."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return self.is_set()


class Scripted:
    """A database and a store: each operation raises the next of some errors, or answers."""

    row_format = "json"
    storage_type = "memory"
    put_at_once = 7

    def __init__(self, clock: Clock, *errors: Exception) -> None:
        self.clock = clock
        self.errors = list(errors)
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., str]:
        def operation(*arguments: object, **named: object) -> str:
            self.asked.append((name, *arguments, *named.items()))
            self.clock.now += 1.0
            if self.errors:
                raise self.errors.pop(0)
            return f"answer to {name}"

        return operation


@pytest.fixture
def clock() -> Clock:
    return Clock()


def patient(clock: Clock, max_wait: float = 0.0, retries: int = 3) -> RetryPolicy:
    return RetryPolicy(retries, clock, max_wait, clock=lambda: clock.now)


def database_of(scripted: Scripted, policy: RetryPolicy) -> RetryingDatabase:
    return RetryingDatabase(cast(Database, scripted), policy)


def store_of(scripted: Scripted, policy: RetryPolicy) -> RetryingStore:
    return RetryingStore(cast(ImageStore, scripted), policy)


def away() -> BackendUnavailableError:
    return BackendUnavailableError("not now.")


CALLS: dict[str, tuple[Any, ...]] = {
    "database.identify": (),
    "database.dataset_id": ("states", "tag", None, "me"),
    "database.merge": (uuid4(), ROWS),
    "database.compare": (ROWS,),
    "database.rows": (RowQuery(STATES.group.tables[0], 10, ("id",)),),
    "database.call": ("importer_row_count", b"{}", int),
    "database.condition": (["public.datasets"],),
    "database.count_written": (STATES.group, ["b"]),
    "database.delete_written": (STATES.group, STATES.group.tables[0], ["1"], ["b"]),
    "database.unlist_images": ("local", "", 10),
    "database.forget_noted": (["ab12"],),
    "database.known_images": (["ab12"],),
    "database.forget_merges": ("b",),
    "store.prepare": (),
    "store.is_public": (),
    "store.put": (IMAGE,),
    "store.put_at": ("a/b.png", IMAGE),
    "store.copy": ("a/b.png", "a/c.png"),
    "store.names": ("a", "b"),
    "store.size": ("a/b.png",),
    "store.sha256": ("a/b.png",),
    "store.remove": ("a/b.png",),
}


@pytest.mark.parametrize("operation", CALLS)
def test_each_operation_is_tried_again_and_counted(operation: str, clock: Clock) -> None:
    scripted = Scripted(clock, away(), away())
    policy = patient(clock)
    whose, _, name = operation.partition(".")
    asked = database_of(scripted, policy) if whose == "database" else store_of(scripted, policy)
    arguments = CALLS[operation]
    named = {"over": True} if name == "put_at" else {}
    answer = getattr(asked, name)(*arguments, **named)
    assert scripted.asked == [(name, *arguments, *named.items())] * 3
    assert answer in (f"answer to {name}", None)
    ((told, stats),) = asked.operations.stats().items()
    assert (told, stats.calls, stats.retries, stats.failures) == (operation, 1, 2, 0)
    assert stats.seconds == clock.now - 1_000.0 > 3.0, "with the waits in between"
    assert policy.pending == {}


def test_the_protocols_have_nothing_that_is_not_wrapped() -> None:
    for protocol, wrapper in ((Database, RetryingDatabase), (ImageStore, RetryingStore)):
        names = {name for name in vars(protocol) if not name.startswith("_")}
        assert names <= vars(wrapper).keys()


def test_of_each_operation_is_said_what_is_waited_for() -> None:
    assert QUESTIONS.keys() == CALLS.keys() | {"database.merge_nothing"}


def test_what_fails_is_counted_as_that(clock: Clock) -> None:
    scripted = Scripted(clock, DataRefusedError("no"), away(), BackendError("wrong key"))
    database = database_of(scripted, patient(clock))
    for error in (DataRefusedError, BackendError):
        with pytest.raises(error):
            database.merge(uuid4(), ROWS)
    database.merge(uuid4(), ROWS)
    stats = database.operations.stats()["database.merge"]
    assert (stats.calls, stats.retries, stats.failures) == (3, 1, 2)


def test_sums_are_added_up_whichever_thread_they_come_from() -> None:
    operations = Operations()

    def work() -> None:
        for _ in range(500):
            operations.add("store.put", retries=1, failed=True, seconds=0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert operations.stats() == {"store.put": OperationStats(2_000, 2_000, 2_000, 1_000.0)}


def test_what_is_asked_is_known_while_it_is_under_way(clock: Clock) -> None:
    policy = patient(clock)

    class Looking(Scripted):
        def merge(self, *arguments: object) -> None:
            (asked,) = policy.pending.values()
            assert (asked.operation, asked.arguments) == ("database.merge", arguments)
            raise DataRefusedError("no")

    with pytest.raises(DataRefusedError):
        database_of(Looking(clock), policy).merge(uuid4(), ROWS)
    assert policy.pending == {}


def test_with_fewer_retries_it_is_the_same_database(clock: Clock) -> None:
    scripted = Scripted(clock, away(), away())
    database = database_of(scripted, patient(clock))
    with pytest.raises(BackendUnavailableError):
        database.retrying(1).identify()
    assert len(scripted.asked) == 2
    assert database.policy.max_retries == 3
    assert database.operations.stats()["database.identify"].failures == 1
    probed: list[str] = []
    database.watch(lambda: probed.append("probe"))
    scripted.errors = [away(), away()]
    with pytest.raises(BackendUnavailableError):
        database_with_time(database, clock).identify()
    assert probed, "what is watched of one is watched of the other"


def database_with_time(database: RetryingDatabase, clock: Clock) -> RetryingDatabase:
    other = database.retrying(0)
    other.policy = patient(clock, max_wait=60.0, retries=0)
    return other


def test_that_merges_go_through_is_waited_for_though_the_database_answers(clock: Clock) -> None:
    scripted = Scripted(clock, *(away() for _ in range(8)))
    database = database_of(scripted, patient(clock, max_wait=120.0, retries=0))
    database.watch(lambda: TargetIdentity("x", None, None))
    database.merge_nothing(STATES.group, {"batch_id": "b"})
    assert len(scripted.asked) == 9
    assert {name for name, *_ in scripted.asked} == {"merge"}
    assert [rows.by_table for _, _, rows in scripted.asked] == [{0: []}] * 9
    assert len({request for _, request, _ in scripted.asked}) == 9, "none waits for another one"


def test_an_image_is_to_blame_if_the_store_answers_to_others(clock: Clock) -> None:
    scripted = Scripted(clock)
    store_of(scripted, patient(clock)).blame_image(away())
    assert scripted.asked == [("prepare",)]
    scripted.errors = [away()] * 9
    with pytest.raises(BackendUnavailableError):
        store_of(scripted, patient(clock)).blame_image(away())


@pytest.mark.parametrize("stopping", [False, True])
def test_of_a_full_store_or_a_run_that_is_stopping_no_image_is_to_blame(
    clock: Clock, stopping: bool
) -> None:
    scripted = Scripted(clock)
    error = BackendUnavailableError("full", divisible=stopping)
    if stopping:
        clock.set()
    with pytest.raises(BackendUnavailableError) as caught:
        store_of(scripted, patient(clock)).blame_image(error)
    assert caught.value is error
    assert scripted.asked == []
