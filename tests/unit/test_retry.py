"""Nothing here waits: the stop event, which all waiting goes through, keeps count instead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from imports.backends.outage import Server, duration
from imports.backends.retry import LONGEST_WAIT_SECONDS, RetryPolicy, with_retries
from imports.errors import (
    BackendError,
    BackendUnavailableError,
    DataRefusedError,
    ImageProblemError,
    RecordError,
    SchemaError,
)


class CountingEvent(threading.Event):
    """Returns from every wait at once, and remembers how long it was asked to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return self.is_set()


class Operation:
    """Fails so many times, then returns its argument."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures = failures
        self.error = error or BackendUnavailableError("not now")
        self.calls = 0

    def __call__(self, value: object = "done", *, extra: object = None) -> object:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return value if extra is None else (value, extra)


@pytest.fixture
def stop() -> CountingEvent:
    return CountingEvent()


def test_what_succeeds_is_called_once_with_its_arguments(stop: CountingEvent) -> None:
    operation = Operation(0)
    called = partial(operation, 5, extra="x")
    assert with_retries(RetryPolicy(3, stop), Server(), called) == (5, "x")
    assert operation.calls == 1
    assert stop.waits == []


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_what_passes_is_tried_again_until_it_does(failures: int, stop: CountingEvent) -> None:
    operation = Operation(failures)
    assert with_retries(RetryPolicy(3, stop), Server(), partial(operation, 5)) == 5
    assert operation.calls == failures + 1
    assert len(stop.waits) == failures


@pytest.mark.parametrize("retries", [0, 1, 3, 5])
def test_after_the_last_retry_the_error_itself_is_raised(retries: int, stop: CountingEvent) -> None:
    operation = Operation(100)
    with pytest.raises(BackendUnavailableError) as caught:
        with_retries(RetryPolicy(retries, stop), Server(), operation)
    assert caught.value is operation.error
    assert operation.calls == retries + 1
    assert len(stop.waits) == retries, "nobody waits after the last try"


def test_by_default_it_is_tried_three_times_more() -> None:
    assert RetryPolicy().max_retries == 3


@pytest.mark.parametrize(
    "error",
    [
        BackendError("wrong key"),
        SchemaError("no such table"),
        DataRefusedError("no such date"),
        ImageProblemError("no such image"),
        RecordError("no such record"),
        ValueError("a defect"),
        ConnectionError("not translated by its backend"),
    ],
)
def test_what_does_not_pass_is_not_tried_again(error: Exception, stop: CountingEvent) -> None:
    operation = Operation(1, error)
    with pytest.raises(type(error)) as caught:
        with_retries(RetryPolicy(3, stop), Server(), operation)
    assert caught.value is error
    assert operation.calls == 1
    assert stop.waits == []


def test_an_error_that_does_not_pass_ends_retrying_in_the_middle(stop: CountingEvent) -> None:
    errors = iter([BackendUnavailableError("not now"), BackendError("wrong key")])

    def operation() -> None:
        raise next(errors)

    with pytest.raises(BackendError, match="wrong key"):
        with_retries(RetryPolicy(3, stop), Server(), operation)


def test_the_waits_double_with_a_little_chance_in_them(stop: CountingEvent) -> None:
    for _ in range(20):
        with pytest.raises(BackendUnavailableError):
            with_retries(RetryPolicy(4, stop), Server(), Operation(100))
    waits = [wait or 0.0 for wait in stop.waits]
    for number, least in enumerate((0.5, 1.0, 2.0, 4.0)):
        nth = waits[number::4]
        assert all(least <= wait <= least + 0.5 for wait in nth)
        assert len(set(nth)) > 1, "many clients must not come back at the same moment"


def test_no_wait_is_longer_than_the_longest(stop: CountingEvent) -> None:
    with pytest.raises(BackendUnavailableError):
        with_retries(RetryPolicy(15, stop), Server(), Operation(100))
    assert max(wait or 0.0 for wait in stop.waits) == LONGEST_WAIT_SECONDS


@pytest.mark.parametrize("seconds", [2.0, 17.5])
def test_the_time_that_the_target_asks_for_is_waited(seconds: float, stop: CountingEvent) -> None:
    error = BackendUnavailableError("too many requests", retry_after=seconds)
    with_retries(RetryPolicy(3, stop), Server(), Operation(2, error))
    assert stop.waits == [seconds, seconds]


@pytest.mark.parametrize("seconds", [0.0, 0.1])
def test_a_target_that_asks_for_next_to_no_time_does_not_use_up_the_tries_at_once(
    seconds: float, stop: CountingEvent
) -> None:
    """What PostgREST answers first while its database restarts."""
    error = BackendUnavailableError("no connection to the database", retry_after=seconds)
    with_retries(RetryPolicy(3, stop), Server(), Operation(3, error))
    assert [least <= (wait or 0) for least, wait in zip((0.5, 1, 2), stop.waits, strict=True)]
    assert sum(wait or 0 for wait in stop.waits) >= 3.5


@pytest.mark.parametrize("seconds", [3600.0, float("inf")])
def test_a_target_cannot_put_a_run_to_sleep(seconds: float, stop: CountingEvent) -> None:
    error = BackendUnavailableError("come back tomorrow", retry_after=seconds)
    with_retries(RetryPolicy(3, stop), Server(), Operation(1, error))
    assert stop.waits == [LONGEST_WAIT_SECONDS]


def test_a_run_that_is_stopping_does_not_try_again() -> None:
    stop = CountingEvent()
    operation = Operation(100)

    def stopped() -> None:
        stop.set()
        operation()

    with pytest.raises(BackendUnavailableError):
        with_retries(RetryPolicy(3, stop), Server(), stopped)
    assert operation.calls == 1
    assert stop.waits == []


def test_the_stop_event_ends_a_wait_that_is_under_way() -> None:
    stop = threading.Event()
    operation = Operation(100, BackendUnavailableError("wait a minute", retry_after=60.0))
    threading.Timer(0.05, stop.set).start()
    waiting = threading.Thread(target=_swallow, args=(RetryPolicy(1, stop), operation))
    waiting.start()
    waiting.join(5)
    assert not waiting.is_alive()


def _swallow(policy: RetryPolicy, operation: Operation) -> None:
    with pytest.raises(BackendUnavailableError):
        with_retries(policy, Server(), operation)


# A server that stays away


class Clock(CountingEvent):
    """A stop event, and the time: it passes only where somebody waits. `then` is called after."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.then: Callable[[], object] = lambda: None

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        self.then()
        return super().wait(timeout)


