"""Builds the report of a run from its session."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from imports.configuration.choices import Disposal
from imports.errors import ImporterError
from imports.items.records import RowOutcome
from imports.ledger import Listing
from imports.ledger.work_state import MOST_LISTED
from imports.run import next_command
from imports.run.consuming.disposal_plan import disposal_plan
from imports.run.report import MOST_SHOWN, RunReport, VerifyReport
from imports.run.session import RunSession
from imports.source.problem_list import ERRORS_SUFFIX

EXIT_SOME_FAILED = 3


def build_report(
    session: RunSession,
    exit_code: int,
    listing: Listing | None,
    verification: VerifyReport | None,
    problem: ImporterError | None,
) -> RunReport:
    """The report of a run that ended with `exit_code`; `problem` is the error that ended it."""
    failures_total, failures = session.items.failures(MOST_LISTED)
    not_disposed_total, not_disposed = session.disposals.problems(MOST_SHOWN)
    scan_only = session.settings.scan_only
    # A scan imports nothing: only problems of the listing are its own failures.
    failed = failures_total > 0 if listing is None or not scan_only else listing.problems > 0
    failed = failed or (not_disposed_total > 0 and session.disposal is not None)
    if exit_code == 0 and (failed or (verification is not None and not verification.clean)):
        exit_code = EXIT_SOME_FAILED
    warnings_total, warnings = session.items.warnings(MOST_SHOWN)
    counts = session.counts()
    if warnings_total and (flawed := session.images.count_flawed()):
        counts["sha256.flawed"] = flawed
    # The search takes time, and a run that read nothing has found none.
    shown = MOST_SHOWN if counts.get("planning.to_import") else 0
    duplicates_total, duplicates = session.items.duplicates(shown) if shown else (0, [])
    again = next_command.import_again(session.settings)
    state_file, parameters = session.settings.state_file, session.settings.as_json()
    if scan_only and problem is None:
        commands = [*_to_be_deleted(session, listing), f"To import:  {again}"]
    elif exit_code == 0 and (verification is not None or _deletes(session)):
        commands = []
    elif exit_code == 0:
        command = next_command.verify(state_file, parameters)
        commands = [f"To compare what was written with the files:  {command}"]
    elif problem is not None:
        commands = [str(problem), f"To resume:  {again}"]
    elif verification is not None and verification.repairable:
        command = next_command.verify(state_file, parameters, repair=True)
        commands = [f"To import what differs again:  {command}"]
    else:
        given_up = counts.get("planning.given_up", 0)
        again = next_command.import_again(session.settings, retry_failed=given_up > 0)
        commands = [f"After fixing the causes, retry the failed ones:  {again}"]
        if given_up:
            command = next_command.acknowledge(
                session.kind.name, session.state.tag, state_file, session.settings.db_path
            )
            commands.insert(0, command)
        if session.disposal is not None and session.disposal.on_failure is Disposal.MOVE:
            commands = _of_moved(session, session.disposal.failed_folder, failures_total, commands)
    return RunReport(
        state=session.state,
        item=session.kind.wording.item,
        scanned=listing if scan_only else None,
        exit_code=exit_code,
        elapsed_seconds=time.monotonic() - session.began_at,
        counts=counts,
        notices=session.notices,
        failures=failures,
        failures_total=failures_total,
        acknowledged=session.items.acknowledged(),
        warnings=warnings,
        warnings_total=warnings_total,
        lacking=session.lacking.count(),
        left_out=session.exempt.records(RowOutcome.LEFT_OUT, MOST_SHOWN),
        guarded=session.exempt.records(RowOutcome.GUARDED, MOST_SHOWN),
        duplicates=duplicates,
        duplicates_total=duplicates_total,
        not_disposed=not_disposed if session.disposal is not None else [],
        not_disposed_total=not_disposed_total if session.disposal is not None else 0,
        verification=verification,
        next_commands=commands,
        operations=(
            session.target.database.operations.stats() if session.settings.debug_log else {}
        ),
    )


def _to_be_deleted(session: RunSession, listing: Listing | None) -> list[str]:
    """A line for the report of a scan: how many files a run will delete."""
    settings = replace(session.settings, scan_only=False)
    folder = Path(session.source.folder)
    plan = disposal_plan(settings, session.kind, folder, session.single_item)
    if listing is None or plan is None or not plan.deletes:
        return []
    # Includes files that are imported already: they are imported once more.
    count = listing.new + listing.changed + listing.unchanged - listing.problems
    count = count if settings.limit is None else min(count, settings.limit)
    failed = f", and move failed ones to {plan.failed_folder}" if plan.folders else ""
    items = f"{session.kind.wording.items} once they are imported"
    return [f"A run will delete {count:,} {items}{failed}."]


def _of_moved(session: RunSession, folder: str, failures: int, commands: list[str]) -> list[str]:
    """The next steps for failed files: for moved ones, and for those that stay."""
    in_source, foreign = session.disposals.failed_in_source()
    lines = []
    if failures > in_source:
        again = next_command.import_again(session.settings)
        lines += [
            f"Failed files are in {folder}, each with its errors in a file *{ERRORS_SUFFIX}.",
            f"After fixing them, move them back to {session.source.folder}; then:  {again}",
        ]
    if foreign:
        lines.append(
            f"{foreign:,} failed files are not of this kind, and stay. Move them out of the"
            f" source, or name the patterns of its {session.kind.wording.items} with --patterns."
        )
    return lines if in_source <= foreign and lines else [*lines, *commands]


def _deletes(session: RunSession) -> bool:
    """Whether imported files are deleted or moved, so that `verify` could not compare them."""
    plan = session.disposal
    return plan is not None and plan.on_success is not Disposal.KEEP
