"""Generates a source of a kind, always the same for the same arguments.

    python benchmarks/generate.py states FOLDER --items 20000 --images 0 --image-bytes 100000
    python benchmarks/generate.py folders FOLDER --items 100000 --images 0
    python benchmarks/generate.py people FOLDER --items 10000 --people 10
    python benchmarks/generate.py insights FOLDER --items 100000
    python benchmarks/generate.py change FOLDER --items 20000 --every 1000

A file of `states` is about 1.9 KB and has one licence; a folder of `folders` has a `stats.json`
of 160 bytes. The first `--images` items of these have a PNG of their own. A file of `people` has
`--people` persons; `generate_people.py` says what they are like. `change` makes every thousandth
file of a `states` source a later search that found something else.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

STATES = ("FL", "TX", "PA", "NY", "CA", "OH", "IL", "GA", "NC", "MI")
FILES_IN_A_FOLDER = 1_000
FOLDERS_IN_A_FOLDER = 500


def main() -> None:
    """Writes the source that the arguments describe."""
    # Not at the top: other programs import this module by its path.
    from generate_insights import generate_insights
    from generate_people import generate_people

    generators: dict[str, Callable[..., object]] = {
        "states": generate,
        "folders": generate_folders,
        "people": generate_people,
        "insights": generate_insights,
        "change": change,
    }
    arguments = vars(_parser().parse_args())
    generators[arguments.pop("kind")](arguments.pop("folder"), arguments.pop("items"), **arguments)


def _parser() -> argparse.ArgumentParser:
    """Parses the arguments of all kinds, and those of each."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("folder", type=Path)
    common.add_argument("--items", type=int, default=20_000)
    common.add_argument("--seed", type=int, default=1)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind in ("states", "folders"):
        with_images = kinds.add_parser(kind, parents=[common])
        with_images.add_argument("--images", type=int, default=0)
        with_images.add_argument("--image-bytes", type=int, default=100_000)
    people = kinds.add_parser("people", parents=[common])
    people.add_argument("--people", type=int, default=10, help="how many in a file")
    people.add_argument("--experiences", type=int, default=5, help="how many a person has")
    insights = kinds.add_parser("insights")
    insights.add_argument("folder", type=Path)
    insights.add_argument("--items", type=int, default=20_000)
    change = kinds.add_parser("change")
    change.add_argument("folder", type=Path)
    change.add_argument("--items", type=int, default=20_000, help="how many files the source has")
    change.add_argument("--every", type=int, default=1_000, help="of how many files one changes")
    return parser


def generate(
    folder: Path, files: int, *, images: int = 0, image_bytes: int = 100_000, seed: int = 1
) -> None:
    """Writes `files` searches below `folder`; the first `images` of them have a screenshot."""
    chance = random.Random(seed)
    for number in range(files):
        day, state, name = place_of(number)
        place = folder / day / state
        if number % FILES_IN_A_FOLDER < len(STATES):
            place.mkdir(parents=True, exist_ok=True)
        picture = None
        if number < images:
            picture = f"/srv/scrape/data/{day}/{state}/{name}.png"
            (place / f"{name}.png").write_bytes(png(chance, image_bytes))
        search = document(chance, number, state, day, picture)
        (place / f"{name}_parse.json").write_text(json.dumps(search, indent=2), encoding="utf-8")


def place_of(number: int) -> tuple[str, str, str]:
    """The folder of a search (its day and state), and the stem of its files."""
    day = f"2025-08-{1 + number // FILES_IN_A_FOLDER % 28:02d}"
    return day, STATES[number % len(STATES)], f"Pharmacy{number:07d}"


def change(folder: Path, files: int, *, every: int = 1_000) -> dict[Path, bytes]:
    """Makes one in `every` files a later search with another status; returns the old content."""
    before = {}
    for number in range(0, files, every):
        day, state, name = place_of(number)
        path = folder / day / state / f"{name}_parse.json"
        before[path] = path.read_bytes()
        path.write_bytes(changed(before[path]))
    return before


