"""What the profiler has seen, by place, phase and function; and the flame graph of it."""

from __future__ import annotations

from flame import flame_graph
from overhead import Clock
from stacks import COORDINATOR, THREADS, WORKERS, by_function, by_phase, read_stacks
from where_time_goes import function_rows, phase_rows

MAIN = 'process 1:"python -m imports states a;b";thread (1): MainThread'
THREAD = 'process 1:"python -m imports states a;b";thread (7): importer_0'
WORKER = 'process 1:"python -m imports states a;b";process 5:"python -c x";thread (5): MainThread'
TRACKER = 'process 1:"python";process 4:"python -c resource_tracker main(3)";thread (4): MainThread'

PLANNING = f"{MAIN};main (imports/cli/main.py:57);plan_items (imports/run/planning.py:20)"
IMPORT = f"{THREAD};Thread.run (threading.py:9);import_batch (imports/phases/merging.py:9)"
IDLE = f"{THREAD};Thread.run (threading.py:9);_worker (concurrent/futures/thread.py:81)"
PROCESS = f"{WORKER};_process_worker (concurrent/futures/process.py:256)"

RAW = f"""\
{PLANNING};save (imports/a.py:3) 20
{PLANNING};save (imports/a.py:4) 10
{PLANNING};Condition.wait (threading.py:3) 50
{IMPORT};copy (imports/b.py:1) 40
{IDLE} 500
{PROCESS};plan_batch (imports/phases/planning.py:70) 30
{PROCESS};Queue.get (multiprocessing/queues.py:1) 90
{TRACKER};main (multiprocessing/resource_tracker.py:1) 300
"""

STACKS = list(read_stacks(RAW.splitlines()))


def test_the_lines_of_a_function_are_one() -> None:
    assert STACKS[0].frames == STACKS[1].frames
    assert STACKS[0].frames[-1] == "save (imports/a.py)"


def test_places_are_told_by_process_and_thread() -> None:
    assert [stack.place for stack in STACKS] == [COORDINATOR] * 3 + [THREADS] * 2 + [WORKERS] * 2


def test_phases_are_told_by_functions_on_the_stack() -> None:
    assert by_phase(STACKS) == {
        "planning": {COORDINATOR: 30, "waiting": 50, WORKERS: 30},
        "import": {THREADS: 40},
    }


def test_a_function_has_its_own_time_and_that_of_its_calls() -> None:
    found = {each.function: (each.own, each.total) for each in by_function(STACKS)}

    assert found["save (imports/a.py)"] == (30, 30)
    assert found["main (imports/cli/main.py)"] == (0, 30)
    assert "_worker (concurrent/futures/thread.py)" not in found


def test_the_tables_are_in_seconds() -> None:
    rows = phase_rows(STACKS, {"planning": 1.25})

    assert rows[1] == ("planning", "1.25", "0.30", "0.00", "0.30", "0.50")
    assert rows[-1] == ("all", "", "0.30", "0.40", "0.30", "0.50")
    assert function_rows(STACKS, WORKERS)[1] == (
        *("plan_batch (imports/phases/planning.py)", "0.30", "0.30", "planning"),
    )


def test_the_flame_graph_has_a_box_for_each_function() -> None:
    graph = flame_graph(STACKS, "a <b>", 0.01)

    assert graph.startswith("<svg ")
    assert "<title>save (imports/a.py): 0.30 s</title>" in graph
    assert "<title>a &lt;b&gt;: 1.00 s</title>" in graph
    assert "thread.py" not in graph


def test_what_is_within_each_other_counts_once() -> None:
    clock = Clock()
    inner = clock.timed("ledger", lambda: None)
    outer = clock.timed("checkpoints", inner)

    outer()

    assert set(clock.seconds) == {"checkpoints"}


def test_the_steps_of_given_iterators_are_somebody_elses() -> None:
    clock = Clock()
    others: list[str | None] = []

    def entries() -> object:
        others.append(clock._current)
        yield 1

    record = clock.timed("ledger", lambda values: (others.append(clock._current), list(values)))
    listed = clock.timed("ledger", lambda: iter([others.append(clock._current)]))

    record(entries())
    list(listed())

    assert others == ["ledger", None, "ledger"]
    assert set(clock.seconds) == {"ledger"}
