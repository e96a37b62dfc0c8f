"""The limit of annotations: the file parsed once with ijson, and one COPY into the raw table.

    python benchmarks/limit_annotations.py FILE --database-url URL

It prints, as JSON, the number of boxes, and `seconds`: of parsing, which builds every value, and of
COPY. Making the lines between the two does not count.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import ijson
import psycopg2

_ITEM_TYPES = {"dishes": "FOOD", "plates": "PLATE"}


def entries_of(file: Path) -> Iterator[tuple[str, Any]]:
    """All entries of a file, by the fastest parser of ijson."""
    with file.open("rb") as opened:
        yield from ijson.kvitems(opened, "")


def lines_of(path: str, entry: dict[str, Any]) -> Iterator[bytes]:
    """The boxes of a photo as lines for COPY; generated ones need no escapes."""
    number = path.partition("recognition_")[2].partition("/")[0]
    camera = "camera1.jpg" if "Main" in path else "camera2.jpg"
    for name, item_type in _ITEM_TYPES.items():
        for each in entry[name]["qwen_detections"]:
            x, y, right, bottom = each["bbox_2d"]
            place = json.dumps({"x": x, "y": y, "w": right - x, "h": bottom - y})
            line = f"{number}\tlimit\t{camera}\t{each['label']}\t{place}\t{item_type}\n"
            yield line.encode()


def copy(url: str, content: io.BytesIO) -> float:
    """Copies the lines into the raw table; returns the seconds."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        began = time.perf_counter()
        cursor.copy_expert(
            "copy raw.qwen_annotations (recognition_id, batch_id, image_path, class_name, bbox,"
            " item_type) from stdin",
            content,
            1 << 18,
        )
        connection.commit()
        return time.perf_counter() - began


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--database-url", required=True)
    given = parser.parse_args()
    began = time.perf_counter()
    for _ in entries_of(given.file):
        pass
    parsing = time.perf_counter() - began
    lines = [line for path, entry in entries_of(given.file) for line in lines_of(path, entry)]
    copying = copy(given.database_url, io.BytesIO(b"".join(lines)))
    print(json.dumps({"number": len(lines), "seconds": parsing + copying}))


if __name__ == "__main__":
    main()
