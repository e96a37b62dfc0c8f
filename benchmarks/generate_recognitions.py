"""Generates a source of the kind `recognitions`; `generate.py recognitions` calls it.

Each recognition has two photos of its own, a menu and a receipt of three lines. One menu in ten has
300 dishes, the others have 20. The photos are valid JPEGs, of noise, and no two are the same.
"""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

IN_AN_EXPORT = 5_000
FIRST = 100_000
LARGE_MENU, SMALL_MENU, LARGE_EVERY = 300, 20, 10

PHOTO_BYTES = 120_000
TINY_BYTES = 600
"""A photo of this size is 8 × 8 pixels or so: for measurements of everything but its content."""

_ZIGZAG = 64
_BITS = bytes(byte & 0x7F for byte in range(256))


def generate_recognitions(
    folder: Path, recognitions: int, *, photo_bytes: int = PHOTO_BYTES, seed: int = 1
) -> None:
    """Writes `recognitions` folders in exports of 5,000, each photo of about `photo_bytes`."""
    chance = random.Random(seed)
    menus = [_menu(size) for size in (LARGE_MENU, *[SMALL_MENU] * (LARGE_EVERY - 1))]
    texts = [json.dumps(menu, ensure_ascii=False, indent=2).encode() for menu in menus]
    for number in range(recognitions):
        export = folder / f"export_20251024_{number // IN_AN_EXPORT:06}"
        name = FIRST + number
        photos = f"{export}/recognition_{name}/photos"
        Path(photos).mkdir(parents=True)
        for camera in ("Main", "Qualifying"):
            with open(f"{photos}/recognition_{name}_2025-10-11_{camera}.jpg", "xb") as file:
                file.write(jpeg(chance, photo_bytes))
        start = f"{export}/recognition_{name}/{name}_recognition_2025-10-11"
        with open(f"{start}_AM.json", "xb") as file:
            file.write(texts[number % LARGE_EVERY])
        with open(f"{start}_correct_dishes.json", "xb") as file:
            receipt = _receipt(chance, menus[number % LARGE_EVERY])
            file.write(json.dumps(receipt, ensure_ascii=False).encode())


def jpeg(chance: random.Random, size: int) -> bytes:
    """A valid JPEG in grey of about `size` bytes.

    Its codes are such that each coefficient is a byte below 128, whatever its value: 64 bytes are a
    block of 8 × 8 pixels.
    """
    blocks = max(1, size // _ZIGZAG)
    across = max(1, min(blocks, 50))
    down = max(1, blocks // across)
    scan = bytearray(chance.randbytes(across * down * _ZIGZAG).translate(_BITS))
    scan[::_ZIGZAG] = bytes(across * down)  # each block is as bright as the one before it
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
            _segment(0xDB, b"\0" + b"\1" * _ZIGZAG),
            _segment(0xC0, struct.pack(">BHHB3B", 8, down * 8, across * 8, 1, 1, 0x11, 0)),
            # Of the mean: one code, of eight bits, for "as before".
            _segment(0xC4, b"\0" + bytes((0, 0, 0, 0, 0, 0, 0, 1)) + bytes(8) + b"\0"),
            # Of the others: one code, of one bit, for "a number of seven bits follows".
            _segment(0xC4, b"\x10" + b"\1" + bytes(15) + b"\7"),
            _segment(0xDA, b"\1\1\0\0\x3f\0"),
            bytes(scan),
            b"\xff\xd9",
        )
    )


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _menu(dishes: int) -> list[dict[str, object]]:
    return [
        {
            "ExternalId": f"56{number:011}",
            "Name": f"Prato número {number}",
            "Category": ("Sopa", "Peixe", "Carne", "Sobremesa")[number % 4],
            "Price": f"{2 + number % 9},{number % 100:02}",
            "ProtoNames": [f"prato_{number}", f"prato {number} do dia"],
            "IsActive": True,
        }
        for number in range(dishes)
    ]


def _receipt(chance: random.Random, menu: list[dict[str, object]]) -> list[dict[str, object]]:
    """Two lines with one dish each, and one of which the till knew two."""
    dishes = [
        {"Name": dish["Name"], "ExternalId": dish["ExternalId"]} for dish in chance.sample(menu, 4)
    ]
    lines = (dishes[:1], dishes[1:2], dishes[2:])
    return [{"Count": 1 + index % 2, "Dishes": line} for index, line in enumerate(lines)]
