"""Supabase with DATABASE_URL too: rows by COPY into its database, images into its bucket."""

from __future__ import annotations

import pytest

from imports import Settings
from imports.backends.target import describe
from tests.integration.conftest import Waits
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.proxy import COMMIT, MERGE_STATES, STORE_IMAGE, Proxy, database_proxy


@pytest.fixture
def both(supabase_bench_shared: Bench) -> Bench:
    supabase_bench_shared.source.add_many(20)
    supabase_bench_shared.source.add_many(4, images=True)
    return supabase_bench_shared


def paths(proxy: Proxy) -> set[str]:
    return {line.decode().split()[1].partition("?")[0] for line in proxy.requests}


def test_rows_go_by_copy_and_images_into_the_bucket(both: Bench) -> None:
    proxy = both.proxied()
    report = both.run(database_url=both.url)
    assert (report.exit_code, report.state.backend) == (0, "supabase")
    assert report.count("import.inserted") == 20 == both.count()
    assert report.count("upload.completed") == 4
    assert query(both.url, "SELECT DISTINCT storage_type FROM image_assets") == [("supabase",)]
    assert all(both.stored(place) for place in both.images().values())
    assert not (both.data_folder / "imagecache").exists()
    rest = {path for path in paths(proxy) if path.startswith("/rest/")}
    assert rest == {"/rest/v1/import_target"}
    assert both.verify(database_url=both.url, deep=True).clean


def test_it_is_the_same_target_with_and_without(both: Bench) -> None:
    both.run(database_url=both.url)
    before = both.versions()
    assert both.run().nothing_to_do
    report = both.run(force=True)
    assert report.count("import.unchanged") == 20
    assert both.versions() == before
    assert both.verify().clean


def test_the_first_line_says_so(both: Bench) -> None:
    settings: Settings = both.settings(database_url=both.url)
    assert "rows by COPY" in describe(settings)
    assert both.url not in describe(settings)


def test_both_servers_fail_a_little(both: Bench, waits: Waits) -> None:
    api = both.proxied()
    database, url = database_proxy(both.url)
    try:
        faults = [
            api.add(STORE_IMAGE, action="swallow", spare=1),
            database.add(MERGE_STATES, COMMIT, action="swallow", spare=1),
            database.add(MERGE_STATES, action="reset"),
        ]
        report = both.run(database_url=url, batch_size=5)
    finally:
        database.close()
    assert [fault.happened for fault in faults] == [1, 1, 1]
    assert report.exit_code == 0
    assert report.count("import.inserted") == 20 == both.count()
    assert len(both.images()) == 4
