"""The names of runs and of their cycles."""

from __future__ import annotations

import re

RUN_NAME = r"batch_[0-9]{8}_[0-9]{6}_[0-9a-f]{6}"
"""The form of a run's batch id, which is also the name of a folder."""


def is_run_name(text: str) -> bool:
    """Whether a string has the form of a run's batch id."""
    return re.fullmatch(RUN_NAME, text) is not None


def cycle_run_name(run_name: str, cycle: int) -> str:
    """The batch id on the rows of a run's cycle, counted from 1; the first has the run's own."""
    return run_name if cycle == 1 else f"{run_name}.{cycle}"
