"""The import of a single work item by a command of its own, and the output of that command.

The lines follow the script `quick_upload.py` of the document "Advanced Supabase Upload System".
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from imports.cli.report import render_verification
from imports.cli.status import last_ledger
from imports.errors import RecordError, UsageError
from imports.kinds.kind import Kind
from imports.ledger.file import reading
from imports.ledger.summary import KnownSource, sources_of
from imports.run.report import RunReport
from imports.run.report_builder import EXIT_SOME_FAILED
from imports.run.source import source_of
from imports.settings import Settings

_RULE = "=" * 50
_DEFAULT_TAG = "default"
_SHOWN = ("inserted", "updated", "left_out", "guarded")
"""The outcomes to print; the first one that applies counts."""


def settings_for(kind: Kind, path: Path, settings: Settings) -> Settings:
    """The settings that import the item at `path` as a part of its source.

    If no source or tag is given, they are those of the last import of the item. If no run has
    imported it, they are the working folder (or, if the item is not below that, its parent folder)
    and the tag `default`. The work state is a separate one, so an unfinished run over the source
    can still be resumed.

    Raises:
        UsageError: if the source is ambiguous.
    """
    place = path.resolve()
    command = str(kind.wording.single_command)
    if (ledger_file := last_ledger(settings)) != settings.ledger_file:
        settings = replace(settings, db_path=ledger_file)
    source, tag = settings.source, settings.tag
    with reading(settings.ledger_file) as connection:
        known = [] if connection is None else sources_of(connection, kind.name, str(place))
    if source is None or tag is None:
        found = _best(place, [each for each in known if _fits(each, settings)])
        if found is not None:
            source, tag = source or Path(found.source), tag or found.tag
    source = source or (Path.cwd() if place.is_relative_to(Path.cwd()) else place.parent)
    tag = tag or _DEFAULT_TAG
    _refuse_clash(place, source.resolve(), tag, known)
    state_file = settings.state_file
    if not state_file.stem.endswith(f".{command}"):
        state_file = state_file.with_name(f"{state_file.stem}.{command}{state_file.suffix}")
    return replace(
        settings, single_file=path, source=source, tag=tag, state_file=state_file, restart=True
    )


def _fits(known: KnownSource, settings: Settings) -> bool:
    return settings.tag in (None, known.tag) and (
        settings.source is None or settings.source.resolve() == Path(known.source)
    )


def _best(place: Path, known: list[KnownSource]) -> KnownSource | None:
    """The most likely source of a place."""
    around = [each for each in known if place.is_relative_to(each.source)]
    if not around:
        return None
    best = max(around, key=lambda each: (each.has_place, len(each.source)))
    tags = {
        each.tag
        for each in around
        if (each.has_place, each.source) == (best.has_place, best.source)
    }
    if len(tags) > 1:
        raise UsageError(
            f"{place} was imported with more than one tag ({', '.join(sorted(tags))}). Choose one"
            " with --tag."
        )
    return best


def _refuse_clash(place: Path, source: Path, tag: str, known: list[KnownSource]) -> None:
    """Refuses to replace an item of another source that has the same path and tag."""
    if not place.is_relative_to(source):
        return
    path = place.relative_to(source).as_posix()
    for each in known:
        if each.tag == tag and each.source != str(source) and path in each.paths:
            raise UsageError(
                f"{path} was already imported with the tag {tag!r}, from {each.source}. Choose"
                " another --tag, or give the source of this one with --source."
            )


def tell_beginning(kind: Kind, settings: Settings) -> list[str]:
    """The lines before the import. If the item has a problem, the import itself reports it."""
    lines = ["🚀 Quick Upload", _RULE]
    if settings.single_file is None or settings.source is None:
        return lines
    source = source_of(settings, kind, settings.source.resolve())
    place = settings.single_file.resolve()
    if not place.is_relative_to(source.folder):
        return lines
    path = place.relative_to(source.folder).as_posix()
    try:
        content = kind.read(source, path, kind.sign(source, path), Counter())
    except (OSError, RecordError):
        return lines
    return [*lines, *kind.story(content)]


def tell_end(kind: Kind, settings: Settings, report: RunReport) -> list[str]:
    """The lines after the import, with its outcome."""
    item = kind.wording.item
    name = settings.single_file.resolve().name if settings.single_file else ""
    outcomes = ("inserted", "updated", "unchanged")
    inserted = any(report.count(f"import.{each}") for each in outcomes)
    lines = ["🚀 Executed database insert"] if inserted else []
    lines += [f"⚠️  {text}" for _, text in report.warnings]
    imported = not report.failures and report.exit_code in (0, EXIT_SOME_FAILED)
    if imported:
        outcome = next(
            (each for each in _SHOWN if report.count(f"import.{each}")), "unchanged"
        ).replace("_", " ")
        lines.append(f"✅ Successfully uploaded {item}: {name} ({outcome})")
    lines += [f"❌ Not uploaded: {failure.reason}" for failure in report.failures]
    status_files = kind.status_files and not settings.no_status_files
    unwritten = report.count("status_files.unwritten") or report.count("status_files.foreign")
    if status_files and (imported or report.failures) and not unwritten:
        lines.append(f"📄 Created {'success' if imported else 'failed'}.json in {name}")
    lines.append(_RULE)
    if report.verification is not None:
        lines += render_verification(report.verification)
    if not report.exit_code:
        return [*lines, "✅ Upload completed successfully!"]
    return [*lines, "❌ Upload failed", *(f"  {command}" for command in report.next_commands)]