class RemoteServer:
    """A server that is away until a moment; `broken` is a request that it never answers."""

    def __init__(self, clock: Clock, back_at: float) -> None:
        self.clock = clock
        self.back_at = back_at
        self.asked: list[str] = []
        self.known = Server()

    def probe(self) -> str:
        self.asked.append("probe")
        return self._answer()

    def merge(self) -> str:
        self.asked.append("merge")
        return self._answer()

    def broken(self) -> str:
        self.asked.append("broken")
        raise BackendUnavailableError("502.")

    def _answer(self) -> str:
        if self.clock.now < self.back_at:
            raise BackendUnavailableError("connection refused.")
        return "done"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def patient(clock: Clock, said: list[str]) -> RetryPolicy:
    return RetryPolicy(3, clock, 120.0, said.append, lambda: clock.now)


@pytest.mark.parametrize("probed", [False, True])
@pytest.mark.parametrize("seconds", [6.0, 60.0, 119.5])
def test_a_server_that_restarts_is_waited_for_and_the_user_is_told_once(
    clock: Clock, patient: RetryPolicy, said: list[str], seconds: float, probed: bool
) -> None:
    server = RemoteServer(clock, clock.now + seconds)
    if probed:
        server.known.probe = server.probe
    assert with_retries(patient, server.known, server.merge) == "done"
    assert clock.now - server.back_at <= 2.5, "it is noticed soon that the server is back"
    assert "connection refused. Waiting up to 2 min for an answer; Ctrl-C stops." in said[0]
    assert said[1:] == [f"The target answers again, after {duration(clock.now - 1_000)}."]


