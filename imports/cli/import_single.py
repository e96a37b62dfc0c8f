"""A single work item, imported by a command of its own, and what that tells on the way.

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
_TOLD = ("inserted", "updated", "left_out", "guarded")
"""The outcomes that are told of it, the first that there is."""


def settings_for(kind: Kind, path: Path, settings: Settings) -> Settings:
    """The settings that import the item at `path` as a part of the source that it belongs to.

    Where nothing is said, that is the source, and the tag, of the last import that had it; of
    one that no import had, the working folder, or else the folder around it, with the tag
    `default`. The work state is one of its own: a larger run that waits to be resumed is left
    alone.

    Raises:
        UsageError: if it cannot be told what it is a part of.
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
    """The source that a place is most likely meant as a part of."""
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
            f"{place} was imported with more than one tag ({', '.join(sorted(tags))}): choose"
            " with --tag."
        )
    return best


def _refuse_clash(place: Path, source: Path, tag: str, known: list[KnownSource]) -> None:
    """An item of another source that has the same path and tag must not be replaced unseen."""
    if not place.is_relative_to(source):
        return
    path = place.relative_to(source).as_posix()
    for each in known:
        if each.tag == tag and each.source != str(source) and path in each.paths:
            raise UsageError(
                f"{path} was imported with the tag {tag!r} already, out of {each.source}: choose"
                " another --tag, or name with --source what this one is a part of."
            )


def tell_beginning(kind: Kind, settings: Settings) -> list[str]:
    """What is about to be imported. A problem with it is told by the import itself."""
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
    """What became of it."""
    item = kind.wording.item
    name = settings.single_file.resolve().name if settings.single_file else ""
    outcomes = ("inserted", "updated", "unchanged")
    went_in = any(report.count(f"import.{each}") for each in outcomes)
    lines = ["🚀 Executed database insert"] if went_in else []
    lines += [f"⚠️  {text}" for _, text in report.warnings]
    imported = not report.failures and report.exit_code in (0, EXIT_SOME_FAILED)
    if imported:
        done = next(
            (each for each in _TOLD if report.count(f"import.{each}")), "unchanged"
        ).replace("_", " ")
        lines.append(f"✅ Successfully uploaded {item}: {name} ({done})")
    lines += [f"❌ Not uploaded: {failure.reason}" for failure in report.failures]
    told = kind.items_are_folders and not settings.no_status_files
    unwritten = report.count("status_files.unwritten") or report.count("status_files.foreign")
    if told and (imported or report.failures) and not unwritten:
        lines.append(f"📄 Created {'success' if imported else 'failed'}.json in {name}")
    lines.append(_RULE)
    if report.verification is not None:
        lines += render_verification(report.verification)
    if not report.exit_code:
        return [*lines, "✅ Upload completed successfully!"]
    return [*lines, "❌ Upload failed", *(f"  {command}" for command in report.next_commands)]
