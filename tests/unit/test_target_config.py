from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from imports.backends.postgresql import PostgreSQLDatabase
from imports.backends.retry import RetryPolicy
from imports.backends.target_config import Supabase, TargetConfig, close, connect, keep, opened
from imports.configuration.values import Secret
from imports.errors import BackendError

URL, KEY = "postgresql://me:the-password@127.0.0.1:1/nothing", "sb_secret_the-key"
IMAGES = Path("/images")


def postgresql() -> TargetConfig:
    return TargetConfig(Secret(URL), IMAGES, max_retries=2, max_wait=7.5)


def test_it_can_be_pickled_and_shows_no_secret() -> None:
    config = replace(postgresql(), supabase=Supabase("https://x.supabase.co", Secret(KEY)))
    assert pickle.loads(pickle.dumps(config)) == config
    for shown in (repr(config), str(config), f"{config}"):
        assert "the-password" not in shown
        assert "the-key" not in shown


def test_each_opening_is_another_one() -> None:
    assert postgresql() != postgresql()


def test_a_worker_connects_when_it_first_needs_to_and_keeps_that() -> None:
    config = postgresql()
    ready = threading.Barrier(8)

    def found(_: int) -> object:
        ready.wait(10)
        return opened(pickle.loads(pickle.dumps(config)))

    with ThreadPoolExecutor(8) as threads:
        assert len({id(each) for each in threads.map(found, range(8))}) == 1
    database, store, places = opened(config)
    assert isinstance(database.unwrapped, PostgreSQLDatabase)
    assert store.storage_type == "local"
    assert database.operations is store.operations is places.bucket("photos").operations
    policy = database.policy
    assert (policy.max_retries, policy.max_wait, policy.stop.is_set()) == (2, 7.5, False)
    close(config)
    assert opened(config).database is not database
    close(config)
    close(config)


def test_the_coordinator_works_with_what_it_has_opened() -> None:
    config = postgresql()
    policy = RetryPolicy(0)
    keep(config, connect(config, policy))
    assert opened(config).database.policy is policy
    assert opened(postgresql()).database.policy is not policy, "another run in the same process"
    close(config)


@pytest.mark.parametrize("with_database", [False, True])
def test_a_supabase_has_rows_over_its_api_or_straight(with_database: bool) -> None:
    config = TargetConfig(
        Secret(URL) if with_database else None,
        IMAGES,
        Supabase("https://x.supabase.co", Secret(KEY)),
    )
    database, store, _ = connect(config, RetryPolicy(0))
    assert store.storage_type == "supabase"
    assert isinstance(database.unwrapped, PostgreSQLDatabase) is with_database
    database.close()
    store.close()


def test_a_target_without_a_database_is_none() -> None:
    with pytest.raises(BackendError, match="neither"):
        connect(TargetConfig(None, IMAGES), RetryPolicy(0))
