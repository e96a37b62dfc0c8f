"""The command `reset`: what it shows, what it asks, and what it says at the end."""

from __future__ import annotations

import logging
import signal
from typing import Any, TextIO

import click

from imports.cli.printing import print_json, print_out
from imports.display_text import shown_lines
from imports.errors import InterruptedRunError, UsageError
from imports.phases.resetting import Found, Reset, RunToReset
from imports.run.display import Display
from imports.run.report_builder import EXIT_SOME_FAILED
from imports.run.reset import ResetReport
from imports.run.streams import tell_apart

_log = logging.getLogger("imports.run")

MOST_SHOWN = 20
_EXIT_REFUSED = 1


def check_way(answers: TextIO, questions: TextIO, *, asks: bool, as_json: bool) -> None:
    """Makes sure that somebody can type the batch id, if the command `asks` for it.

    Raises:
        UsageError: if nobody can.
    """
    if not asks:
        return
    if as_json:
        raise UsageError("--json asks nothing: add --confirm, or --dry-run. Nothing was done.")
    if not (answers.isatty() and questions.isatty()):
        raise UsageError(
            "There is no terminal on which the batch id could be typed. --dry-run shows what would"
            " be deleted, --confirm deletes it without a question. Nothing was done."
        )


def reset_with(reset: Reset, display: Display, *, asks: bool, deletes: bool, as_json: bool) -> int:
    """Shows what a reset would delete, and `deletes` it; the exit code.

    It first `asks` for the batch id, unless there is nothing to delete.
    """
    # A reset has no phases: no bars are drawn, and none is in the way of what is typed.
    display.close()
    found = reset.find()
    location = reset.target.location
    if not as_json:
        print_out(shown_lines(found_lines(reset.run, found)))
    if deletes and asks and not found.nothing and (refused := _ask_for(reset.run.name)):
        return refused
    report = reset.delete() if deletes else None
    if report is not None:
        for line in [_head(reset.run), *done_lines(reset.run, report)]:
            _log.info("%s", line)
    code = EXIT_SOME_FAILED if report is not None and not report.complete else 0
    if as_json:
        print_json(as_plain(reset.run, location, found, report, code), indented=True)
    elif report is not None:
        lines = done_lines(reset.run, report)
        print_out(shown_lines(lines))
        if code:
            tell_apart(shown_lines(lines))
    return code


def _ask_for(run_name: str) -> int:
    """Asks for the batch id to be typed; the exit code if it was not, else 0."""
    # Ctrl-C would only ask a reset to stop that has not begun.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    question = "To delete this, type the batch id"
    try:
        typed = click.prompt(question, default="", show_default=False, err=True)
    except click.Abort:
        click.echo("\nNothing was done.", err=True)
        return InterruptedRunError.exit_code
    finally:
        signal.signal(signal.SIGINT, before)
    if typed.strip() == run_name:
        return 0
    click.echo("That is not the batch id. Nothing was done.", err=True)
    return _EXIT_REFUSED


def found_lines(run: RunToReset, found: Found) -> list[str]:
    """What a reset would delete, as lines."""
    lines = [_head(run)]
    if found.nothing:
        return [*lines, "No row of this run is left."]
    width = max(map(len, found.written.tables), default=0)
    for label, each in found.written.tables.items():
        if each.rows:
            updated = f"; {each.earlier:,} of them were only updated" if each.earlier else ""
            lines.append(f"  {label:<{width}}  {_counted(each.rows, 'row')}{updated}")
    if any(each.earlier for each in found.written.tables.values()):
        lines.append("  Rows that were only updated are deleted too; earlier content is not kept.")
    if found.written.images:
        images, size = _counted(found.written.images, "image"), _size(found.written.bytes)
        lines.append(f"  {images} ({size}) that no other row names")
    if found.places.images:
        images, size = _counted(found.places.images, "image"), _size(found.places.bytes)
        lines.append(f"  {images} ({size}) at places of their own, except those that a row names")
    item = run.kind.wording.item
    if found.items.importable:
        lines.append(f"  {_counted(found.items.importable, item)} can be imported again after that")
    if found.items.gone:
        lines.append(
            f"  {_counted(found.items.gone, item)} cannot: a run deleted or moved them, and a reset"
            " does not bring them back"
        )
    if run.known is None:
        lines.append(
            "  The ledger does not know this run. Files that it imported count as imported in the"
            " ledger that knows it; images at places of their own stay."
        )
    return lines


def done_lines(run: RunToReset, report: ResetReport) -> list[str]:
    """What a reset came to, as lines."""
    lines = []
    deleted = +report.deleted
    if deleted or report.images:
        own = any(table.owner is not None for table in run.kind.group.tables)
        rows = _counted(deleted.total(), "row") + (" with the rows that they own" if own else "")
        lines.append(f"Deleted: {rows}, {_counted(report.images, 'image')}")
    else:
        lines.append("Deleted: nothing")
    if stayed := report.stayed.total():
        lines.append(f"Stayed, since other rows refer to them: {_counted(stayed, 'row')}")
        lines += _first(report.kept, stayed)
    if report.problems:
        lines.append("Not removed; a reset of any run tries these images again:")
        lines += _first([f"{place}: {why}" for place, why in report.problems], len(report.problems))
    return lines


def as_plain(
    run: RunToReset, location: str, found: Found, report: ResetReport | None, code: int
) -> dict[str, Any]:
    """All of it as plain data, for programs; without a report, nothing was deleted."""
    known = run.known
    plain = {
        "batch_id": run.name,
        "kind": run.kind.name,
        "source": known and known.source,
        "tag": known and known.tag,
        "target": location,
        "dry_run": report is None,
        "exit_code": code,
        "found": {
            "tables": {
                label: {"rows": each.rows, "only_updated": each.earlier}
                for label, each in found.written.tables.items()
            },
            "images": found.written.images,
            "image_bytes": found.written.bytes,
            "placed_images": found.places.images,
            "placed_image_bytes": found.places.bytes,
            "items_importable": found.items.importable,
            "items_gone": found.items.gone,
        },
    }
    if report is not None:
        plain["deleted"] = {
            "rows": dict(+report.deleted),
            "images": report.images,
            "stayed": dict(+report.stayed),
            "stayed_rows": report.kept,
            "not_removed": [{"image": place, "reason": why} for place, why in report.problems],
        }
    return plain


def _head(run: RunToReset) -> str:
    if run.known is None:
        return f"Reset of {run.name}: {run.kind.name}"
    sources = dict.fromkeys(f"{each.source}, tag {each.tag}" for each in run.runs)
    several = f" ({len(run.runs):,} runs)" if len(run.runs) > 1 else ""
    return f"Reset of {run.name}{several}: {run.kind.name} from {'; from '.join(sources)}"


def _first(lines: list[str], total: int) -> list[str]:
    some = [f"  {each}" for each in lines[:MOST_SHOWN]]
    return some if total <= MOST_SHOWN else [*some, f"  … and {total - MOST_SHOWN:,} more"]


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1_000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1_000
    return f"{count:,.1f} GB"
