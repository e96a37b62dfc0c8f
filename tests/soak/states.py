"""Sources of the kind `states`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

from tests.soak.tree import Maker, exact, with_digits
from tests.support.searches import png

_STATES = ("FL", "TX", "OH")
_UNREADABLE = ("03/02/26", "2026-03-03 09:00:00 EST", "yesterday", "", None, 12)
_BAD = json.dumps(
    {"metadata": {"pharmacy_name": "Bad", "state": "FL"}, "search_result": {}}
).encode()
_TWICE = _BAD.replace(b'"state"', b'"pharmacy_name": "Other", "state"')


class States(Maker):
    """Searches with pictures, and what a scraper may leave beside them."""

    def good(self) -> None:
        """A search of its own, with a picture or without."""
        number = self.number()
        day = f"2025-08-{1 + number % 5:02}"
        stem = f"{day}/{self.chance.choice(_STATES)}/search_{number:04}"
        content, reference = None, None
        if self.chance.random() < 0.4:
            content = self.picture()
            reference = f"/on/the/scraper/{stem}_shot.png"
        elif self.chance.random() < 0.2:
            reference = f"{stem}_never_made.png"
            self.tree.warned.add(f"{stem}_parse.json")
        self.search(
            stem,
            f"Pharmacy {number}",
            f"{day}T10:00:00",
            picture=content,
            reference=reference,
            licenses=self.chance.choice([0, 1, 1, 1, 2, 5]),
        )

    def search(
        self,
        stem: str,
        name: str,
        timestamp: object,
        *,
        picture: bytes | None = None,
        reference: str | None = None,
        licenses: int = 1,
        dates: str | None = None,
        **expected: Any,
    ) -> None:
        """Writes a search, and what its rows must be; they take the place of earlier ones.

        `expected` is what the rows have otherwise than their file says.
        """
        listed: list[dict[str, Any]] = [
            {
                "license_number": f"{name}-{each}",
                "license_status": f"{self.text()} {stem}",
                "issue_date": dates
                or self.chance.choice(["1/2/2020", "Not On File", "2/30/2021", None]),
                "fee": f"#{each % 2}",
            }
            for each in range(licenses)
        ]
        metadata: dict[str, Any] = {
            "pharmacy_name": name,
            "state": "FL",
            "note": self.text(),
            "precise": "#0",
        }
        if timestamp is not None:
            metadata["search_timestamp"] = timestamp
        digest = None
        if reference is not None:
            metadata["source_image_file"] = reference
        if picture is not None:
            self.tree.write(f"{stem}_shot.png", picture)
            digest = hashlib.sha256(picture).hexdigest()
            self.tree.images.add(digest)
        document = {
            "metadata": metadata,
            "search_result": {"result_status": "found", "licenses": listed},
            "more": {"deep": [[["#1"]]], "text": self.text()},
        }
        text = with_digits(document, self.digits())
        self.tree.write(f"{stem}_parse.json", text.encode())
        found = exact(text)
        meta = found.pop("metadata")
        for license_ in found["search_result"]["licenses"] or [{}]:
            rest = {**found, "search_result": dict(found["search_result"])}
            if license_:
                rest["search_result"]["licenses"] = [license_]
            status = license_.get("license_status")
            self.tree.rows[name, "FL", license_.get("license_number")] = {
                "license_status": status.strip() if status else None,
                "meta": meta,
                "raw": rest,
                "image_hash": digest,
                **expected,
            }

    def hostile(self) -> list[Callable[[], None]]:
        """Files that fail, files that are none of ours, and good ones that are unusual."""

        def bad(name: str, content: bytes, reason: str) -> Callable[[], None]:
            return lambda: self.fails(f"bad/{name}_parse.json", content, reason)

        def with_value(value: bytes) -> bytes:
            return _BAD[:-1] + b', "x": ' + value + b"}"

        return [
            bad("half", _BAD[:-20], "JSON"),
            bad("empty", b"", "is empty"),
            bad("list", b"[1, 2]", "object"),
            bad("nameless", b'{"metadata": {}, "search_result": {}}', "pharmacy_name"),
            bad("twice", _TWICE, "twice"),
            bad("escaped", _TWICE.replace(b'"ph', b'"\\u0070h', 1), "twice"),
            bad("emoji", _BAD.replace(b"Bad", b"Bad \\ud83d"), "surrogate"),
            bad("utf16", _BAD.decode().encode("utf-16"), "UTF-8"),
            bad("deep", with_value(b"[" * 5_000 + b"]" * 5_000), "250"),
            bad("wide", with_value(b"1e200000"), "number"),
            bad("long", with_value(b"9" * 4_301), "number that is too large"),
            bad("\x1b[31mred\n", b"{", "JSON"),
            self.empty_lists,
            self.licences_times_rest,
            self.long_dates,
            self.fifo,
            lambda: self.tree.write("junk/._a_parse.json", b"\0\5\x16\7") and None,
            lambda: self.tree.write("__MACOSX/b_parse.json", b"{") and None,
            lambda: self.link("loop", "."),
            self.link_out,
            self.linked_folder,
            lambda: self.link("unmounted", "/nowhere/at/all", "leads nowhere"),
            self.undated_alone,
            self.undated_against_dated,
            self.undated_twice,
            self.older_and_newer,
            self.comes_later,
            self.damaged_picture,
            self.no_picture,
        ]

    # What takes much memory

    def empty_lists(self) -> None:
        """60 MB that become gigabytes."""
        content = _BAD[:-1] + b', "x": [' + b"[]," * 20_000_000 + b"1]}"
        self.fails("bad/lists_parse.json", content, "memory")

    def licences_times_rest(self) -> None:
        """Less than a megabyte that becomes two gigabytes of rows."""
        many = json.loads(_BAD)
        many["search_result"]["licenses"] = [{"license_number": str(n)} for n in range(4_000)]
        many["text"] = "w" * 500_000
        self.fails("bad/many_parse.json", json.dumps(many).encode(), "64")

    def long_dates(self) -> None:
        """Texts that no cache may keep."""
        for each in range(40):
            dates = f"{each} {'q' * 400_000}"
            self.search(f"long/dates_{each}", f"Long {each}", "2025-08-01T10:00:00", dates=dates)

    # Links and pipes

    def fifo(self) -> None:
        """A pipe that nobody writes to."""
        (self.tree.folder / "bad").mkdir(exist_ok=True)
        os.mkfifo(self.tree.folder / "bad/fifo_parse.json")
        self.tree.fails["bad/fifo_parse.json"] = "regular file"

    def link_out(self) -> None:
        """A link to what nobody said may be read."""
        secret = self.outside("secret.json", _BAD.replace(b"Bad", b"SECRET"))
        self.link("bad/out_parse.json", secret, "leads out")
        self.link("out", secret.parent, "is a link")

    def linked_folder(self) -> None:
        """A folder beside the source, listed by way of one of two links."""
        self.beside().joinpath("day").mkdir()
        self.link("linked", "../disk2/day")
        self.link("linked again", "../disk2/day")
        self.link("linked/back", self.tree.folder)
        self.search(
            "linked/there",
            "Linked",
            "2025-08-01T10:00:00",
            picture=self.picture(),
            reference="there_shot.png",
        )

    # Dates

    def undated_alone(self) -> None:
        """It goes in, with a warning."""
        self.search("undated/alone", "Undated alone", self.chance.choice(_UNREADABLE))
        self.tree.warned.add("undated/alone_parse.json")

    def undated_against_dated(self) -> None:
        """Nobody can say which is newer; the one with a date goes in first."""
        self.search("undated/a", "Undated", self.chance.choice(_UNREADABLE))
        self.search("undated/b", "Undated", "2025-08-01T10:00:00")
        self.tree.fails["undated/a_parse.json"] = "unknown which is newer"

    def undated_twice(self) -> None:
        """The first one goes in."""
        self.search("undated/d", "Undated twice", self.chance.choice(_UNREADABLE))
        self.search("undated/c", "Undated twice", self.chance.choice(_UNREADABLE))
        self.tree.warned.add("undated/c_parse.json")
        self.tree.fails["undated/d_parse.json"] = "unknown which is newer"

    def older_and_newer(self) -> None:
        """The later one wins, whatever the order, in whatever form its time is written."""
        timestamps = ["2025-08-03T09:00:00", "8/3/2025 9:00:01 AM", "2025-08-03T10:00:02+01:00"]
        for each in self.chance.sample(range(9), 3):
            later = timestamps.pop(0)
            self.search(f"order/{each}", "Ordered", later)
        self.tree.updates = True

    # Pictures

    def comes_later(self) -> None:
        """A picture that is there only when all has been imported."""
        stem, content = "later/search", self.picture()
        self.search(stem, "Later", "2025-08-01T10:00:00", reference="search_shot.png")
        self.tree.warned.add(f"{stem}_parse.json")

        def come() -> None:
            self.tree.write(f"{stem}_shot.png", content)
            self.tree.images.add(hashlib.sha256(content).hexdigest())
            self.tree.warned.discard(f"{stem}_parse.json")
            for key, row in self.tree.rows.items():
                if key[0] == "Later":
                    row["image_hash"] = hashlib.sha256(content).hexdigest()

        self.tree.later.append(come)

    def damaged_picture(self) -> None:
        """It is stored as it is, with a warning."""
        whole = png(self.chance.getrandbits(60), 9_000)
        self._pictured("cut", whole[:-20])
        self._pictured("head", whole[:33])
        claims = whole[:16] + (60_000).to_bytes(4, "big") * 2 + whole[24:]
        self._pictured("claims", claims)

    def _pictured(self, name: str, picture: bytes) -> None:
        self.search(
            f"flawed/{name}",
            f"Flawed {name}",
            "2025-08-01T10:00:00",
            picture=picture,
            reference=f"{name}_shot.png",
        )
        self.tree.warned.add(f"flawed/{name}_parse.json")

    def no_picture(self) -> None:
        """What is none by its content is not stored."""
        self.tree.write("none/page_shot.png", b"<html><script>alert(1)</script></html>")
        self.search("none/page", "None", "2025-08-01T10:00:00", reference="page_shot.png")
        self.tree.warned.add("none/page_parse.json")
