"""Hypothesis without deadlines and without health checks of speed: a busy machine is no defect."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unit")


@pytest.fixture(scope="module")
def parsers() -> Iterator[Executor]:
    """A thread in place of the processes that parse."""
    with ThreadPoolExecutor(1) as executor:
        yield executor
