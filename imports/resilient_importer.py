"""ResilientImporter: runs the phases of an import in order. Also the script that make runs."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # As a script this is the command `states`. It is run as the package, so that the worker
    # processes, which load the main module again, need not load all of this.
    import runpy

    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    sys.argv[1:1] = ["states"]
    runpy.run_module("imports", run_name="__main__", alter_sys=True)
    sys.exit()

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Self

from imports.backends.target import MERGES_AT_ONCE
from imports.errors import BackendUnavailableError, ImporterError, InterruptedRunError, UsageError
from imports.image_finder import image_finder
from imports.ledger import Listing
from imports.phases import planning, sha256, upload
from imports.phases.import_ import Imported, ImportTarget, import_batch
from imports.phases.upload import UploadTarget
from imports.progress import Display, SilentDisplay
from imports.report import RunReport, VerifyReport, phase_counts
from imports.run_report import build_report
from imports.run_session import RunSession, open_session
from imports.settings import Settings
from imports.source_tree import ListedEntry, ListingProblem, signature_of
from imports.verification import verify
from imports.work_item import (
    Image,
    ItemState,
    ListedItem,
    Phase,
    Plan,
    RowOutcome,
    Signature,
    StoredImage,
)
from imports.work_state import PhaseState
from imports.workers import in_a_thread, run_bounded

_log = logging.getLogger("imports.run")

_MOST_CLEANED_VALUES = 200
_OUTCOMES = {
    RowOutcome.INSERTED: ("inserted", "🆕 inserted %s"),
    RowOutcome.UPDATED: ("updated", "📝 updated %s"),
    RowOutcome.SKIPPED: ("skipped", "⏭️  skipped, older %s"),
    RowOutcome.UNCHANGED: ("unchanged", "🟰 unchanged %s"),
}


class ResilientImporter:
    """Imports a source into a target, resumably.

    `run()` does everything. The phases can also be called one by one; each does what is left of
    it, and what the phase before it has prepared. The session (lock, ledger, target) is opened
    by the first call and closed by `close()`, or at the end of a `with`.
    """

    def __init__(
        self,
        settings: Settings,
        display: Display | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Works by `settings`, and ends in good order soon after `stop` is set."""
        self.settings = settings
        self._display = display or SilentDisplay()
        self._stop = stop or threading.Event()
        self._session: RunSession | None = None

    def __enter__(self) -> Self:
        """Opens nothing yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the session."""
        self.close()

    def close(self) -> None:
        """Closes the session, if one is open."""
        if self._session is not None:
            session, self._session = self._session, None
            session.close()

    @property
    def session(self) -> RunSession:
        """The open session; it is opened if need be.

        Raises:
            ImporterError: if it cannot be.
        """
        if self._session is None:
            self._session = open_session(self.settings, self._stop, self._display)
        return self._session

    def run(self) -> RunReport:
        """All phases in order, with the final checkpoint; the session is closed after it.

        An interruption, or a target that stays away, is told by the report's exit code.

        Raises:
            ImporterError: if the run cannot begin, or cannot go on at all.
        """
        session = self.session
        verification = None
        exit_code = 0
        problem: ImporterError | None = None
        try:
            self.plan_work()
            self.compute_sha256_hashes()
            self.upload_images()
            self.import_search_results()
            if self.settings.verify_writes:
                verification = self.verify_writes()
            session.state.status = "completed"
            session.state.repairing = False
        except (InterruptedRunError, BackendUnavailableError) as error:
            session.state.status = "interrupted"
            exit_code, problem = error.exit_code, error
        except BaseException as error:
            session.state.status = "failed"
            exit_code = error.exit_code if isinstance(error, ImporterError) else 1
            raise
        finally:
            try:
                report = build_report(session, exit_code, verification, problem)
                session.runs.end_run(
                    session.state.batch_id,
                    report.exit_code,
                    completed=session.state.finished,
                )
                session.checkpoint(now=True)
            finally:
                self.close()
        return report

    # The phases

    def plan_work(self) -> Listing:
        """Lists the source, and reads what is new or changed in it.

        Raises:
            UsageError: if there is nothing of the kind in the source.
        """
        session = self.session
        with self._phase(Phase.PLANNING):
            self._display.begin(Phase.PLANNING, None)
            if self.settings.force:
                self._forget_merges()
            entries = self._list()
            if session.items.none_known():
                entries = session.workers.expect_parsing(entries)
            listing = session.items.record_listing(
                entries,
                whole=session.single_item is None,
                again=self.settings.force or session.single_item is not None,
            )
            if not listing.total:
                raise UsageError(
                    f"No JSON files found: nothing below {session.folder} is called"
                    f" {session.kind.pattern}. Check the source and the permissions."
                )
            session.state.total_files = listing.total
            session.checkpoint(now=True)
            self._set_counts(Phase.PLANNING, unchanged=listing.unchanged)
            session.state.dataset_id = session.ask(
                session.target.database.dataset_id,
                session.kind.name,
                session.state.tag,
                self.settings.description,
                self.settings.created_by,
            )
            self._plan_items(session.items.count(ItemState.LISTED))
            session.state.total_images = session.images.count()
        return listing

    def compute_sha256_hashes(self) -> None:
        """Hashes the images of unfinished items, each once."""
        session = self.session
        with self._phase(Phase.SHA256):
            total = session.images.count_unhashed()
            self._display.begin(Phase.SHA256, total)
            for hashed in run_bounded(
                session.workers.for_waiting(),
                sha256.hash_batch,
                session.images.unhashed(sha256.BATCH_SIZE),
                in_flight=2 * session.workers.max_workers,
                stop=self._stop,
            ):
                session.images.record_hashes(hashed.images, hashed.problems)
                for file, problem in hashed.problems:
                    _log.warning("%s: %s", file.path, problem)
                session.advance(Phase.SHA256, len(hashed.images) + len(hashed.problems))

    def upload_images(self) -> None:
        """Stores the images of unfinished items that the target lacks."""
        session = self.session
        with self._phase(Phase.UPLOAD):
            total = session.images.count_unsettled()
            self._display.begin(Phase.UPLOAD, total)
            if not total:
                return
            target = UploadTarget(
                session.target.database,
                session.target.store,
                session.policy,
                session.state.batch_id,
            )
            session.ask(session.target.store.prepare)
            for images in session.images.unsettled(upload.BATCH_SIZE):
                self._upload_some(target, images)
                session.raise_if_stopping()

    def import_search_results(self) -> None:
        """Imports the items that are planned: rows, merged a batch at a time."""
        session = self.session
        with self._phase(Phase.IMPORT):
            total = session.items.open_queue(ItemState.PLANNED, self.settings.limit)
            self._display.begin(Phase.IMPORT, total)
            target = ImportTarget(
                session.target.database,
                session.policy,
                session.kind.group,
                session.run_values(),
                session.workers.for_parsing(total),
                session.spool,
            )
            for imported in run_bounded(
                session.workers.for_waiting(),
                partial(import_batch, target),
                session.batches(),
                in_flight=min(MERGES_AT_ONCE, session.workers.max_workers),
                stop=self._stop,
            ):
                self._record_imported(imported)
                session.advance(Phase.IMPORT, len(imported.item_ids))
            session.raise_if_stopping()
            session.spool.clear()
            if total or any(phase_counts(session.counts(), Phase.IMPORT).values()):
                self._forget_merges()

    def verify_writes(self, *, deep: bool = False, repair: bool = False) -> VerifyReport:
        """Compares what the target has with what the files say; repairs it where asked to.

        `deep` also reads every stored image. What was repaired is verified again.
        """
        session = self.session
        with self._phase(Phase.VERIFY):
            verified = verify(session, deep=deep or self.settings.deep)
        unfinished, _ = session.items.unfinished(0)
        if not repair or not (verified.repairable or (session.state.repairing and unfinished)):
            return verified.report
        before = "completed" if session.state.repairing else session.state.status
        session.state.status = "running"
        session.state.repairing = True
        session.checkpoint(now=True)
        items = set(verified.items)
        images = [each for each in verified.images if self._can_be_stored_again(each)]
        for image in images:
            session.ask(session.target.store.remove, image.storage_path)
            items.update(session.images.items_of(image.sha256))
        self._forget_merges()
        readable = dict(self._signatures(items))
        session.items.import_again(readable.items())
        session.images.forget_settled()
        with self._phase(Phase.PLANNING):
            self._plan_items(session.items.count(ItemState.LISTED))
        self.compute_sha256_hashes()
        self.upload_images()
        self.import_search_results()
        self._display.say(f"Imported again: {len(readable):,} files, {len(images):,} images.")
        with self._phase(Phase.VERIFY):
            report = verify(session, deep=deep or self.settings.deep).report
        session.state.status = before
        session.state.repairing = False
        session.checkpoint(now=True)
        return report

    def verify_again(self, *, repair: bool = False) -> VerifyReport:
        """Verifies the last run, whether it is finished or not; see `verify_writes`."""
        if self._session is None:
            self._session = open_session(self.settings, self._stop, self._display, last_run=True)
        finished = self.session.state.finished
        report = self.verify_writes(repair=repair)
        unfinished, _ = self.session.items.unfinished(0)
        if not finished and unfinished:
            report.found["not yet imported"] = unfinished
        return report

    # Their parts

    def _list(self) -> Iterator[ListedEntry]:
        session = self.session
        if session.single_item is None:
            yield from session.kind.list_items(str(session.folder))
            return
        path = session.folder / session.single_item
        try:
            yield ListedItem(session.single_item, signature_of(path.stat()))
        except OSError as error:
            yield ListingProblem(session.single_item, f"cannot be read: {error.strerror}")

    def _forget_merges(self) -> None:
        """Drops the target's answers to this run's merges: what comes now is merged for real."""
        session = self.session
        session.ask(session.target.database.forget_merges, session.state.batch_id)

    def _can_be_stored_again(self, image: StoredImage) -> bool:
        """Whether its file is still there as it was: else what is stored is better than nothing."""
        for file in self.session.images.files_of(image.sha256):
            try:
                if signature_of(os.stat(file.path)) == file.signature:
                    return True
            except OSError as error:
                _log.warning("%s: %s", file.path, error.strerror)
        _log.warning("%s is left as it is: no file has its image any more", image.storage_path)
        return False

    def _signatures(self, item_ids: set[int]) -> Iterator[tuple[int, Signature]]:
        """The signatures that the files of some items have now; of those that are there."""
        for item_id in item_ids:
            path = self.session.folder / self.session.items.path(item_id)
            try:
                yield item_id, signature_of(path.stat())
            except OSError as error:
                _log.warning("%s cannot be imported again: %s", path, error.strerror)

    def _plan_items(self, total: int) -> None:
        session = self.session
        limit = self.settings.limit
        if limit is not None:
            limit = max(0, limit - session.items.count(ItemState.PLANNED))
            total = min(total, limit)
        self._display.begin(Phase.PLANNING, total)
        finder = image_finder(session.folder, self.settings.image_roots)
        if total:
            session.spool.open()
        chunks = session.items.listed_items(limit, planning.BATCH_SIZE)
        jobs = (
            planning.PlanJob(
                session.kind.name, str(session.folder), finder, session.spool, chunk, items
            )
            for chunk, items in enumerate(chunks, session.items.next_chunk())
        )
        for planned in run_bounded(
            session.workers.for_parsing(total),
            planning.plan_batch,
            jobs,
            in_flight=2 * session.workers.process_count,
            stop=self._stop,
        ):
            session.items.record_plans(
                planned.plans,
                planned.chunk,
                planned.spooled,
                _plan_counts(planned.plans) | self._cleaned_counts(planned.cleaned),
            )
            for plan in planned.plans:
                if plan.failure is not None:
                    _log.error("%s: %s", session.items.path(plan.id), plan.failure)
            session.advance(Phase.PLANNING, len(planned.plans))

    def _upload_some(self, target: UploadTarget, images: list[Image]) -> None:
        session = self.session
        known = in_a_thread(upload.known_images, target, images)
        if self.settings.force or session.state.repairing or target.store.storage_type == "local":
            # What is listed need not be there: a repair, even one that was killed, removes what
            # is damaged. A local file is looked at sooner than it is believed in.
            wanted = images
        else:
            wanted = [image for image in images if image.sha256 not in known]
        stored: list[Image] = []
        counts: Counter[str] = Counter({"upload.skipped": len(images) - len(wanted)})
        session.advance(Phase.UPLOAD, len(images) - len(wanted))
        try:
            for uploaded in run_bounded(
                session.workers.for_waiting(),
                partial(upload.upload_image, target),
                wanted,
                in_flight=self.settings.max_concurrent_uploads,
                stop=self._stop,
            ):
                if uploaded.problem is None:
                    stored.append(uploaded.image)
                    counts["upload.completed" if uploaded.new else "upload.skipped"] += 1
                else:
                    counts["upload.failed"] += 1
                    _log.error("Image upload failed: %s", uploaded.problem)
                    session.items.record_upload_failure(
                        uploaded.image.sha256, f"Image upload failed: {uploaded.problem}"
                    )
                session.advance(Phase.UPLOAD, 1)
        finally:
            # What was stored before something went wrong must not be stored again.
            new = [each for each in stored if each.sha256 not in known]
            in_a_thread(upload.record_images, target, new)
            there = {image.sha256 for image in images} - {image.sha256 for image in wanted}
            session.images.record_settled(there | {each.sha256 for each in stored}, counts)

    def _record_imported(self, imported: Imported) -> None:
        session = self.session
        outcomes = Counter(outcome for outcome, _ in imported.outcomes)
        counts = {f"import.{_OUTCOMES[letter][0]}": count for letter, count in outcomes.items()}
        counts["import.total_imported"] = (
            outcomes[RowOutcome.INSERTED] + outcomes[RowOutcome.UPDATED]
        )
        counts["import.failed_batches" if imported.failures else "import.completed_batches"] = 1
        counts |= self._cleaned_counts(imported.cleaned)
        session.items.record_imported(imported.item_ids, imported.failures, counts)
        for item_id, reason in imported.failures:
            _log.error("%s: %s", session.items.path(item_id), reason)
        if _log.isEnabledFor(logging.DEBUG):
            for outcome, label in imported.outcomes:
                _log.debug(_OUTCOMES[outcome][1], label)
            for label, row in imported.refused:
                _log.debug("🚫 refused %s: %s", label, row.decode().rstrip())

    def _cleaned_counts(self, cleaned: Mapping[str, int]) -> dict[str, int]:
        """Counts by value, of which there may be any number: the rare ones are put together."""
        if not cleaned:
            return {}
        known = {name for name in self.session.counts() if name.startswith("cleaned.")}
        counts: Counter[str] = Counter()
        for value, count in cleaned.items():
            name = f"cleaned.{value[:40]}"
            if name not in known and len(known) >= _MOST_CLEANED_VALUES:
                name = "cleaned.(others)"
            elif name not in known:
                known.add(name)
            counts[name] += count
        return dict(counts)

    @contextmanager
    def _phase(self, phase: Phase) -> Iterator[None]:
        """Checkpoints a phase at both ends, and times it."""
        session = self.session
        state = session.state
        state.current_phase = phase
        mine = state.phases.setdefault(phase, PhaseState())
        mine.status = "running"
        session.checkpoint(now=True)
        _log.info("%s begins", phase)
        began, before = time.monotonic(), mine.duration_seconds
        status = "failed"
        try:
            session.raise_if_stopping()
            yield
            session.raise_if_stopping()
            status = "completed"
        except (InterruptedRunError, BackendUnavailableError):
            status = "interrupted"
            raise
        finally:
            # A checkpoint in between put another object in its place.
            mine = state.phases[phase]
            mine.status = status
            mine.duration_seconds = before + time.monotonic() - began
            self._display.end(phase)
            session.checkpoint(now=True)
            _log.info("%s %s after %.3f s", phase, status, mine.duration_seconds)

    def _set_counts(self, phase: Phase, **values: int) -> None:
        """Sets counts of a phase that say how things stand, rather than add up."""
        counts = self.session.counts()
        self.session.add_counts(
            {
                f"{phase}.{name}": value - counts.get(f"{phase}.{name}", 0)
                for name, value in values.items()
            }
        )


def _plan_counts(plans: list[Plan]) -> dict[str, int]:
    failed = sum(plan.failure is not None for plan in plans)
    return {
        "planning.to_import": len(plans),
        "planning.failed": failed,
        "planning.images_missing": sum(plan.images_missing for plan in plans),
    }
