"""The limit: the minimal work of an import on this machine, without any safety.

    python benchmarks/limit.py rows-postgresql SOURCE --database-url URL
    python benchmarks/limit.py rows-postgresql-streamed SOURCE --database-url URL
    python benchmarks/limit.py rows-supabase SOURCE --supabase-url URL --key KEY
    python benchmarks/limit.py images-supabase SOURCE --supabase-url URL --key KEY
    python benchmarks/limit.py insights-postgresql SOURCE --database-url URL

Each does one part of an import of `states` (the last one: of `insights`) in the simplest fast way:
without ledger, checks, retries and resuming. Each is one process. It prints, as JSON, the number of
imported rows or images, and `seconds`, which does not include the start of Python, nor, for
`rows-supabase`, reading files and preparing the bodies.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, cast
from uuid import uuid4

import orjson
import psycopg2
from limit_insights import insights_into_postgresql

ROWS_IN_A_BODY = 500
ROW_CALLERS = 4
IMAGE_CALLERS = 10
BUCKET = "imagecache"

COLUMNS = (
    *("search_name", "search_state", "search_ts", "license_number", "license_status"),
    *("license_name", "license_type", "address", "city", "state", "zip", "issue_date"),
    *("expiration_date", "result_status", "meta", "raw"),
)
KEY = ("dataset_id", "search_name", "search_state", "license_number")
NULL = "\\N"

_META, _RAW = COLUMNS.index("meta"), COLUMNS.index("raw")


class Supabase(NamedTuple):
    """The URL of a Supabase, and its key."""

    url: str
    key: str


class Done(NamedTuple):
    """The number of rows or images, and the seconds."""

    number: int
    seconds: float


# --- rows into PostgreSQL --------------------------------------------------------------------


def rows_into_postgresql(source: Path, url: str) -> Done:
    """Reads and parses each file once; then COPY, and one merge."""
    began = time.perf_counter()
    # The data contains no cycles: the garbage collector would find nothing.
    gc.disable()
    content = io.BytesIO()
    content.writelines(map(copy_line, rows_of(source)))
    content.seek(0)
    return Done(_copy_and_merge(url, content), time.perf_counter() - began)


def rows_into_postgresql_streamed(source: Path, url: str) -> Done:
    """The same, but the server receives rows while files are still read: both processors work."""
    began = time.perf_counter()
    gc.disable()
    content = cast(IO[bytes], _Stream(map(copy_line, rows_of(source))))
    return Done(_copy_and_merge(url, content), time.perf_counter() - began)


class _Stream:
    """The input of COPY, produced on demand."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """About `size` bytes: COPY accepts any number; an empty answer is the end."""
        parts, length = [self._rest], len(self._rest)
        while length < size:
            line = next(self._lines, None)
            if line is None:
                break
            parts.append(line)
            length += len(line)
        content = b"".join(parts)
        self._rest = content[size:]
        return content[:size]


def _copy_and_merge(url: str, content: IO[bytes]) -> int:
    names = ", ".join(COLUMNS)
    changed = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name not in KEY)
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "insert into datasets (kind, tag) values ('states', 'limit')"
            " on conflict (kind, tag) do update set tag = excluded.tag returning id"
        )
        (dataset,) = cursor.fetchone() or (None,)
        cursor.execute(
            "create temporary table incoming on commit drop as"
            f" select {names} from search_results with no data"
        )
        cursor.copy_expert(f"copy incoming ({names}) from stdin", content, 1 << 18)
        cursor.execute(
            f"insert into search_results as stored (dataset_id, batch_id, {names})"
            f" select %s, 'limit', {names} from incoming"
            f" on conflict ({', '.join(KEY)}) do update set {changed}"
            " where excluded.search_ts >= stored.search_ts",
            (dataset,),
        )
        count = cursor.rowcount
    connection.close()
    return count


# --- rows and images into Supabase -----------------------------------------------------------


def rows_into_supabase(source: Path, target: Supabase) -> Done:
    """Posts prepared bodies to the function that merges, several at once."""
    import httpx

    with httpx.Client(base_url=target.url, headers=_headers(target), timeout=60) as client:
        new = client.post(
            "/rest/v1/datasets",
            json={"kind": "states", "tag": "limit"},
            headers={"Prefer": "return=representation"},
        )
        new.raise_for_status()
        dataset = int(new.json()[0]["id"])
    rows = rows_of(source)
    bodies = []
    while some := list(islice(rows, ROWS_IN_A_BODY)):
        bodies.append(_body(dataset, some))

    def post(client: httpx.Client, body: bytes) -> None:
        answer = client.post("/rest/v1/rpc/importer_merge_states", content=body)
        answer.raise_for_status()

    seconds = _call_for_all(post, bodies, ROW_CALLERS, target)
    return Done(sum(body.count(b'"search_name"') for body in bodies), seconds)


def images_into_supabase(source: Path, target: Supabase) -> Done:
    """Reads each image and posts it into the bucket, several at once."""
    import httpx

    with httpx.Client(base_url=target.url, headers=_headers(target), timeout=60) as client:
        # The bucket may exist already; the first image shows whether it can be used.
        client.post("/storage/v1/bucket", json={"id": BUCKET, "name": BUCKET, "public": False})
    images = [str(path) for path in source.rglob("*.png")]

    def post(client: httpx.Client, path: str) -> None:
        with open(path, "rb") as file:
            content = file.read()
        answer = client.post(
            f"/storage/v1/object/{BUCKET}/{os.path.basename(path)}",
            content=content,
            headers={"Content-Type": "image/png"},
        )
        answer.raise_for_status()

    return Done(len(images), _call_for_all(post, images, IMAGE_CALLERS, target))


def _call_for_all(
    post: Callable[[Any, Any], None], jobs: Sequence[Any], callers: int, target: Supabase
) -> float:
    """Calls `post` for all jobs, each caller over its own connection; returns the seconds."""
    import httpx

    own = threading.local()

    def call(job: Any) -> None:
        if not hasattr(own, "client"):
            own.client = httpx.Client(base_url=target.url, headers=_headers(target), timeout=60)
        post(own.client, job)

    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as executor:
        for _ in executor.map(call, jobs):
            pass
    return time.perf_counter() - began


def _headers(target: Supabase) -> dict[str, str]:
    return {
        "apikey": target.key,
        "Authorization": f"Bearer {target.key}",
        "Content-Type": "application/json",
    }


def _body(dataset: int, rows: list[tuple[Any, ...]]) -> bytes:
    def objects(row: tuple[Any, ...]) -> dict[str, Any]:
        values = list(row)
        values[_META], values[_RAW] = orjson.Fragment(row[_META]), orjson.Fragment(row[_RAW])
        return dict(zip(COLUMNS, values, strict=True))

    payload = {
        "run": {"dataset_id": dataset, "batch_id": "limit"},
        "request_id": str(uuid4()),
        "rows": {"search_results": [objects(row) for row in rows]},
    }
    return orjson.dumps({"payload": payload})


# --- files into rows -------------------------------------------------------------------------


def rows_of(source: Path) -> Iterator[tuple[Any, ...]]:
    """A row for each licence below the source; `meta` and `raw` as JSON."""
    for folder, _, files in os.walk(source):
        for name in files:
            if name.endswith("_parse.json"):
                with open(f"{folder}/{name}", "rb") as file:
                    document = orjson.loads(file.read())
                values = list(values_in(document))
                # The whole rest, even with several licences: the generated files have one.
                meta = orjson.dumps(document.pop("metadata")).decode()
                raw = orjson.dumps(document).decode()
                for each in values:
                    yield (*each, meta, raw)


def values_in(document: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The values of each licence of a search, without `meta` and `raw`."""
    metadata, result = document["metadata"], document["search_result"]
    for each in result["licenses"]:
        address = each["address"]
        street, suite = address["street"], address["suite"]
        yield (
            metadata["pharmacy_name"],
            metadata["state"],
            metadata["search_timestamp"] + "+00",
            each["license_number"],
            each["license_status"],
            each["pharmacy_name"],
            each["license_type"],
            f"{street}, {suite}" if suite else street,
            address["city"],
            address["state"],
            address["zip_code"],
            _date(each["issue_date"]),
            _date(each["expiration_date"]),
            result["result_status"],
        )