def test_a_hiccup_is_not_told_but_logged(
    clock: Clock, patient: RetryPolicy, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with_retries(patient, Server(), RemoteServer(clock, clock.now + 1.2).merge)
    assert said == []
    assert len(caplog.records) == 2


@pytest.mark.parametrize("probed", [False, True])
def test_a_server_that_stays_away_is_given_up_after_the_time_that_was_asked_for(
    clock: Clock, patient: RetryPolicy, said: list[str], probed: bool
) -> None:
    server = RemoteServer(clock, float("inf"))
    if probed:
        server.known.probe = server.probe
    with pytest.raises(
        BackendUnavailableError, match=r"Gave up after 2 min \(--max-wait\)"
    ) as caught:
        with_retries(patient, server.known, server.merge)
    assert clock.now == pytest.approx(1_120.0)
    assert not caught.value.divisible, "nobody looks for a culprit in the data"
    assert len(said) == 1


def test_after_an_outage_the_waits_are_short_again(clock: Clock, patient: RetryPolicy) -> None:
    server = RemoteServer(clock, clock.now + 60.0)
    server.known.probe = server.probe
    left = [BackendUnavailableError("a connection of the pool was dead.")] * 2

    def merge() -> str:
        server._answer()
        if left:
            raise left.pop()
        return "done"

    assert with_retries(patient, server.known, merge) == "done"
    assert clock.now - server.back_at < 6.0


def test_the_log_has_an_outage_in_few_lines(
    clock: Clock, patient: RetryPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with_retries(patient, Server(), RemoteServer(clock, clock.now + 100.0).merge)
    assert len(caplog.records) <= 6


def test_where_nobody_waits_only_the_tries_count(stop: CountingEvent) -> None:
    operation = Operation(100)
    with pytest.raises(BackendUnavailableError):
        with_retries(RetryPolicy(2, stop, 0.0), Server(), operation)
    assert operation.calls == 3


def test_a_request_that_fails_while_the_server_answers_gets_its_tries_and_no_more(
    clock: Clock, patient: RetryPolicy, said: list[str]
) -> None:
    server = RemoteServer(clock, 0.0)
    server.known.probe = server.probe
    with pytest.raises(BackendUnavailableError, match=r"^502\.$"):
        with_retries(patient, server.known, server.broken)
    assert server.asked.count("broken") == 4
    assert clock.now < 1_010.0
    assert said == []


def test_a_server_that_is_back_just_when_the_tries_are_used_up_gets_one_more(
    clock: Clock, patient: RetryPolicy
) -> None:
    """The tries failed for its absence: the request must not look like the culprit."""
    server = RemoteServer(clock, float("inf"))
    server.known.probe = server.probe

    def back_with_the_last_wait() -> None:
        if server.asked.count("merge") == 3:
            server.back_at = 0.0

    clock.then = back_with_the_last_wait
    assert with_retries(patient, server.known, server.merge) == "done"


class SlowlyRefusing(RemoteServer):
    """One that takes a second to say that it cannot just now, and may be there when it says it."""

    def merge(self) -> str:
        self.asked.append("merge")
        try:
            return self._answer()
        finally:
            self.clock.now += 1.0


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_request_whose_last_try_meets_another_outage_is_not_the_culprit(
    clock: Clock, patient: RetryPolicy, retries: int
) -> None:
    """It fails each time, and each time the server answers right after it: by chance."""
    server = SlowlyRefusing(clock, clock.now + 0.5)
    server.known.probe = server.probe
    struck = [0]

    def another_outage() -> None:
        tries = server.asked.count("merge")
        if struck[-1] < tries <= retries + 1:
            struck.append(tries)
            server.back_at = clock.now + 0.5

    clock.then = another_outage
    policy = replace(patient, max_retries=retries)
    assert with_retries(policy, server.known, server.merge) == "done"


def test_a_server_that_comes_and_goes_is_not_waited_for_without_end(
    clock: Clock, patient: RetryPolicy
) -> None:
    server = RemoteServer(clock, 0.0)
    server.known.probe = server.probe
    clock.then = lambda: setattr(server, "back_at", clock.now + 3.0 * (len(clock.waits) % 2))
    with pytest.raises(BackendUnavailableError):
        with_retries(patient, server.known, server.broken)
    assert server.asked.count("broken") <= 20


@pytest.mark.parametrize("seconds", [20.0, 119.0])
def test_a_lock_is_waited_for_by_time_and_not_by_tries(
    clock: Clock, patient: RetryPolicy, said: list[str], seconds: float
) -> None:
    locked = LockedTable(clock, clock.now + seconds)
    assert with_retries(patient, Server(), locked.merge) == "done"
    assert clock.now - locked.free_at <= 7.5, "it is noticed soon that the lock is free"
    assert said == [], "the server is there"


def test_a_lock_that_stays_ends_the_waiting_after_the_time_that_was_asked_for(
    clock: Clock, patient: RetryPolicy
) -> None:
    locked = LockedTable(clock, float("inf"))
    with pytest.raises(
        BackendUnavailableError, match=r"Gave up after 2 min .*\(--max-wait\)"
    ) as caught:
        with_retries(patient, Server(), locked.merge)
    assert clock.now <= 1_000.0 + 5.0 + 120.0 + 7.5
    assert not caught.value.divisible


def test_where_nobody_waits_a_lock_uses_up_the_tries(clock: Clock) -> None:
    locked = LockedTable(clock, float("inf"))
    with pytest.raises(BackendUnavailableError, match="lock"):
        with_retries(RetryPolicy(3, clock), Server(), locked.merge)
    assert locked.asked == 4


class LockedTable:
    """A server that answers after five seconds that somebody has a lock, until a moment."""

    def __init__(self, clock: Clock, free_at: float) -> None:
        self.clock, self.free_at, self.asked = clock, free_at, 0

    def merge(self) -> str:
        self.asked += 1
        if self.clock.now < self.free_at:
            self.clock.now += 5.0
            raise BackendUnavailableError("lock timeout.", locked=True)
        return "done"


def test_an_outage_is_told_once_whoever_meets_it(
    clock: Clock, patient: RetryPolicy, said: list[str]
) -> None:
    server = RemoteServer(clock, clock.now + 100.0)
    errors = [BackendUnavailableError(f"{number}.") for number in range(3)]
    for error in errors:
        server.known.away(patient, error)
    with_retries(patient, server.known, server.merge)
    server.known.answered(patient)
    assert [line.partition(" ")[0] for line in said] == ["⏳", "The"]


def test_each_server_is_away_for_itself(clock: Clock, patient: RetryPolicy) -> None:
    """A database that answers says nothing of an image store that does not."""
    database, store = RemoteServer(clock, 0.0), RemoteServer(clock, clock.now + 50.0)
    database.known.probe = database.probe
    store.known.probe = store.probe
    clock.then = lambda: with_retries(patient, database.known, database.merge)
    assert with_retries(patient, store.known, store.merge) == "done"
    assert clock.now >= store.back_at


def test_a_request_that_brings_its_server_down_each_time_comes_to_an_end(
    clock: Clock, patient: RetryPolicy
) -> None:
    server = RemoteServer(clock, 0.0)

    def crash() -> None:
        server.back_at = clock.now + 20.0
        raise BackendUnavailableError("server closed the connection unexpectedly.")

    server.known.probe = server.probe
    with pytest.raises(BackendUnavailableError, match="closed the connection"):
        with_retries(patient, server.known, crash)


@pytest.mark.parametrize(
    "error",
    [BackendError("404, no route."), SchemaError("no such table."), DataRefusedError("400")],
)
def test_whatever_is_answered_in_the_place_of_a_server_that_is_away_is_waited_out(
    clock: Clock, patient: RetryPolicy, error: Exception
) -> None:
    server = RemoteServer(clock, clock.now + 40.0)

    def gateway() -> None:
        if clock.now < server.back_at:
            raise error

    server.known.probe = gateway
    assert with_retries(patient, server.known, server.merge) == "done"


@pytest.mark.parametrize("waits", [1, 4, 8])
def test_ctrl_c_ends_the_waiting_for_a_server(
    clock: Clock, patient: RetryPolicy, waits: int
) -> None:
    server = RemoteServer(clock, float("inf"))
    clock.then = lambda: clock.set() if len(clock.waits) + 1 == waits else None
    with pytest.raises(BackendUnavailableError, match=r"^connection refused\.$"):
        with_retries(patient, server.known, server.merge)
    assert len(clock.waits) == waits


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (45.0, "45 s"), (120.0, "2 min"), (125.2, "2 min 5 s")]
)
def test_a_duration_is_told_as_people_say_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_retry_is_logged_with_its_reason(
    stop: CountingEvent, caplog: pytest.LogCaptureFixture
) -> None:
    operation = Operation(1, BackendUnavailableError("db went away."))
    with_retries(RetryPolicy(3, stop), Server(), operation)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "db went away." in record.getMessage()
