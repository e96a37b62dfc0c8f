"""What the importer must say when an import has come to its end: exit codes, counts, status."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from imports.display_text import shown
from imports.run.report import MOST_SHOWN
from tests.soak.checks import check_output, demand
from tests.soak.tree import Tree
from tests.support.command import Finished, Workplace

_TAKEN = "cannot be read: No such file or directory"
_MOST_ASKED = 4
"""So many files each is asked for by its path."""


@dataclass
class Told:
    """An import that has ended, with what its work state says then."""

    ended: Finished
    run_name: str
    completed: bool
    inserted: int
    updated: int
    failed: dict[str, str]

    @classmethod
    def by(cls, ended: Finished, place: Workplace) -> Self | None:
        """What the last import in a place told; None if its work state is torn, or not there."""
        try:
            state = place.state
        except (FileNotFoundError, ValueError):
            return None
        counts = state["phases"].get("import", {})
        return cls(
            ended,
            state["batch_id"],
            state["status"] == "completed" and not state["work_items_remaining"],
            counts.get("inserted", 0),
            counts.get("updated", 0),
            {each["path"]: each["reason"] for each in state["failed_items"]},
        )


def check_told(tree: Tree, runs: list[Told]) -> None:
    """What failed was told, with path and reason; of what is still there the last run says so."""
    reported = [each for each in runs if each.ended.code in {0, 3}]
    told: dict[str, str] = {}
    for each in reported:
        # Another run that took a failed file first has read it, and says why.
        told |= {
            path: reason
            for path, reason in each.failed.items()
            if path not in told or not (path in tree.consumed and _TAKEN in reason)
        }
        code = 3 if each.failed else 0
        demand(each.ended.code == code, "exit code", each.ended.code, each.failed, each.ended.text)
        for path, reason in list(each.failed.items())[:MOST_SHOWN]:
            demand(f"{shown(path)}: " in each.ended.text, "not told", path, reason, each.ended.text)
    more = {path: reason for path, reason in told.items() if path not in tree.fails}
    demand(not more, "good items that failed", more)
    demand(told.keys() == tree.fails.keys(), "told of by nobody", tree.fails.keys() - told.keys())
    for path, reason in told.items():
        demand(tree.fails[path] in reason, "the reason", path, reason, tree.fails[path])
    last = reported[-1]
    demand(last.failed.keys() >= tree.fails_there(), "no longer told", tree.fails_there())


def check_counts(tree: Tree, runs: list[Told], *, exactly: bool) -> None:
    """Each row was counted as inserted once, in spite of all repetition."""
    inserted = sum({each.run_name: each.inserted for each in runs}.values())
    updated = sum({each.run_name: each.updated for each in runs}.values())
    there = f"there are {len(tree.rows)}"
    demand(inserted <= len(tree.rows), "rows counted twice", inserted, there)
    demand(inserted == len(tree.rows) or not exactly, "rows that are not counted", inserted, there)
    demand(not updated or tree.updates, "rows counted as updated", updated)


def check_verify(tree: Tree, ended: Finished, *, alone: bool) -> None:
    """All that is in is as its file says; of what failed, and is still there, it has the number.

    So it has of what was deleted; if no run elsewhere took a part of it (`alone`), of all.
    """
    check_output(ended)
    demand(ended.code == 0, "verify", ended.code, ended.text)
    demand("match their files" in ended.text, "verify", ended.text)
    failed = f" {len(tree.fails_there())} failed, so they were not compared"
    demand(bool(tree.fails_there()) == (failed in ended.text), "verify: failed", ended.text)
    consumed = len(tree.consumed - tree.fails.keys())
    gone = f" {consumed} were deleted or moved away"
    demand(gone in ended.text or not consumed or not alone, "verify: gone", consumed, ended.text)


def check_status(tree: Tree, places: Iterable[Workplace]) -> None:
    """The status answers how many there are of what, and where each file is."""
    asked = list(places)
    scopes = [_json(place, "status", "--json")["scopes"][0] for place in asked]
    if len(asked) == 1:
        (scope,) = scopes
        there = tree.fails_there()
        moved = len(tree.fails) - len(there)
        _equal("failed", scope["failed"], len(tree.fails), scope)
        _equal("pending", scope["pending"], 0, scope)
        _equal("moved", scope["moved"], moved, scope)
        _equal("gone", scope["gone"], len(tree.consumed) - moved, scope)
        disposed = scope["files_deleted"], scope["files_moved"]
        demand(disposed <= (len(tree.consumed) - moved, moved), "status: files", disposed, scope)
        lines = asked[0].run("status", "--warnings", "--json").out.splitlines()
        warned = {json.loads(line)["path"] for line in lines}
        _equal("warned", warned, tree.warned, lines)
        _equal("count of warned", scope["warned"], len(tree.warned), scope)
    failed = sorted(tree.fails.keys() & tree.consumed)
    for path in [*sorted(tree.consumed)[:_MOST_ASKED], *failed[:_MOST_ASKED]]:
        _check_whereabouts(tree, asked, path)


def _equal(what: str, got: object, wanted: object, *details: object) -> None:
    demand(got == wanted, f"status: {what}", got, "should be", wanted, *details)


def _check_whereabouts(tree: Tree, places: list[Workplace], path: str) -> None:
    disposals: list[dict[str, Any]] = []
    for place in places:
        for known in _json(place, "status", "--file", tree.folder / path, "--json"):
            disposals += known["disposals"]
    if path in tree.fails:
        moved = [Path(each["moved_to"]) for each in disposals if each["what"] == "moved"]
        demand(moved and moved[0].is_file(), "where a failed file is", path, disposals)
        reasons = [each["reason"] or "" for each in disposals if each["what"] == "moved"]
        others = [each for each in reasons if tree.fails[path] not in each]
        demand(len(others) < len(reasons), "why it was moved", path, reasons)
        demand(all(_TAKEN in each for each in others), "why it was moved", path, reasons)
    else:
        # A run that was killed after it had deleted a file, only finds it gone.
        done = {each["what"] for each in disposals}
        demand(done and done <= {"deleted", "gone"}, "where a file is", path, disposals)
        demand(all(each["why"] == "imported" for each in disposals), "why", path, disposals)


def _json(place: Workplace, *command: object) -> Any:
    ended = place.run(*command)
    check_output(ended)
    with contextlib.suppress(ValueError):
        return json.loads(ended.out)
    raise AssertionError(f"no JSON: {ended.text}")
