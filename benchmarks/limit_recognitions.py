"""The limits of `recognitions`: rows into PostgreSQL, and photos into Supabase, without any safety.

    python benchmarks/limit_recognitions.py rows SOURCE --database-url URL
    python benchmarks/limit_recognitions.py photos SOURCE --supabase-url URL --key KEY

`rows` reads and parses each menu and receipt once, copies the raw rows into the tables of the kind,
500 at a time, and calls the kind's derivation for them: each batch is a transaction. The values of
photos are made up: `sha256sum` and `cp` are measured for themselves. `photos` reads each photo and
posts it to its place in the bucket, ten at once. Both print what `limit.py` does.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import orjson
import psycopg2
from limit import IMAGE_CALLERS, Done, Supabase, call_for_all, copy_line, headers

BUCKET = "rrs-photos"
BATCH = 500

_FILES = (
    *("recognition_id", "batch_id", "active_menu", "image1_path", "image2_path"),
    *("image1_width", "image1_height", "image2_width", "image2_height"),
    *("image1_sha256", "image2_sha256", "receipt_sha256"),
)
_RECIPES = ("recognition_id", "batch_id", "payload")
_PHOTOS = ("camera1.jpg", "camera2.jpg", *[400, 296] * 2, *["0" * 64] * 2)


def rows_into_postgresql(source: Path, url: str) -> Done:
    """Reads and parses each file once; for each batch COPY twice, and the derivation."""
    began = time.perf_counter()
    count = 0
    rows = _rows(source)
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        while some := list(islice(rows, BATCH)):
            for table, names, lines in (
                ("recognition_files", _FILES, [files for _, files, _ in some]),
                ("recipes", _RECIPES, [recipes for _, _, recipes in some]),
            ):
                cursor.copy_expert(
                    f"copy raw.{table} ({', '.join(names)}) from stdin", io.BytesIO(b"".join(lines))
                )
            numbers = [number for number, _, _ in some]
            cursor.execute("select public.importer_derive_recognitions(%s::bigint[])", (numbers,))
            connection.commit()
            count += len(some)
    connection.close()
    return Done(count, time.perf_counter() - began)


def _rows(source: Path) -> Iterator[tuple[int, bytes, bytes]]:
    """The number of each recognition, and its lines of COPY: of the raw files, and the receipt."""
    for folder in sorted(source.glob("export_*/recognition_*")):
        number = int(folder.name.removeprefix("recognition_"))
        start = f"{folder}/{number}_recognition_2025-10-11"
        menu, receipt = _json(f"{start}_AM.json"), _json(f"{start}_correct_dishes.json")
        digest = hashlib.sha256(receipt.encode()).hexdigest()
        yield (
            number,
            copy_line((number, "limit", menu, *_PHOTOS, digest)),
            copy_line((number, "limit", receipt)),
        )


def _json(path: str) -> str:
    with open(path, "rb") as file:
        return orjson.dumps(orjson.loads(file.read())).decode()


def photos_into_supabase(source: Path, target: Supabase) -> Done:
    """Reads each photo and posts it to its place, several at once."""
    import httpx

    with httpx.Client(base_url=target.url, headers=headers(target), timeout=60) as client:
        client.post("/storage/v1/bucket", json={"id": BUCKET, "name": BUCKET, "public": False})
    photos = []
    for folder in sorted(source.glob("export_*/recognition_*")):
        number = folder.name.removeprefix("recognition_")
        for camera, photo in enumerate(sorted(folder.glob("photos/*.jpg")), 1):
            photos.append((str(photo), f"recognitions/{number}/camera{camera}.jpg"))

    def post(client: httpx.Client, photo: tuple[str, str]) -> None:
        path, place = photo
        with open(path, "rb") as file:
            content = file.read()
        answer = client.post(
            f"/storage/v1/object/{BUCKET}/{place}",
            content=content,
            headers={"Content-Type": "image/jpeg"},
        )
        answer.raise_for_status()

    return Done(len(photos), call_for_all(post, photos, IMAGE_CALLERS, target))


def main() -> None:
    """Runs the part that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("rows", "photos"))
    parser.add_argument("source", type=Path)
    parser.add_argument("--database-url", default="")
    parser.add_argument("--supabase-url", default="")
    parser.add_argument("--key", default="")
    given = parser.parse_args()
    if given.part == "rows":
        done = rows_into_postgresql(given.source, given.database_url)
    else:
        done = photos_into_supabase(given.source, Supabase(given.supabase_url, given.key))
    print(json.dumps(done._asdict()))


if __name__ == "__main__":
    main()
