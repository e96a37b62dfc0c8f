"""Acknowledging failed items, which then no longer count as failed, and undoing that."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from imports.errors import UsageError
from imports.ledger import ItemLedger, LedgerFile, Scope
from imports.ledger.acknowledged import (
    KnownItem,
    acknowledge,
    failed_items,
    items_at,
    take_back,
)
from imports.ledger.kept import keep_state, kept_states
from imports.ledger.places import absolute_places
from imports.ledger.work_state import (
    MOST_LISTED,
    DamagedStateError,
    FailedItem,
    WorkState,
    load_work_state,
    save_work_state,
)
from imports.run.lock import hold
from imports.run.provenance import refuse_foreign
from imports.settings import Settings

MOST_SHOWN = 10
_MOST_COMPARED = 10_000
_MOST_NEAR = 3


def acknowledge_failed(
    settings: Settings,
    ledger: Path,
    paths: Sequence[Path],
    kind: str | None,
    tag: str | None,
    *,
    note: str | None = None,
    undo: bool = False,
) -> list[str]:
    """Acknowledges failed items, or undoes that (`undo`).

    The items are those at `paths` (all if empty), with a kind and a tag (None for all). Returns
    lines for the user.

    Raises:
        UsageError: if the ledger does not exist, or does not know one of the paths; then nothing is
            changed.
        LockedError: if a run uses the ledger.
    """
    if not ledger.is_file():
        raise UsageError(f"The ledger {ledger} does not exist. Name another one with --db-path.")
    with contextlib.ExitStack() as resources:
        hold(settings.state_file, "The work state", "--state-file", resources)
        hold(ledger, "The ledger", "--db-path", resources)
        refuse_foreign(ledger)
        file = LedgerFile(ledger)
        resources.callback(file.close)
        if paths:
            named = [item for path in paths for item in _named(file, ledger, path, kind, tag)]
            named = list(dict.fromkeys(named))
        else:
            named = failed_items(file.connection, kind, tag, acknowledged=undo)
        fit = [each for each in named if each.failed and each.acknowledged is undo]
        if undo:
            take_back(file, [each.id for each in fit])
        else:
            acknowledge(file, [each.id for each in fit], _user(), note)
        targets = _update_work_states(settings.state_file, file)
    return [*_unfit(named, undo=undo), *_done(fit, targets, undo=undo)]


def _named(
    file: LedgerFile, ledger: Path, path: Path, kind: str | None, tag: str | None
) -> list[KnownItem]:
    # The path of a file comes before an item with the same path in its source.
    found = items_at(file.connection, kind, tag, absolute_places(path))
    found = found or items_at(file.connection, kind, tag, [str(path)])
    if not found:
        near = _near(path, failed_items(file.connection, kind, tag, acknowledged=False))
        suggestion = f" Did you mean {', '.join(near)}?" if near else ""
        raise UsageError(
            f"The ledger {ledger} does not know {path}.{suggestion} Give the path of a file, or its"
            " path in its source. Nothing was acknowledged."
        )
    return found


def _near(path: Path, failed: list[KnownItem]) -> list[str]:
    """The paths of failed items that are similar to a path."""
    # On demand: only for an error.
    from difflib import get_close_matches

    names = [each.path for each in failed[:_MOST_COMPARED]]
    below = [each for each in names if Path(each).name == path.name or path in Path(each).parents]
    close = get_close_matches(str(path), names, _MOST_NEAR)
    return list(dict.fromkeys([*below, *close]))[:_MOST_NEAR]


def _update_work_states(path: Path, file: LedgerFile) -> dict[str, str]:
    """Updates the failed items in all work states from the ledger: `status` shows both.

    Returns the names of the targets, by id.
    """
    targets: dict[str, str] = {}
    for kept in kept_states(file.connection):
        targets.setdefault(kept.state.target_id, kept.state.target)
        scope_id = _recount_failed(kept.state, file)
        if scope_id is not None:
            keep_state(file, scope_id, kept.state)
    try:
        state = load_work_state(path)
    except DamagedStateError:
        # The next run keeps the damaged file, and uses the ledger.
        return targets
    if state is not None and _recount_failed(state, file) is not None:
        save_work_state(state, path)
    return targets


def _recount_failed(state: WorkState, file: LedgerFile) -> int | None:
    """Updates the failed items in a work state; returns the id of its scope, None if unknown."""
    row = file.connection.execute(
        "select scope_id from run where batch_id = ?", (state.run_name,)
    ).fetchone()
    if row is None:
        return None
    items = ItemLedger(Scope(file, row[0], state.run_name, state.single_file))
    state.failed_items_total, failures = items.failures(MOST_LISTED)
    state.failed_items = [FailedItem(*each) for each in failures]
    return int(row[0])


def _unfit(named: list[KnownItem], *, undo: bool) -> list[str]:
    """A line for each named item that needs no change."""
    lines = []
    for item in named:
        if not item.failed:
            lines.append(f"{item.path} ({item.kind}, tag {item.tag}) does not count as failed.")
        elif item.acknowledged is not undo:
            state = "is not acknowledged" if undo else "is already acknowledged"
            lines.append(f"{item.path} ({item.kind}, tag {item.tag}) {state}.")
    return lines


def _done(items: list[KnownItem], targets: Mapping[str, str], *, undo: bool) -> list[str]:
    if not items:
        return ["Nothing to undo." if undo else "Nothing to acknowledge."]
    lines = []
    done = "Counted as failed again" if undo else "Acknowledged"
    for (kind, source, tag, target_id), group in groupby(items, lambda each: each[1:5]):
        some = list(group)
        # A tag may be in several targets; all of them count.
        target = targets.get(target_id) or target_id
        lines.append(f"{done}: {len(some):,} ({kind} from {source}, tag {tag}, into {target})")
        lines += [f"  {each.path}: {each.reason}" for each in some[:MOST_SHOWN]]
        if len(some) > MOST_SHOWN:
            lines.append(f"  … and {len(some) - MOST_SHOWN:,} more")
    if undo:
        return [
            *lines,
            "The next runs retry them; --retry-failed also retries those that are given up.",
        ]
    return [
        *lines,
        "They do not count as failed, and are not retried, until their files change or a run has"
        " --retry-failed. To undo this, add --undo to the same command.",
    ]


def _user() -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name
    return str(os.geteuid())
