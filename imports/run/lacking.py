"""Images that were missing, seen from the coordinator: each run looks whether they have come."""

from __future__ import annotations

import logging
from pathlib import Path

from imports.image_finder import image_finder
from imports.phases.lacking import BATCH_SIZE, LookJob, look_again
from imports.run.session import RunSession
from imports.work_item import Phase
from imports.workers import run_bounded

_log = logging.getLogger("imports.run")


def import_what_came(session: RunSession) -> None:
    """Has items imported again for which an image has come that they were imported without."""
    count = find_what_came(session, Phase.PLANNING)
    if count:
        found = session.lacking.found(BATCH_SIZE)
        session.items.import_again((item[0], item[2]) for items in found for item in items)
        # They were counted as imported before.
        session.add_counts({"planning.unchanged": -count})


def find_what_came(session: RunSession, phase: Phase) -> int:
    """Finds the imported items that lack an image which is there now, for `lacking.found`.

    Returns how many they are; nothing is changed.
    """
    session.lacking.begin()
    total = session.lacking.count().items
    if not total:
        return 0
    session.display.begin(phase, total)
    finder = image_finder(Path(session.source.folder), session.settings.image_roots)
    executor = session.workers.for_parsing(total)
    count = 0
    for looked in run_bounded(
        executor,
        look_again,
        (
            LookJob(session.kind.name, session.source, finder, items)
            for items in session.lacking.items(BATCH_SIZE)
        ),
        in_flight=session.workers.in_flight(executor),
        stop=session.policy.stop,
    ):
        session.lacking.note(looked.found)
        count += len(looked.found)
        for path, reason in looked.problems:
            # It is imported as it was: what is the matter with it shows when it changes.
            _log.warning("%s: its missing images cannot be looked for: %s", path, reason)
        session.advance(phase, looked.count)
    session.raise_if_stopping()
    return count
