"""Random sources of each kind, hostile items among them, and what an import of them must give."""

from __future__ import annotations

import hashlib
import json
import os
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
    "‮right to left",
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
)
_STATES = ("FL", "TX", "OH")


@dataclass
class Tree:
    """A source, and what must come of it.

    `rows` has by key what the row of the kind's first table must hold; `images` the hashes of all
    images that must be stored. `fails` are the paths of items that fail, `left` those of files
    that must be in the source at the end, with their content.
    """

    kind: str
    folder: Path
    rows: dict[tuple[str | None, ...], dict[str, Any]] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    fails: set[str] = field(default_factory=set)
    left: dict[str, bytes] = field(default_factory=dict)
    grow: Callable[[random.Random], None] = lambda chance: None

    @property
    def exit_code(self) -> int:
        """What a run over all of it must end with."""
        return 3 if self.fails else 0

    def write(self, path: str, content: bytes, *, stays: bool = True) -> Path:
        """Writes a file, in one step, as one that has long stopped growing."""
        file = people.write(self.folder, path, content)
        if stays:
            self.left[path] = content
        return file


def random_tree(kind: str, folder: Path, chance: random.Random) -> Tree:
    """A source of a kind, with some hostile items."""
    folder.mkdir(parents=True)
    tree = Tree(kind, folder)
    makers = {"states": _States, "folders": _Folders, "people": _People}
    maker = makers[kind](tree, chance)
    for _ in range(chance.choice([3, 30, 120])):
        maker.good()
    hostile = maker.hostile()
    for make in chance.sample(hostile, chance.randint(0, len(hostile))):
        make()
    tree.grow = maker.grow
    return tree


