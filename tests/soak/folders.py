"""Sources of the kind `folders`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any

from tests.soak.tree import Maker, exact, with_digits
from tests.support.searches import png


class Folders(Maker):
    """Device tests, and what users and systems leave in their folders."""

    def good(self) -> None:
        """A folder with pictures, stats, or both."""
        number = self.number()
        self.folder(f"line-{number % 4}/Test{number:04}")

    def folder(self, path: str) -> None:
        """Writes a folder, and what its row must be."""
        row: dict[str, Any] = {"stats": None, "device_id": None}
        images = set()
        for name in self.chance.sample(["a.png", "b c.png", "é.png"], self.chance.randint(0, 2)):
            content = self.picture()
            self.tree.write(f"{path}/{name}", content)
            images.add(hashlib.sha256(content).hexdigest())
        if not images or self.chance.random() < 0.7:
            stats = {"device_id": f"D {path}", "note": self.text(), "value": "#0", "more": ["#1"]}
            text = with_digits(stats, self.digits())
            self.tree.write(f"{path}/stats.json", text.encode())
            row = {"stats": exact(text), "device_id": f"D {path}"}
        self.tree.images |= images
        self.tree.rows[path,] = {**row, "images": sorted(images)}

    def hostile(self) -> list[Callable[[], None]]:
        """Folders that fail, files that are none of ours, and good ones that are unusual."""

        def bad(name: str, stats: bytes, reason: str) -> Callable[[], None]:
            return lambda: self.fails_folder(f"bad/{name}", stats, reason)

        return [
            bad("half", b'{"device_id": ', "JSON"),
            bad("twice", b'{"a": {"b": 1, "b": 2}}', "twice"),
            bad("emoji", b'{"a": "\\ude00"}', "surrogate"),
            bad("list", b"[]", "object"),
            bad("wide", b'{"a": 1e200000}', "number"),
            bad("lists", b'{"a": [' + b"[]," * 20_000_000 + b"1]}", "memory"),
            bad("\x1b[31mred\n", b"{", "JSON"),
            self.own_status,
            self.fifo,
            self.draft_fifo,
            lambda: self.tree.write("junk/__MACOSX/a.png", b"") and None,
            lambda: self.tree.write("junk/Thumbs.db", b"") and None,
            lambda: self.link("loop", "."),
            self.link_out,
            self.linked_folder,
            lambda: self.link("unmounted", "/nowhere/at/all", "leads nowhere"),
            self.damaged_picture,
            self.no_picture,
            self.comes_later,
        ]

    def fails_folder(self, path: str, stats: bytes, reason: str) -> None:
        """A folder that fails; its picture is stored all the same."""
        self.tree.write(f"{path}/stats.json", stats)
        self.tree.fails[path] = reason
        if self.chance.random() < 0.5:
            content = self.picture()
            self.tree.write(f"{path}/a.png", content)
            self.tree.images.add(hashlib.sha256(content).hexdigest())

    def own_status(self) -> None:
        """A folder in which the user keeps files that are called like ours."""
        self.folder("own/Test1")
        self.tree.write("own/Test1/success.json", b'{"mine": true}')
        self.tree.write("own/Test1/failed.json", b"my notes")

    def fifo(self) -> None:
        """A pipe that nobody writes to."""
        (self.tree.folder / "bad/fifo").mkdir(parents=True, exist_ok=True)
        os.mkfifo(self.tree.folder / "bad/fifo/stats.json")
        self.tree.fails["bad/fifo"] = "regular file"

    def draft_fifo(self) -> None:
        """A pipe under the name of a draft of ours."""
        self.folder("fifo/Test1")
        os.mkfifo(self.tree.folder / "fifo/Test1/.success.json.part")

    def link_out(self) -> None:
        """Links to what nobody said may be read."""
        secret = self.outside("secret.json", b'{"key": "SECRET"}')
        self.link("bad/out/stats.json", secret)
        self.tree.fails["bad/out"] = "leads out"
        self.link("out", secret.parent, "is a link")

    def linked_folder(self) -> None:
        """A folder beside the source, under the path of the first of two links."""
        self.beside().joinpath("line").mkdir()
        self.link("linked", "../disk2/line")
        self.link("linked again", "../disk2/line")
        self.folder("linked/Test1")

    def damaged_picture(self) -> None:
        """It is stored as it is, with a warning."""
        content = png(self.chance.getrandbits(60), 9_000)[:-20]
        self.folder("flawed")
        self._add_picture("flawed", content)
        self.tree.warned.add("flawed")

    def no_picture(self) -> None:
        """What is none by its content is left out, with a warning."""
        self.folder("none")
        self.tree.write("none/page.png", b"<html></html>")
        self.tree.warned.add("none")

    def comes_later(self) -> None:
        """A picture that is put into the folder when all has been imported."""
        self.folder("later")
        content = self.picture()
        self.tree.later.append(lambda: self._add_picture("later", content))

    def _add_picture(self, path: str, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()
        self.tree.write(f"{path}/more.png", content)
        self.tree.images.add(digest)
        row = self.tree.rows[path,]
        row["images"] = sorted({*row["images"], digest})
