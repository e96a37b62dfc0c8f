"""Status files: what became of a work item that is a folder, told in the folder itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from imports.source_tree import printable
from imports.work_item import Phase, Source

SUCCESS = "success.json"
FAILED = "failed.json"

_DRAFTS = {SUCCESS: f".{SUCCESS}.part", FAILED: f".{FAILED}.part"}
_NAMES = frozenset({*_DRAFTS, *_DRAFTS.values()})
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)


def is_status_file(name: str) -> bool:
    """Whether a file of this name is one of ours: it is no part of its folder's content."""
    return name in _NAMES


@dataclass(frozen=True, slots=True)
class Unwritten:
    """A status file that could not be written, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class StatusFiles:
    """Writes the status files of one run. Safe to use from any thread or process."""

    source: Source
    batch_id: str
    tag: str
    target: str

    def succeed(self, items: Iterable[tuple[str, Mapping[str, int]]]) -> list[Unwritten]:
        """Writes `success.json` into folders, each with its counts; those where it cannot."""
        return [
            problem
            for path, counts in items
            if (problem := self._write(path, SUCCESS, {"counts": dict(counts)})) is not None
        ]

    def fail(self, phase: Phase, items: Iterable[tuple[str, str]]) -> list[Unwritten]:
        """Writes `failed.json` into folders, each with its reason; those where it cannot."""
        return [
            problem
            for path, reason in items
            if (problem := self._write(path, FAILED, {"phase": phase, "reason": printable(reason)}))
            is not None
        ]

    def _write(self, path: str, name: str, details: Mapping[str, object]) -> Unwritten | None:
        """Replaces the file of this name as a whole, and removes the one of the other name."""
        # On demand: kinds ask this module for names, and the command line loads the kinds.
        import orjson

        content = {
            "status": name.removesuffix(".json"),
            "folder": path,
            "batch_id": self.batch_id,
            "time": datetime.now(UTC),
            "tag": self.tag,
            "target": self.target,
            **details,
        }
        folder = self.source.absolute(path)
        other = FAILED if name == SUCCESS else SUCCESS
        draft = f"{folder}{os.sep}{_DRAFTS[name]}"
        try:
            descriptor = os.open(draft, _FLAGS, 0o666)
            try:
                left = orjson.dumps(content, option=orjson.OPT_INDENT_2)
                while left:
                    left = left[os.write(descriptor, left) :]
            finally:
                os.close(descriptor)
            # Not brought to disk: a power failure may cost the file, the ledger has the truth.
            os.replace(draft, f"{folder}{os.sep}{name}")  # noqa: PTH105 - a path object takes longer
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{folder}{os.sep}{other}")  # noqa: PTH108
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(draft)  # noqa: PTH108
            return Unwritten(f"{path}/{name}", error.strerror or str(error))
        return None
