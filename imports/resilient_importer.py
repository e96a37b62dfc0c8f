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
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Self

from imports.errors import BackendUnavailableError, ImporterError, InterruptedRunError
from imports.ledger import Listing
from imports.ledger.work_state import PhaseState, phase_counts
from imports.phases.cycles import Cycles
from imports.phases.disposal import dispose_left, dispose_verified
from imports.phases.import_ import import_items
from imports.phases.lacking import plan_left_out, plan_what_came
from imports.phases.listing import list_source
from imports.phases.planning import plan_items, signatures
from imports.phases.sha256 import hash_images
from imports.phases.upload import list_images, upload_images
from imports.run.display import Display, SilentDisplay
from imports.run.opening import interruption, open_session
from imports.run.report import NOT_YET_IMPORTED, RunReport, VerifyReport, joined
from imports.run.report_builder import build_report
from imports.run.session import RunSession
from imports.settings import Settings
from imports.source.tree import signature_of
from imports.work_item import Image, Phase

_log = logging.getLogger("imports.run")

_FOLLOWED_AT_ONCE = (Phase.PLANNING, Phase.SHA256, Phase.UPLOAD)
"""Of these a whole run has no checkpoint at their end: that of what comes next tells of it."""


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
        *,
        resumed: str | None = None,
    ) -> None:
        """Works by `settings`, and ends in good order soon after `stop` is set.

        With the batch id of a run that is to be `resumed`, it goes on with that one or not at all.
        """
        self.settings = settings
        self._display = display or SilentDisplay()
        self._stop = stop or threading.Event()
        self._resumed = resumed
        self._session: RunSession | None = None
        self._whole_run = False

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
            self._session = open_session(
                self.settings, self._stop, self._display, resumed=self._resumed
            )
        return self._session

    def run(self, tell: Callable[[RunReport], None] | None = None) -> RunReport:
        """All phases in order, with the final checkpoint; the session is closed after it.

        `tell` shows the report to the user. A run that is killed before that has returned has told
        nothing: the next one tells what failed in it. An interruption, or a target that stays
        away, is told by the report's exit code.

        Raises:
            ImporterError: if the run cannot begin, or cannot go on at all.
        """
        session = self.session
        try:
            report = self._run(session)
            if tell is not None:
                tell(report)
            # A scan, or a run over one item, does not tell of all that failed.
            whole = session.single_item is None and not self.settings.scan_only
            session.runs.record_told(session.state.run_name, session.scope.id if whole else None)
        finally:
            self.close()
        return report

    def _run(self, session: RunSession) -> RunReport:
        """The phases; the report, when the work state and the ledger say how the run ended."""
        listing: Listing | None = None
        verification: VerifyReport | None = None
        exit_code = 0
        problem: ImporterError | None = None
        self._whole_run = True
        try:
            if session.disposal is not None:
                # It may take a while, and the first phase begins after it.
                session.checkpoint(now=True)
                dispose_left(session)
            listing = self.plan_work()
            if self.settings.scan_only:
                # What an interrupted run left is still to be gone on with.
                session.state.status = "interrupted" if session.resumed else "completed"
            else:
                verification = self._import_planned()
                with closing(Cycles(session)) as cycles:
                    while cycles.more():
                        session.begin_cycle()
                        with self._phase(Phase.PLANNING):
                            plan_items(session)
                        verification = joined(verification, self._import_planned())
                session.state.status = "completed"
            session.state.repairing = False
        except (InterruptedRunError, BackendUnavailableError) as error:
            session.state.status = "interrupted"
            problem = interruption(error, self._stop)
            exit_code = problem.exit_code
        except BaseException as error:
            session.state.status = "failed"
            exit_code = error.exit_code if isinstance(error, ImporterError) else 1
            raise
        finally:
            self._whole_run = False
            report = build_report(session, exit_code, listing, verification, problem)
            session.runs.end_run(
                session.state.run_name,
                report.exit_code,
                completed=session.state.finished,
            )
            session.checkpoint(now=True)
            session.update_progress(now=True)
        return report

    def _import_planned(self) -> VerifyReport | None:
        """What follows planning; the report of verification, where it was asked for."""
        self.compute_sha256_hashes()
        self.upload_images()
        self.import_search_results()
        if not self.settings.verify_writes:
            return None
        return self.verify_writes()

    # The phases

    def plan_work(self) -> Listing:
        """Lists the source, and reads what is new or changed in it.

        Raises:
            UsageError: if there is nothing of the kind in the source.
        """
        session = self.session
        with self._phase(Phase.PLANNING):
            if self.settings.force:
                self._forget_merges()
            listing = list_source(session)
            if not self.settings.scan_only:
                session.run_values()
                plan_what_came(session)
                plan_left_out(session)
                plan_items(session)
                session.state.total_images = session.images.count()
        return listing

    def compute_sha256_hashes(self) -> None:
        """Hashes the images of unfinished items, each once."""
        with self._phase(Phase.SHA256):
            hash_images(self.session)

    def upload_images(self) -> None:
        """Stores the images of unfinished items that the target lacks."""
        with self._phase(Phase.UPLOAD):
            upload_images(self.session)

    def import_search_results(self) -> None:
        """Imports the items that are planned: rows, merged a batch at a time."""
        session = self.session
        with self._phase(Phase.IMPORT):
            total = import_items(session)
            if total or any(phase_counts(session.counts(), Phase.IMPORT).values()):
                self._forget_merges()

    def verify_writes(self, *, deep: bool = False, repair: bool = False) -> VerifyReport:
        """Compares what the target has with what the files say; repairs it where asked to.

        `deep` also reads every stored image. What was repaired is verified again.
        """
        # On demand: most runs do not verify.
        from imports.phases.verify import verify

        session = self.session
        last_batch = session.queue.last_batch()
        with self._phase(Phase.VERIFY):
            verified = verify(
                session, deep=deep or self.settings.deep, since=session.verified_until
            )
        if session.kind.consumes_source:
            whole = session.verified_until is None
            session.disposals.record_verified(verified.wrong, whole=whole)
        session.verified_until = last_batch
        dispose_verified(session)
        unfinished, _ = session.items.unfinished(0)
        if not repair or not (
            verified.report.repairable or (session.state.repairing and unfinished)
        ):
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
        list_images(session, verified.unlisted)
        readable = dict(signatures(session, items))
        session.items.import_again(readable.items())
        session.images.forget_stored()
        with self._phase(Phase.PLANNING):
            plan_items(session)
        self.compute_sha256_hashes()
        self.upload_images()
        self.import_search_results()
        noun = session.kind.wording.items
        count = len(images) + len(verified.unlisted)
        self._display.say(f"Imported again: {len(readable):,} {noun}, {count:,} images.")
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
        report.gone = self.session.disposals.disposed()
        report.failed, _ = self.session.items.failures(0)
        report.acknowledged = self.session.items.acknowledged()
        unfinished, _ = self.session.items.unfinished(0)
        if finished:
            # Left over on purpose, by a limit or a scan: no finding, but worth a word.
            report.left = unfinished
        elif unfinished:
            report.found[NOT_YET_IMPORTED] = unfinished
        return report

    # Their parts

    def _forget_merges(self) -> None:
        """Drops the target's answers to this run's merges: what comes now is merged for real."""
        session = self.session
        session.ask(session.target.database.forget_merges, session.state.rows_run_name)

    def _can_be_stored_again(self, image: Image) -> bool:
        """Whether its file is still there as it was: else what is stored is better than nothing."""
        for file in self.session.images.files_of(image.sha256):
            try:
                if signature_of(os.stat(file.path)) == file.signature:
                    return True
            except OSError as error:
                _log.warning("%s: %s", file.path, error.strerror)
        _log.warning("%s is left as it is: no file has its image any more", image.storage_path)
        return False

    @contextmanager
    def _phase(self, phase: Phase) -> Iterator[None]:
        """Checkpoints a phase where it begins and where it ends, and times it."""
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
            if not (self._whole_run and phase in _FOLLOWED_AT_ONCE):
                session.checkpoint(now=True)
            _log.info("%s %s after %.3f s", phase, status, mine.duration_seconds)
