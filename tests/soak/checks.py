"""What must hold in the target and on disk when an import has come to its end."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from imports.source.set_aside import BEGINNING
from tests.soak.tree import Tree, exact
from tests.support import contents, people
from tests.support.command import Finished, Workplace
from tests.support.database import query
from tests.support.target import Target

EXIT_CODES = {0, 3, 75, 130}
"""What a run may end with that is disturbed; a negative one is the signal that killed it."""

MOST_MEMORY = 500 * 1024 * 1024
"""In bytes, of all processes of a run but the database server."""

_ROWS = {
    "states": (
        "SELECT search_name, search_state, license_number, license_status, image_hash,"
        " meta::text, raw::text FROM search_results"
    ),
    "folders": ("SELECT folder_path, device_id, stats::text, images::text FROM device_test"),
    "people": "SELECT neuron360_profile_id, rest::text FROM people.identities",
}
_SHOWN = 900


class BrokenError(AssertionError):
    """An invariant does not hold."""


def demand(holds: object, what: str, *details: object) -> None:
    """Raises BrokenError unless it holds."""
    if not holds:
        raise BrokenError("\n  ".join([what, *(_short(str(each)) for each in details)]))


def _short(text: str) -> str:
    return text if len(text) <= 2 * _SHOWN else f"{text[:_SHOWN]} … {text[-_SHOWN:]}"


def check_output(ended: Finished) -> None:
    """A command says what happened in words, and obeys no file's name."""
    # A run that somebody takes a worker from cannot go on, and says so.
    robbed = ended.code == 1 and "A worker process was killed from outside" in ended.err
    known = ended.code in EXIT_CODES or ended.code < 0 or robbed
    demand(known, "exit code", ended.code, ended.text)
    demand("Traceback" not in ended.text, "a traceback", ended.text)
    demand("please report it" not in ended.text, "an unexpected error", ended.text)
    demand("\x1b]" not in ended.text and "\x1b[31mred" not in ended.text, "an escape sequence")


def check_rows(tree: Tree, url: str) -> None:
    """The rows are those of the source, each once, with all that it says."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in query(url, _ROWS[tree.kind]):
        key, facts = _READERS[tree.kind](row)
        demand(key not in found, "a row twice", key)
        found[key] = facts
    missing, more = tree.rows.keys() - found.keys(), found.keys() - tree.rows.keys()
    demand(not missing, "missing rows", sorted(map(str, missing))[:5], len(missing))
    demand(not more, "rows that the source does not have", sorted(map(str, more))[:5])
    for key, wanted in tree.rows.items():
        for name, value in wanted.items():
            got = found[key][name]
            demand(_same(got, value), f"{name} of {key}", got, "should be", value)


def _same(got: Any, wanted: Any) -> bool:
    """Whether two values are equal, numbers by their digits."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        return got.keys() == wanted.keys() and all(_same(got[k], wanted[k]) for k in wanted)
    if isinstance(wanted, list) and isinstance(got, list):
        return len(got) == len(wanted) and all(map(_same, got, wanted))
    return type(got) is type(wanted) and bool(got == wanted)


def _states_row(row: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    name, state, number, status, image, meta, raw = row
    facts = {"license_status": status, "image_hash": image, "meta": exact(meta), "raw": exact(raw)}
    return (name, state, number), facts


def _folders_row(row: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    path, device, stats, images = row
    hashes = sorted({each["sha256"] for each in json.loads(images)})
    return (path,), {
        "device_id": device,
        "stats": None if stats is None else exact(stats),
        "images": hashes,
    }


def _people_row(row: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    name, rest = row
    found = exact(rest or "{}")
    found.pop("position", None)
    return (name,), {"rest": found}


_READERS = {"states": _states_row, "folders": _folders_row, "people": _people_row}


def check_images(tree: Tree, target: Target, folder: Path) -> None:
    """Every image is stored and listed, with its content; nothing half-written lies about."""
    stored = contents.stored_images(target, folder)
    for path, digest in stored.items():
        demand(digest in path, "an image with another content", path, digest)
    demand(tree.images <= set(stored.values()), "images that are not stored")
    demand(set(stored.values()) <= tree.images, "images that nobody named")
    listed = {row["content_hash"] for row in contents.assets(target.database_url)}
    demand(listed == tree.images, "images that are listed", listed ^ tree.images)


def check_files(tree: Tree, places: Iterable[Workplace]) -> None:
    """Every file of the user is where it must be, as it was."""
    for path, content in tree.left.items():
        file = tree.folder / path
        demand(file.is_file(), "a file of the user is gone", path)
        demand(file.read_bytes() == content, "a file of the user was changed", path)
    if tree.kind == "people":
        _check_consumed(tree)
    else:
        drafts = [path for path in tree.folder.rglob("*.part") if path.is_file()]
        demand(not drafts, "drafts in the source", drafts)
    for place in places:
        demand(not place.files("*.part"), "drafts", place.files("*.part"))
        for name in ("resilient_import.log", "work_state.json", "upload_tracker.db"):
            mode = (place.folder / name).stat().st_mode & 0o077
            demand(not mode, f"{name} can be read by others", oct(mode))
    secret = tree.folder.parent.parent / "elsewhere"
    demand(all(each.is_file() for each in secret.glob("*")), "what lies elsewhere was changed")


def _check_consumed(tree: Tree) -> None:
    """What is in is gone from the source; what failed is there, or moved with its errors."""
    entries = [path for path in tree.folder.rglob("*") if path.is_symlink() or path.is_file()]
    # Hidden ones too: nothing may be left in a private folder, nor as a draft.
    left = {path.relative_to(tree.folder).as_posix() for path in entries if not path.is_symlink()}
    demand(left == tree.left.keys(), "files in the source", left ^ tree.left.keys())
    private = list(tree.folder.rglob(f"{BEGINNING}*"))
    demand(not private, "private folders in the source", private)
    failed = tree.folder.parent / "failed_uploads"
    moved = {path for path in people.files(failed) if not path.endswith(".errors.json")}
    wanted = tree.fails.keys() & tree.consumed
    demand(moved == wanted, "failed files", moved ^ wanted)
    for path in moved:
        listed = people.problems(failed / path)
        demand(listed, "no list of errors beside", path)
        reason = tree.fails[path].removeprefix("and 1 more") or listed[0][2]
        demand(any(reason in each for _, _, each in listed), "the list of errors", path, listed)
        demand(not any("No such file" in each for _, _, each in listed), "errors", path, listed)
