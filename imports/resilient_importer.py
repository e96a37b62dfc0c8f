"""ResilientImporter: runs the phases of an import in order. `make import` runs it as a script."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # As a script, this is the command `states`. It runs the package, since worker processes load
    # the main module again, and should not load this one.
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
    """Imports a source into a target. An interrupted import can be resumed.

    `run()` runs all phases. They can also be called one by one, in order; each does the rest of its
    work. The first call opens the session (lock, ledger, target); `close()`, or the end of a
    `with`, closes it.
    """

    def __init__(
        self,
        settings: Settings,
        display: Display | None = None,
        stop: threading.Event | None = None,
        *,
        resumed: str | None = None,
    ) -> None:
        """Uses `settings`. After `stop` is set, a run ends soon, and can be resumed.

        `resumed` is the batch id of a run: it is resumed, or an error is raised.
        """
        self.settings = settings
        self._display = display or SilentDisplay()
        self._stop = stop or threading.Event()
        self._resumed = resumed
        self._session: RunSession | None = None

    def __enter__(self) -> Self:
        """Does not open the session yet."""
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
        """The session; the first call opens it.

        Raises:
            ImporterError: if that fails.
        """
        if self._session is None:
            self._session = open_session(
                self.settings, self._stop, self._display, resumed=self._resumed
            )
        return self._session

    def run(self, tell: Callable[[RunReport], None] | None = None) -> RunReport:
        """Runs all phases in order, writes the final checkpoint and closes the session.

        `tell` shows the report to the user. If the run is killed before `tell` returns, the next
        run reports its failures. An interruption, or a target that does not answer, raises no
        error: the report has an exit code for it.

        Raises:
            ImporterError: if the run cannot start or continue.
        """
        session = self.session
        try:
            report = self._run(session)
            if tell is not None:
                tell(report)
            # A scan, or a run over one item, does not report all failures.
            whole = session.single_item is None and not self.settings.scan_only
            session.runs.record_reported(
                session.state.run_name, session.scope.id if whole else None
            )
        finally:
            self.close()
        return report

    def _run(self, session: RunSession) -> RunReport:
        """Runs the phases, and records the end of the run. Returns the report."""
        listing: Listing | None = None
        verification: VerifyReport | None = None
        exit_code = 0
        problem: ImporterError | None = None
        try:
            if session.disposal is not None:
                # A checkpoint first, since this may take long.
                session.checkpoint(now=True)
                dispose_leftovers(session)
            listing = plan_source(session)
            if self.settings.scan_only:
                # A scan does not finish an interrupted run.
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
        """Runs the phases after planning. Returns the report of verification, if requested."""
        hash_planned(session)
        upload_planned(session)
        import_planned(session)
        return self.verify_writes() if self.settings.verify_writes else None

    # Single phases

    @contextmanager
    def _single_phase(self) -> Iterator[RunSession]:
        """The session for a single phase, with a checkpoint at its end."""
        session = self.session
        try:
            yield session
        finally:
            session.checkpoint(now=True)

    def plan_work(self) -> Listing:
        """Lists the source, and reads new and changed items.

        Raises:
            UsageError: if the source has no items of the kind.
        """
        with self._single_phase() as session:
            return plan_source(session)

    def compute_sha256_hashes(self) -> None:
        """Hashes the images of unfinished items, each once."""
        with self._single_phase() as session:
            hash_planned(session)

    def upload_images(self) -> None:
        """Stores images of unfinished items that are not in the target."""
        with self._single_phase() as session:
            upload_planned(session)

    def import_search_results(self) -> None:
        """Imports the planned items: merges their rows in batches."""
        with self._single_phase() as session:
            import_planned(session)

    def verify_writes(self, *, deep: bool = False, repair: bool = False) -> VerifyReport:
        """Compares the target with the files; `repair` imports missing and different items again.

        `deep` also reads every stored image. Repaired items are verified again.
        """
        deep = deep or self.settings.deep
        with self._single_phase() as session:
            verified = verify_imported(session, deep=deep)
            if not repair:
                return verified.report
            # On demand: few runs repair.
            from imports.phases.repair import import_again

            return import_again(session, verified, deep=deep)

    def verify_again(self, *, repair: bool = False) -> VerifyReport:
        """Verifies the last run, finished or not; see `verify_writes`."""
        if self._session is None:
            self._session = open_session(self.settings, self._stop, self._display, last_run=True)
        finished = self.session.state.finished
        report = self.verify_writes(repair=repair)
        report.gone = self.session.disposals.disposed()
        report.failed, _ = self.session.items.failures(0)
        report.acknowledged = self.session.items.acknowledged()
        unfinished, _ = self.session.items.unfinished(0)
        if finished:
            # Left on purpose, by a limit or a scan: not a finding, but the report mentions it.
            report.left = unfinished
        elif unfinished:
            report.found[NOT_YET_IMPORTED] = unfinished
        return report
