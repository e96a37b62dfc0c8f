"""Small kinds in a database of the tests: their tables, and functions for them and all kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from imports.cli.schema_export import rendered
from imports.kinds import all_groups
from imports.tables.functions import functions_file
from imports.tables.table import IMAGES, TableGroup
from tests.support.bench import Bench
from tests.support.command import wait_until
from tests.support.database import query

Install = Callable[[Bench, TableGroup, str, str], None]
"""Installs a group into the database of a bench, unless it is there already; see `installed`."""


@contextmanager
def installed(bench: Bench, group: TableGroup, ddl: str, drop: str) -> Iterator[None]:
    """The tables and functions of a group are in the database, and the REST API knows them."""
    groups = [IMAGES, *all_groups(), group]
    # Without the last line, a checksum by which the importer would not know the functions.
    functions = functions_file(groups).rstrip().rpartition("\n")[0]
    # In one transaction: the API hears of all of it at once.
    query(bench.url, f"{ddl}\n{functions}")
    try:
        if bench.target.supabase_url is not None:
            wait_until(lambda: _is_known(bench, group))
        yield
    finally:
        query(bench.url, drop)
        query(bench.url, rendered())


def _is_known(bench: Bench, group: TableGroup) -> bool:
    answer = bench.api("POST", f"/rest/v1/rpc/{group.merge_function}", json={"payload": {}})
    return answer.status_code != 404