def exact(text: str) -> Any:
    """JSON with all digits of its numbers."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def _with_digits(document: object, numbers: list[str]) -> str:
    """JSON in which `"#0"`, `"#1"` and so on are numbers, written as they stand in the list."""
    text = json.dumps(document, ensure_ascii=False)
    for place, number in enumerate(numbers):
        text = text.replace(f'"#{place}"', number)
    return text


class _Maker:
    def __init__(self, tree: Tree, chance: random.Random) -> None:
        self.tree = tree
        self.chance = chance
        self.count = 0
        self.pictures: list[bytes] = []

    def text(self) -> str:
        return self.chance.choice(_TEXTS)

    def digits(self) -> list[str]:
        return self.chance.sample(_NUMBERS, 2)

    def number(self) -> int:
        self.count += 1
        return self.count

    def picture(self) -> bytes:
        """One that an earlier item has, or a new one."""
        if not self.pictures or self.chance.random() < 0.7:
            self.pictures.append(
                png(self.chance.getrandbits(60), self.chance.choice([600, 40_000]))
            )
        return self.chance.choice(self.pictures)

    def fails(self, path: str, content: bytes) -> None:
        self.tree.write(path, content)
        self.tree.fails.add(path)

    def link(self, path: str, target: str | Path) -> None:
        place = self.tree.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)

    def outside(self, name: str, content: bytes) -> Path:
        """A file that is neither in the source nor beside it."""
        file = self.tree.folder.parent.parent / "elsewhere" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        return file


class _States(_Maker):
    def good(self) -> None:
        number = self.number()
        day = f"2025-08-{1 + number % 5:02}"
        stem = f"{day}/{self.chance.choice(_STATES)}/search_{number:04}"
        self.search(stem, f"Pharmacy {number}", f"{day}T10:00:00")

    def search(self, stem: str, name: str, timestamp: str) -> None:
        """Writes a search; what an older one of this name said is no longer expected."""
        digits = self.digits()
        licenses: list[dict[str, Any]] = [
            {
                "license_number": f"{name}-{each}",
                "license_status": self.text(),
                "issue_date": self.chance.choice(["1/2/2020", "Not On File", "2/30/2021", None]),
                "fee": f"#{each % 2}",
            }
            for each in range(self.chance.choice([0, 1, 1, 1, 2, 5]))
        ]
        metadata: dict[str, Any] = {
            "pharmacy_name": name,
            "state": "FL",
            "search_timestamp": timestamp,
            "note": self.text(),
            "precise": "#0",
        }
        image = None
        if self.chance.random() < 0.4:
            content = self.picture()
            self.tree.write(f"{stem}_shot.png", content)
            image = hashlib.sha256(content).hexdigest()
            self.tree.images.add(image)
            metadata["source_image_file"] = f"/on/the/scraper/{stem}_shot.png"
        elif self.chance.random() < 0.2:
            metadata["source_image_file"] = f"{stem}_never_made.png"
        document = {
            "metadata": metadata,
            "search_result": {"result_status": "found", "licenses": licenses},
            "more": {"deep": [[["#1"]]], "text": self.text()},
        }
        text = _with_digits(document, digits)
        self.tree.write(f"{stem}_parse.json", text.encode())
        found = exact(text)
        meta = found.pop("metadata")
        for key in [key for key in self.tree.rows if key[0] == name]:
            del self.tree.rows[key]
        for license_ in found["search_result"]["licenses"] or [{}]:
            rest = {**found, "search_result": dict(found["search_result"])}
            if license_:
                rest["search_result"]["licenses"] = [license_]
            status = license_.get("license_status")
            self.tree.rows[name, "FL", license_.get("license_number")] = {
                "license_status": status.strip() if status else None,
                "meta": meta,
                "raw": rest,
                "image_hash": image,
            }

    def grow(self, chance: random.Random) -> None:
        """Something comes while the importer is at it, or between two runs."""
        self.chance = chance
        self.good()

    def hostile(self) -> list[Callable[[], None]]:
        good = json.dumps(
            {"metadata": {"pharmacy_name": "Bad", "state": "FL"}, "search_result": {}}
        ).encode()
        twice = good.replace(b'"state"', b'"pharmacy_name": "Other", "state"')
        many = json.loads(good)
        many["search_result"]["licenses"] = [{"license_number": str(n)} for n in range(300)]
        many["text"] = "w" * 400_000
        return [
            lambda: self.fails("bad/half_parse.json", good[:-20]),
            lambda: self.fails("bad/empty_parse.json", b""),
            lambda: self.fails("bad/list_parse.json", b"[1, 2]"),
            lambda: self.fails("bad/nameless_parse.json", b'{"metadata": {}, "search_result": {}}'),
            lambda: self.fails("bad/twice_parse.json", twice),
            lambda: self.fails("bad/escaped_parse.json", twice.replace(b'"ph', b'"\\u0070h', 1)),
            lambda: self.fails("bad/emoji_parse.json", good.replace(b"Bad", b"Bad \\ud83d")),
            lambda: self.fails("bad/utf16_parse.json", good.decode().encode("utf-16")),
            lambda: self.fails(
                "bad/deep_parse.json", good[:-1] + b', "x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"
            ),
            lambda: self.fails(
                "bad/lists_parse.json", good[:-1] + b', "x": [' + b"[]," * 5_000_000 + b"1]}"
            ),
            lambda: self.fails("bad/many_parse.json", json.dumps(many).encode()),
            lambda: self.fails("bad/\x1b[31mred\n_parse.json", b"{"),
            self.fifo,
            lambda: self.tree.write("junk/._a_parse.json", b"\0\5\x16\7") and None,
            lambda: self.tree.write("__MACOSX/b_parse.json", b"{") and None,
            lambda: self.link("loop", "."),
            self.link_out,
        ]

    def fifo(self) -> None:
        (self.tree.folder / "bad").mkdir(exist_ok=True)
        os.mkfifo(self.tree.folder / "bad/fifo_parse.json")
        self.tree.fails.add("bad/fifo_parse.json")

    def link_out(self) -> None:
        secret = b'{"metadata": {"pharmacy_name": "SECRET", "state": "FL"}, "search_result": {}}'
        self.link("bad/out_parse.json", self.outside("secret.json", secret))
        self.tree.fails.add("bad/out_parse.json")


class _Folders(_Maker):
    def good(self) -> None:
        number = self.number()
        self.folder(f"line-{number % 4}/Test{number:04}")

    def folder(self, path: str) -> None:
        row: dict[str, Any] = {"stats": None, "device_id": None}
        images = set()
        for name in self.chance.sample(["a.png", "b c.png", "é.png"], self.chance.randint(0, 2)):
            content = self.picture()
            self.tree.write(f"{path}/{name}", content)
            images.add(hashlib.sha256(content).hexdigest())
        if not images or self.chance.random() < 0.7:
            stats = {"device_id": f"D {path}", "note": self.text(), "value": "#0", "more": ["#1"]}
            text = _with_digits(stats, self.digits())
            self.tree.write(f"{path}/stats.json", text.encode())
            row = {"stats": exact(text), "device_id": f"D {path}"}
        self.tree.images |= images
        self.tree.rows[path,] = {**row, "images": sorted(images)}

    def grow(self, chance: random.Random) -> None:
        self.chance = chance
        self.good()

    def fails_folder(self, path: str, stats: bytes) -> None:
        self.tree.write(f"{path}/stats.json", stats)
        self.tree.fails.add(path)

    def own_status(self) -> None:
        """A folder in which the user keeps files that are called like ours."""
        self.folder("own/Test1")
        self.tree.write("own/Test1/success.json", b'{"mine": true}')
        self.tree.write("own/Test1/failed.json", b"my notes")

    def hostile(self) -> list[Callable[[], None]]:
        return [
            lambda: self.fails_folder("bad/half", b'{"device_id": '),
            lambda: self.fails_folder("bad/twice", b'{"a": {"b": 1, "b": 2}}'),
            lambda: self.fails_folder("bad/emoji", b'{"a": "\\ude00"}'),
            lambda: self.fails_folder("bad/list", b"[]"),
            self.own_status,
            self.fifo,
            self.draft_fifo,
            lambda: self.tree.write("junk/__MACOSX/a.png", b"") and None,
            lambda: self.tree.write("junk/Thumbs.db", b"") and None,
            lambda: self.link("loop", "."),
            self.link_out,
        ]

    def fifo(self) -> None:
        (self.tree.folder / "bad/fifo").mkdir(parents=True)
        os.mkfifo(self.tree.folder / "bad/fifo/stats.json")
        self.tree.fails.add("bad/fifo")

    def draft_fifo(self) -> None:
        self.folder("fifo/Test1")
        os.mkfifo(self.tree.folder / "fifo/Test1/.success.json.part")

    def link_out(self) -> None:
        self.link("bad/out/stats.json", self.outside("secret.json", b'{"key": "SECRET"}'))
        self.tree.fails.add("bad/out")


class _People(_Maker):
    """Files that are in are gone at the end; of failed ones `fails` has the names."""

    def good(self) -> None:
        self.page(f"{self.number() % 3}/page_{self.count:04}.json")

    def page(self, path: str, *bad: object) -> None:
        persons: list[object] = []
        for each in range(self.chance.choice([0, 1, 3, 8])):
            name = f"p-{self.count}-{each}"
            job = people.job(f"c-{self.chance.randint(1, 9)}", summary=self.text())
            persons.append(people.person(name, job, extra="#0", headline=self.text()))
            self.tree.rows[name,] = {"rest": {"profile_data": {"profile_extra": "#0"}}}
        digits = self.digits()
        for (name,), row in self.tree.rows.items():
            if name is not None and name.startswith(f"p-{self.count}-"):
                row.update(exact(_with_digits(row, digits)))
        text = _with_digits(json.loads(people.page(*persons)), digits)
        for record in bad:
            # As text, since a dict cannot have what is wrong with it.
            comma = ", " if persons else ""
            text = text.replace('"results": [', f'"results": [{record}{comma}', 1)
        self.tree.write(path, text.encode(), stays=False)
        if bad:
            self.tree.fails.add(path)

    def grow(self, chance: random.Random) -> None:
        self.chance = chance
        self.good()

    def moved(self, path: str, content: bytes) -> None:
        self.tree.write(path, content, stays=False)
        self.tree.fails.add(path)

    def hostile(self) -> list[Callable[[], None]]:
        def bad_page(record: str) -> Callable[[], None]:
            return lambda: self.page(f"bad/page_{self.number()}.json", record)

        twice = '{"profile_data": {"profile_id": "T", "x": {"a": 1, "a": 2}}}'
        return [
            bad_page("{}"),
            bad_page('"text"'),
            bad_page('{"profile_data": {"profile_id": "S", "headline": "\\ud83d"}}'),
            bad_page(twice),
            bad_page('{"profile_data": {"profile_id": "D", "profile_last_modified_date": "soon"}}'),
            lambda: self.moved("bad/half.json", people.BROKEN),
            lambda: self.fails("bad/package.json", b'{"name": "not a page"}'),
            lambda: self.fails("bad/capital.json", b'{"Results": []}'),
            lambda: self.tree.write(".hidden/page.json", people.page()) and None,
            lambda: self.tree.write("junk/._page.json", b"\0") and None,
            self.link_out,
        ]

    def link_out(self) -> None:
        content = people.page(people.person("OUTSIDE"))
        self.link("bad/out.json", self.outside("people.json", content))
        self.tree.fails.add("bad/out.json")
