"""What arrives in the night: drops of files, and the rows that they are to become."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tests.soak.checks import demand
from tests.support import contents, people
from tests.support.source import Source, document, license_, png

Key = tuple[str, str]

_CUT_OFF = b'{"metadata": {"pharmacy_name": "Cut", "state'
_TOO_LONG = "".join(hashlib.sha256(bytes([each])).hexdigest() for each in range(200))
"""No index of PostgreSQL takes a key of so many characters."""


class Drops:
    """Searches in day folders, and the rows that the target has to have of them."""

    def __init__(self, folder: Path, files: int, images: int) -> None:
        self.source = Source(folder)
        self.rows: dict[Key, dict[str, Any]] = {}
        self._files, self._images = files, images
        self._number = 0

    def good(self, drop: str, count: int | None = None) -> None:
        """Files of one search each; the first ones have a picture."""
        for number in range(self._files if count is None else count):
            self._number += 1
            picture = png(self._number) if number < self._images else None
            self._search(f"{drop}/{self._number:04}", f"Pharmacy {self._number:04}", picture)

    def cut_off(self, path: str) -> None:
        """A file whose scraper was stopped while it wrote."""
        self.source.write(f"{path}_parse.json", _CUT_OFF)

    def mended(self, path: str) -> None:
        """The same file as it should be."""
        self._search(path, f"Mended {path}", None)

    def refused(self, path: str) -> None:
        """A file with a value that the database does not take."""
        licenses = [license_(_TOO_LONG)]
        self.source.add(path, name="Refused", licenses=licenses)

    def without_picture(self, path: str) -> None:
        """A file that names a picture which is not there: its row goes in without it."""
        self._search(path, f"Pictureless {path}", None, image="shots/nowhere.png")

    def _search(
        self, path: str, name: str, picture: bytes | None, image: str | None = None
    ) -> None:
        if picture is not None:
            image = f"{path.rpartition('/')[2]}.png"
            self.source.write(f"{path}.png", picture)
        number = f"PH-{name}"
        self.source.add(path, name=name, licenses=[license_(number)], image=image)
        self.rows[name, number] = {
            "meta": document(name=name, image=image)["metadata"],
            "license_status": "Active",
            "image_hash": None if picture is None else hashlib.sha256(picture).hexdigest(),
        }

    @property
    def images(self) -> list[str]:
        """The hashes of all pictures, in their order."""
        return sorted(row["image_hash"] for row in self.rows.values() if row["image_hash"])

    def check(self, url: str, before: set[Key] | None = None) -> set[Key]:
        """Compares the rows of the target with all that arrived; the keys of those that are there.

        `before` are those that were there before a run that did not come to its end: no one of
        them may be gone, and any that arrived may be there.

        Raises:
            BrokenError: if they are not as their files say.
        """
        found = {(row["search_name"], row["license_number"]): row for row in contents.results(url)}
        demand(len(found) == contents.count(url), "rows that are there twice")
        for key, row in found.items():
            demand(key in self.rows, "a row that no file has", key)
            for name, value in self.rows[key].items():
                demand(row[name] == value, f"{name} of {key}", row[name], "should be", value)
        missing = (self.rows.keys() if before is None else before) - found.keys()
        demand(not missing, "missing rows", sorted(missing)[:5])
        return set(found)


class Pages:
    """Pages of persons, in a source that is consumed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._persons: set[str] = set()

    def add(self, path: str) -> None:
        """A page of two."""
        ids = [f"{path}-{number}" for number in range(2)]
        people.write(self._folder, f"{path}.json", [people.person(each) for each in ids])
        self._persons |= set(ids)

    @property
    def images(self) -> list[str]:
        """The hashes of all pictures, in their order."""
        return sorted(row["image_hash"] for row in self.rows.values() if row["image_hash"])

    def check(self, url: str) -> None:
        """Each person is in the target, and no page is left.

        Raises:
            BrokenError: if not.
        """
        found = people.person_ids(url)
        demand(found == self._persons, "persons", found ^ self._persons)
        demand(not people.files(self._folder), "pages are left", people.files(self._folder))
