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

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Self

from imports.errors import BackendUnavailableError, ImporterError, InterruptedRunError
from imports.ledger import Listing
from imports.phases.cycles import Cycles
from imports.phases.disposal import dispose_leftovers
from imports.phases.steps import (
    hash_planned,
    import_planned,
    plan_listed,
    plan_source,
    upload_planned,
    verify_imported,
)
from imports.run.display import Display, SilentDisplay
from imports.run.opening import interruption, open_session
from imports.run.report import NOT_YET_IMPORTED, RunReport, VerifyReport, joined
from imports.run.report_builder import build_report
from imports.run.session import RunSession
from imports.settings import Settings


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
            session.runs.record_reported(
                session.state.run_name, session.scope.id if whole else None
            )
        finally:
            self.close()
        return report

    def _run(self, session: RunSession) -> RunReport:
        """The phases; the report, when the work state and the ledger say how the run ended."""
        listing: Listing | None = None
        verification: VerifyReport | None = None
        exit_code = 0
        problem: ImporterError | None = None
        try:
            if session.disposal is not None:
                # It may take a while, and the first phase begins after it.
                session.checkpoint(now=True)
                dispose_leftovers(session)
            listing = plan_source(session)
            if self.settings.scan_only:
                # What an interrupted run left is still to be gone on with.
                session.state.status = "interrupted" if session.resumed else "completed"
            else:
                verification = self._import_planned(session)
                with closing(Cycles(session)) as cycles:
                    while cycles.more():
                        session.begin_cycle()
                        plan_listed(session)
                        verification = joined(verification, self._import_planned(session))
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
            report = build_report(session, exit_code, listing, verification, problem)
            session.runs.end_run(
                session.state.run_name,
                report.exit_code,
                completed=session.state.finished,
            )
            session.checkpoint(now=True)
            session.update_progress(now=True)
        return report

    def _import_planned(self, session: RunSession) -> VerifyReport | None:
        """What follows planning; the report of verification, where it was asked for."""
        hash_planned(session)
        upload_planned(session)
        import_planned(session)
        return self.verify_writes() if self.settings.verify_writes else None

    # The phases, by themselves

    @contextmanager
    def _by_itself(self) -> Iterator[RunSession]:
        """The session for a phase that is called by itself: a checkpoint tells of its end."""
        session = self.session
        try:
            yield session
        finally:
            session.checkpoint(now=True)

    def plan_work(self) -> Listing:
        """Lists the source, and reads what is new or changed in it.

        Raises:
            UsageError: if there is nothing of the kind in the source.
        """
        with self._by_itself() as session:
            return plan_source(session)

    def compute_sha256_hashes(self) -> None:
        """Hashes the images of unfinished items, each once."""
        with self._by_itself() as session:
            hash_planned(session)

    def upload_images(self) -> None:
        """Stores the images of unfinished items that the target lacks."""
        with self._by_itself() as session:
            upload_planned(session)

    def import_search_results(self) -> None:
        """Imports the items that are planned: rows, merged a batch at a time."""
        with self._by_itself() as session:
            import_planned(session)

    def verify_writes(self, *, deep: bool = False, repair: bool = False) -> VerifyReport:
        """Compares what the target has with what the files say; repairs it where asked to.

        `deep` also reads every stored image. What was repaired is verified again.
        """
        deep = deep or self.settings.deep
        with self._by_itself() as session:
            verified = verify_imported(session, deep=deep)
            if not repair:
                return verified.report
            # On demand: few runs repair.
            from imports.phases.repair import import_again

            return import_again(session, verified, deep=deep)

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
