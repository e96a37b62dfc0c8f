"""What must hold when an import has ended whose servers were disturbed: all is there, once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from imports.servers.schema import apply_schema
from tests.soak.checks import demand
from tests.support import contents
from tests.support.command import MODULE, Finished, Workplace
from tests.support.database import create_database
from tests.support.target import Target

_PATIENCE = 600.0


@dataclass(frozen=True)
class Wanted:
    """A source of files `0000`, `0001`, …, of which the first ones have images."""

    source: Path
    files: int
    images: list[bytes]

    @property
    def hashes(self) -> list[str]:
        """Those of the images, in their order."""
        return [hashlib.sha256(image).hexdigest() for image in self.images]


def check_whole(place: Workplace, target: Target, wanted: Wanted) -> None:
    """Rows, images, counters, ledger and leftovers.

    Raises:
        BrokenError: if anything is not as the source says.
    """
    _check_rows(target, wanted)
    _check_images(place, target, wanted)
    _check_counters(place, wanted)
    left = contents.count(target.database_url, "import_merges")
    demand(not left, "answers to merges are left in the target", left)
    drafts = [*place.files("*.part"), *wanted.source.rglob("*.part")]
    demand(not drafts, "drafts are left", drafts)
    verified = _run(place, "verify", "--deep")
    demand(
        f"{wanted.files:,} records and {len(wanted.images):,} images match their files"
        in verified.text,
        "verify --deep",
        verified.text,
    )
    again = _run(place, "states", wanted.source, "--tag", "t")
    demand("Nothing to do" in again.text, "a second run", again.text)


def _run(place: Workplace, *arguments: object) -> Finished:
    with place.started(*arguments) as running:
        return running.finish(0, timeout=_PATIENCE)


def _check_rows(target: Target, wanted: Wanted) -> None:
    rows = contents.results(target.database_url)
    found = {(row["search_name"], row["license_number"]): row["image_hash"] for row in rows}
    hashes = wanted.hashes
    should = {
        (f"Pharmacy {number:04}", f"PH{number:04}"): hashes[number]
        if number < len(hashes)
        else None
        for number in range(wanted.files)
    }
    demand(len(rows) == wanted.files, "rows", len(rows))
    demand(found == should, "rows", list(found.items() ^ should.items())[:5])
    # In all columns they are as an import that nobody disturbed leaves them.
    undisturbed, assets = _undisturbed(target, wanted)
    different = [pair for pair in zip(rows, undisturbed, strict=True) if pair[0] != pair[1]]
    demand(not different, f"{len(different)} rows are not those of a quiet import", *different[:2])
    listed = contents.assets(target.database_url)
    demand(listed == assets, "image_assets", len(listed), len(assets))


def _undisturbed(target: Target, wanted: Wanted) -> tuple[list[Any], list[Any]]:
    url = create_database(target.database_url, "quiet")
    apply_schema(url)
    with TemporaryDirectory() as folder:
        place = Workplace(Path(folder) / "work", {"DATABASE_URL": url}, MODULE)
        place.folder.mkdir()
        _run(place, "states", wanted.source, "--tag", "t")
        return contents.results(url), contents.assets(url)


def _check_images(place: Workplace, target: Target, wanted: Wanted) -> None:
    stored = contents.stored_images(target, place.folder)
    wrong = [path for path, digest in stored.items() if digest not in path]
    demand(not wrong, "images with another content", wrong[:5])
    demand(sorted(stored.values()) == sorted(wanted.hashes), "images in the store", len(stored))


def _check_counters(place: Workplace, wanted: Wanted) -> None:
    counts = place.counts("import")
    told = {name: counts[name] for name in ("inserted", "updated", "skipped", "unchanged")}
    should = {"inserted": wanted.files, "updated": 0, "skipped": 0, "unchanged": 0}
    demand(told == should, "the counters of rows", told)
    uploaded = place.counts("upload")
    total = uploaded["completed"] + uploaded["skipped"]
    demand(total == len(wanted.images) and not uploaded["failed"], "those of images", uploaded)
    (scope,) = json.loads(_run(place, "status", "--json").out)["scopes"]
    known = {name: scope[name] for name in ("total", "success", "pending", "failed", "warned")}
    right = {"total": wanted.files, "success": wanted.files, "pending": 0, "failed": 0, "warned": 0}
    demand(known == right, "the ledger", known)