def changed(search: bytes) -> bytes:
    """The same search two years later, with revoked licences."""
    content = json.loads(search)
    moment = content["metadata"]["search_timestamp"]
    content["metadata"]["search_timestamp"] = f"{int(moment[:4]) + 2}{moment[4:]}"
    for each in content["search_result"]["licenses"]:
        each["license_status"] = "Revoked"
    return json.dumps(content, indent=2).encode()


def generate_folders(
    folder: Path, folders: int, *, images: int = 0, image_bytes: int = 100_000, seed: int = 1
) -> None:
    """Writes `folders` device tests below `folder`; the first `images` of them have a photo."""
    chance = random.Random(seed)
    for number in range(folders):
        line, day = number // (20 * FOLDERS_IN_A_FOLDER), number // FOLDERS_IN_A_FOLDER % 20
        place = f"{folder}/line-{line:03}/day-{day:02}/Device{number:07}"
        Path(place).mkdir(parents=True)
        with open(f"{place}/stats.json", "xb") as file:
            file.write(json.dumps(stats(chance, number)).encode())
        if number < images:
            Path(place, "photo.png").write_bytes(png(chance, image_bytes))


def stats(chance: random.Random, number: int) -> dict[str, object]:
    """The result of one device test."""
    return {
        "device_id": f"D-{number:07}",
        "test_status": chance.choice(("passed", "passed", "failed")),
        "duration_seconds": chance.randrange(400) / 4,
        "measurements": {"voltage": [3.3, 3.31], "errors": chance.randrange(3)},
    }


def document(
    chance: random.Random, number: int, state: str, day: str, picture: str | None
) -> dict[str, object]:
    """One search, with one licence."""
    moment = f"{day}T{chance.randrange(24):02d}:{chance.randrange(60):02d}:10.{number % 10**6:06d}"
    return {
        "metadata": {
            "pharmacy_name": f"Pharmacy {number}",
            "search_timestamp": moment,
            "state": state,
            "scraper_version": "1.0.0",
            "json_generated_timestamp": moment,
            "source_html_file": f"{day}/{state}/Pharmacy{number}.html",
            "source_image_file": picture,
            "source_excel_file": None,
            "search_result_type": "pharmacy_data",
        },
        "search_result": {
            "licenses": [
                {
                    "pharmacy_name": f"PHARMACY {number} OF THE NORTH",
                    "license_number": f"PH{number:08d}",
                    "license_status": chance.choice(("Active", "Clear/", "Delinquent/", "Closed")),
                    "license_type": "Pharmacy Non-Resident",
                    "issue_date": f"{1 + number % 12:02d}/{1 + number % 28:02d}/1997",
                    "expiration_date": chance.choice(
                        ("2/28/2027", "December 31, 2026", "Not On File", "2026-06-30")
                    ),
                    "address": {
                        "street": f"{chance.randrange(1, 9999)} MARSH COURT",
                        "suite": chance.choice(("", "Suite 200")),
                        "city": "MADISON",
                        "state": "WI",
                        "zip_code": f"{chance.randrange(10_000, 99_999)}",
                    },
                    "contact": {"phone": None, "email": None},
                    "additional_info": {"specialties": [], "remarks": "x" * 600},
                }
            ],
            "result_status": "found",
            "search_query": f"Pharmacy {number}",
        },
        "debug_info": {
            "parser_class": f"{state}Parser",
            "parser_strategy": "BeautifulSoup HTML parsing",
        },
        "errors": [],
        "warnings": [],
    }


def png(chance: random.Random, size: int) -> bytes:
    """A valid PNG of about `size` bytes of noise."""
    width = 128
    height = max(1, size // (width * 3 + 1))
    rows = b"".join(b"\0" + chance.randbytes(width * 3) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows, 0))
        + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


if __name__ == "__main__":
    main()
