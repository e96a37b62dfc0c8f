"""Imports the same `states` files into the same PostgreSQL with dlt, tuned as an expert would.

    .venv-bench/bin/python benchmarks/dlt_states.py SOURCE URL

dlt's filesystem source lists the files; threads parse them with orjson. There is one table, with
JSON columns for nested values, merged by its key (`upsert`). Rows are written to files that COPY
reads (`csv`), and normalized in one process per processor. dlt keeps its state and files in the
working folder. Arrow tables instead of rows took the same time: normalizing is faster, but creating
them is slower.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before the import of dlt, which reads these variables.
os.environ |= {
    "DLT_DATA_DIR": str(Path.cwd() / "dlt"),
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "NORMALIZE__WORKERS": str(os.cpu_count() or 1),
    "EXTRACT__WORKERS": str(os.cpu_count() or 1),
    "DATA_WRITER__FILE_MAX_ITEMS": "10000",
}

import dlt
import orjson
from dlt.sources.filesystem import filesystem
from limit import COLUMNS, values_in

FILES_AT_ONCE = 500
"""Files that a thread reads before it yields their rows: for dlt, pages are faster than rows."""


@dlt.transformer(  # type: ignore[untyped-decorator]
    name="search_results",
    primary_key=("search_name", "search_state", "license_number"),
    write_disposition={"disposition": "merge", "strategy": "upsert"},
    columns={
        "license_number": {"data_type": "text", "nullable": False},
        "search_ts": {"data_type": "timestamp"},
        "issue_date": {"data_type": "date"},
        "expiration_date": {"data_type": "date"},
        "meta": {"data_type": "json"},
        "raw": {"data_type": "json"},
    },
    max_table_nesting=0,
    parallelized=True,
)
def search_results(files: list[Any]) -> Iterator[list[dict[str, Any]]]:
    """The rows of some files, as one page."""
    rows = []
    for each in files:
        # By its path: opening through fsspec takes four times as long.
        document = orjson.loads(Path(each.local_file_path).read_bytes())
        found = list(values_in(document))
        meta = document.pop("metadata")
        rows += [dict(zip(COLUMNS, (*some, meta, document), strict=True)) for some in found]
    yield rows


def main(source: Path, url: str) -> None:
    """Loads a source."""
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(Path.cwd() / "pipelines"),
        destination=dlt.destinations.postgres(with_host(url)),
        dataset_name="bench",
    )
    files = filesystem(
        source.absolute().as_uri(), file_glob="**/*_parse.json", files_per_page=FILES_AT_ONCE
    )
    pipeline.run(files | search_results, loader_file_format="csv")


def with_host(url: str) -> str:
    """The URL with a host and a password; without these, dlt asks for them.

    The `host` among its options, a Unix socket, is the one that counts.
    """
    return url.replace(":@/", ":none@localhost/", 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
