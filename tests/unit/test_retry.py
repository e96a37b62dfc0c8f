"""Nothing here waits: the stop event, which all waiting goes through, keeps count instead."""

from __future__ import annotations

import threading

import pytest

from imports.errors import (
    BackendError,
    BackendUnavailableError,
    DataRefusedError,
    ImageProblemError,
    RecordError,
    SchemaError,
)
from imports.retry import LONGEST_WAIT_SECONDS, RetryPolicy, with_retries


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
    assert with_retries(RetryPolicy(3, stop), operation, 5, extra="x") == (5, "x")
    assert operation.calls == 1
    assert stop.waits == []


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_what_passes_is_tried_again_until_it_does(failures: int, stop: CountingEvent) -> None:
    operation = Operation(failures)
    assert with_retries(RetryPolicy(3, stop), operation, 5) == 5
    assert operation.calls == failures + 1
    assert len(stop.waits) == failures


@pytest.mark.parametrize("retries", [0, 1, 3, 5])
def test_after_the_last_retry_the_error_itself_is_raised(retries: int, stop: CountingEvent) -> None:
    operation = Operation(100)
    with pytest.raises(BackendUnavailableError) as caught:
        with_retries(RetryPolicy(retries, stop), operation)
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
        with_retries(RetryPolicy(3, stop), operation)
    assert caught.value is error
    assert operation.calls == 1
    assert stop.waits == []


def test_an_error_that_does_not_pass_ends_retrying_in_the_middle(stop: CountingEvent) -> None:
    errors = iter([BackendUnavailableError("not now"), BackendError("wrong key")])

    def operation() -> None:
        raise next(errors)

    with pytest.raises(BackendError, match="wrong key"):
        with_retries(RetryPolicy(3, stop), operation)


def test_the_waits_double_with_a_little_chance_in_them(stop: CountingEvent) -> None:
    for _ in range(20):
        with pytest.raises(BackendUnavailableError):
            with_retries(RetryPolicy(4, stop), Operation(100))
    waits = [wait or 0.0 for wait in stop.waits]
    for number, least in enumerate((0.5, 1.0, 2.0, 4.0)):
        nth = waits[number::4]
        assert all(least <= wait <= least + 0.5 for wait in nth)
        assert len(set(nth)) > 1, "many clients must not come back at the same moment"


def test_no_wait_is_longer_than_the_longest(stop: CountingEvent) -> None:
    with pytest.raises(BackendUnavailableError):
        with_retries(RetryPolicy(15, stop), Operation(100))
    assert max(wait or 0.0 for wait in stop.waits) == LONGEST_WAIT_SECONDS


@pytest.mark.parametrize("seconds", [0.0, 2.0, 17.5])
def test_the_time_that_the_target_asks_for_is_waited(seconds: float, stop: CountingEvent) -> None:
    error = BackendUnavailableError("too many requests", retry_after=seconds)
    with_retries(RetryPolicy(3, stop), Operation(2, error))
    assert stop.waits == [seconds, seconds]


@pytest.mark.parametrize("seconds", [3600.0, float("inf")])
def test_a_target_cannot_put_a_run_to_sleep(seconds: float, stop: CountingEvent) -> None:
    error = BackendUnavailableError("come back tomorrow", retry_after=seconds)
    with_retries(RetryPolicy(3, stop), Operation(1, error))
    assert stop.waits == [LONGEST_WAIT_SECONDS]


def test_a_run_that_is_stopping_does_not_try_again() -> None:
    stop = CountingEvent()
    operation = Operation(100)

    def stopped() -> None:
        stop.set()
        operation()

    with pytest.raises(BackendUnavailableError):
        with_retries(RetryPolicy(3, stop), stopped)
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
        with_retries(policy, operation)


def test_a_retry_is_logged_with_its_reason(
    stop: CountingEvent, caplog: pytest.LogCaptureFixture
) -> None:
    with_retries(RetryPolicy(3, stop), Operation(1, BackendUnavailableError("db went away.")))
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "db went away." in record.getMessage()
