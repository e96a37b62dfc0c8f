"""The names of runs and of their cycles, and the batch ids that users may give."""

from __future__ import annotations

import re

RUN_NAME = r"batch_[0-9]{8}_[0-9]{6}_[0-9a-f]{6}"
"""The form of a run's own name, which is also the name of a folder, and by default its batch id."""

_GIVEN = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
_CYCLE = r"\.[0-9]+"


def is_run_name(text: str) -> bool:
    """Whether a string has the form of a run's own name."""
    return re.fullmatch(RUN_NAME, text) is not None


def may_be_given(text: str) -> bool:
    """Whether a user may give this batch id to a run; it must not look like that of a cycle."""
    return re.fullmatch(_GIVEN, text) is not None and without_cycle(text) == text


def without_cycle(batch_id: str) -> str:
    """The batch id of the run, for one with the number of a cycle."""
    return re.sub(rf"{_CYCLE}\Z", "", batch_id)


def cycle_run_name(batch_id: str, cycle: int) -> str:
    """The batch id on the rows of a run's cycle, counted from 1; the first has the run's."""
    return batch_id if cycle == 1 else f"{batch_id}.{cycle}"
