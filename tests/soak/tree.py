"""A source, what must come of it, and what all makers of sources have."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support import people
from tests.support.searches import png

_TEXTS = (
    "plain",
    "two\nlines",
    "tab\there",
    "back\\slash",
    "quote ' and \"",
    "naïve café",
    "薬局",
    "💊👩‍⚕️",
    "\\N",
    "{NULL}",
    "\u202eright to left",
    "x" * 3_000,
)
_NUMBERS = (
    "0",
    "-1.5",
    "12345678901234567890123",
    "0.1234567890123456789012345",
    "1e400",
    "1e-300",
    "18446744073709551616",
    "9" * 4_300,
    "1e131071",
)

Row = dict[str, Any]
Key = tuple[str | None, ...]


@dataclass
class Tree:
    """A source, and what must come of it.

    `rows` has by key what the row of the kind's first table must hold; `images` the hashes of all
    images that must be stored. `fails` has by path the items that fail, with a part of the reason;
    `left` by path the files that must be in the source at the end, with their content; `consumed`
    the paths of those that must not. `warned` are the paths of items that go in with a warning.
    """

    kind: str
    folder: Path
    keeps: bool = True
    rows: dict[Key, Row] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    fails: dict[str, str] = field(default_factory=dict)
    left: dict[str, bytes] = field(default_factory=dict)
    consumed: set[str] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)
    updates: bool = False
    """Whether a row may be written more than once, since a later search has other content."""
    later: list[Callable[[], None]] = field(default_factory=list)
    """What comes when all has been imported: pictures that were missing."""
    grow: Callable[[random.Random], None] = lambda chance: None

    @property
    def options(self) -> list[str]:
        """What a command over this source needs."""
        if self.kind != "people":
            return []
        kept = ["--on-success", "keep", "--on-failure", "keep"] if self.keeps else []
        return ["--no-progress-csv", *kept]

    def to_be_consumed(self) -> None:
        """From now on files are deleted once they are imported; there are none that fail."""
        self.keeps = False
        self.consumed = {path for path in self.left if not _is_hidden(path)}
        self.left = {path: each for path, each in self.left.items() if _is_hidden(path)}

    def fails_there(self) -> set[str]:
        """The items that fail and are in the source still."""
        return {path for path in self.fails if path not in self.consumed}

    def write(self, path: str, content: bytes, *, consumed: bool = False) -> Path:
        """Writes a file, in one step, as one that has long stopped growing."""
        if consumed and not self.keeps:
            self.consumed.add(path)
        else:
            self.left[path] = content
        return people.write(self.folder, path, content)


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))


def exact(text: str) -> Any:
    """JSON with all digits of its numbers."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def with_digits(document: object, numbers: list[str]) -> str:
    """JSON in which `"#0"`, `"#1"` and so on are numbers, written as they stand in the list."""
    text = json.dumps(document, ensure_ascii=False)
    for place, number in enumerate(numbers):
        text = text.replace(f'"#{place}"', number)
    return text


class Maker:
    """Makes the items of a source, and keeps the book of what must come of them."""

    def __init__(self, tree: Tree, chance: random.Random) -> None:
        """Makes nothing yet."""
        self.tree = tree
        self.chance = chance
        self.count = 0
        self.pictures: list[bytes] = []

    def good(self) -> None:
        """Adds an item that goes in."""
        raise NotImplementedError

    def hostile(self) -> list[Callable[[], None]]:
        """What adds one hostile thing each."""
        raise NotImplementedError

    def grow(self, chance: random.Random) -> None:
        """Something comes while the importer is at it, or between two runs."""
        self.chance = chance
        self.good()

    def text(self) -> str:
        """Any text."""
        return self.chance.choice(_TEXTS)

    def digits(self) -> list[str]:
        """Two numbers, as JSON has them."""
        return self.chance.sample(_NUMBERS, 2)

    def number(self) -> int:
        """The number of the next item."""
        self.count += 1
        return self.count

    def picture(self) -> bytes:
        """One that an earlier item has, or a new one."""
        if not self.pictures or self.chance.random() < 0.7:
            self.pictures.append(
                png(self.chance.getrandbits(60), self.chance.choice([600, 40_000]))
            )
        return self.chance.choice(self.pictures)

    def fails(self, path: str, content: bytes, reason: str) -> None:
        """Adds a file that fails, and stays."""
        self.tree.write(path, content)
        self.tree.fails[path] = reason

    def link(self, path: str, target: str | Path, reason: str | None = None) -> None:
        """Adds a link, with the reason for which it fails."""
        place = self.tree.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
        if reason is not None:
            self.tree.fails[path] = reason

    def outside(self, name: str, content: bytes) -> Path:
        """A file that is neither in the source nor beside it."""
        file = self.tree.folder.parent.parent / "elsewhere" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        return file

    def beside(self) -> Path:
        """A folder beside the source, as another disk may be mounted."""
        folder = self.tree.folder.parent / "disk2"
        folder.mkdir(exist_ok=True)
        return folder
