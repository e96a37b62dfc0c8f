"""Makes sources for tests: JSON files with chosen fields, and small images."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TS = "2025-08-04T14:03:10"


def png(seed: int = 0, width: int = 2, height: int = 3) -> bytes:
    """A valid PNG; another seed makes another picture."""
    row = b"\0" + b"".join((seed * 7919 + x).to_bytes(4, "big")[1:] for x in range(width))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, body)
        for kind, body in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(row * height)),
            (b"IEND", b""),
        )
    )


def gif(width: int = 1, height: int = 1) -> bytes:
    """A valid GIF, all black."""
    size = struct.pack("<HH", width, height)
    palette = b"\0\0\0\xff\xff\xff"
    picture = b"," + b"\0" * 4 + size + b"\0\x02\x02D\x01\0;"
    return b"GIF89a" + size + b"\x80\0\0" + palette + picture


def jpeg(width: int = 5, height: int = 4) -> bytes:
    """A valid JPEG, all grey: each block is two codes of one bit, "as before" and "no more"."""
    app = b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
    steps = b"\xff\xdb\0\x43\0" + b"\x10" * 64
    frame = b"\xff\xc0\0\x0b\x08" + struct.pack(">HH", height, width) + b"\x01\x01\x11\0"
    one_code = b"\x01" + b"\0" * 15 + b"\0"
    codes = b"".join(b"\xff\xc4\0\x14" + table + one_code for table in (b"\0", b"\x10"))
    scan = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0"
    blocks = -(-width // 8) * -(-height // 8)
    return (
        b"\xff\xd8" + app + steps + frame + codes + scan + b"\0" * (blocks // 4 + 1) + b"\xff\xd9"
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def license_(number: str | None = "PH1", **fields: Any) -> dict[str, Any]:
    """A licence as a board shows it."""
    return {
        "license_number": number,
        "license_status": "Active",
        "license_type": "Pharmacy",
        "pharmacy_name": "BELMAR PHARMACY",
        "issue_date": "January 15, 2020",
        "expiration_date": "2/28/2027",
        "address": {
            "street": "123 Main St",
            "city": "Tampa",
            "state": "FL",
            "zip_code": "33601",
        },
        **fields,
    }


def document(
    name: str = "Belmar",
    state: str = "FL",
    ts: str | None = TS,
    licenses: Sequence[dict[str, Any]] | None = None,
    image: str | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """A search; its licences are one, `PH1`, where none are given."""
    return {
        "metadata": {
            "pharmacy_name": name,
            "search_timestamp": ts,
            "state": state,
            "source_image_file": image,
            "search_result_type": "pharmacy_data",
            **metadata,
        },
        "search_result": {
            "licenses": [license_()] if licenses is None else list(licenses),
            "result_status": "found",
        },
    }


class Source:
    """A folder that is filled file by file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, path: str, **fields: Any) -> Path:
        """Writes the search `path`, without its ending; fields are those of `document`."""
        return self.write(f"{path}_parse.json", json.dumps(document(**fields)).encode())

    def add_many(self, count: int, *, images: bool = False, prefix: str = "day") -> list[Path]:
        """Searches of one licence each: `Pharmacy 0000` with `PH0000`, and so on."""
        if images:
            for number in range(count):
                self.write(f"{prefix}/{number:04}.png", png(number + 1))
        return [
            self.add(
                f"{prefix}/{number:04}",
                name=f"Pharmacy {number:04}",
                licenses=[license_(f"PH{number:04}")],
                image=f"{prefix}/{number:04}.png" if images else None,
            )
            for number in range(count)
        ]

    def write(self, path: str, content: bytes) -> Path:
        """Writes any file."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file