@cache
def _date(text: str) -> date | None:
    for form in ("%m/%d/%Y", "%B %d, %Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    return None


def copy_line(row: Sequence[Any]) -> bytes:
    """The row as a line of COPY's text format; generated values contain no tab or newline."""
    fields = "\t".join([NULL if value is None else str(value) for value in row])
    if "\\" in fields:
        fields = fields.replace("\\", "\\\\").replace("\\\\N", NULL)
    return fields.encode() + b"\n"


def main() -> None:
    """Runs the part that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "part",
        choices=(
            *("rows-postgresql", "rows-postgresql-streamed"),
            *("rows-supabase", "images-supabase", "insights-postgresql"),
        ),
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("--database-url", default="")
    parser.add_argument("--supabase-url", default="")
    parser.add_argument("--key", default="")
    given = parser.parse_args()
    supabase = Supabase(given.supabase_url, given.key)
    if given.part == "rows-postgresql":
        done = rows_into_postgresql(given.source, given.database_url)
    elif given.part == "rows-postgresql-streamed":
        done = rows_into_postgresql_streamed(given.source, given.database_url)
    elif given.part == "rows-supabase":
        done = rows_into_supabase(given.source, supabase)
    elif given.part == "insights-postgresql":
        done = Done(*insights_into_postgresql(given.source, given.database_url))
    else:
        done = images_into_supabase(given.source, supabase)
    print(json.dumps(done._asdict()))


if __name__ == "__main__":
    main()
