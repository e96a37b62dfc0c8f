"""A single work item, imported by a command of its own, and what that tells on the way.

The lines follow the script `quick_upload.py` of the document "Advanced Supabase Upload System".
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from imports.errors import RecordError, UsageError
from imports.kinds.kind import Kind
from imports.ledger import LedgerFile, RunLedger
from imports.report import RunReport, render_verification
from imports.run.report import EXIT_SOME_FAILED
from imports.settings import Settings
from imports.status import last_ledger
from imports.work_item import Source

_RULE = "=" * 50
_DEFAULT_TAG = "default"


def settings_for(kind: Kind, path: Path, settings: Settings) -> Settings:
    """The settings that import the item at `path` as a part of the source that it belongs to.

    Where nothing is said, that is the source, and the tag, of the last import that had it; of
    one that no import had, the folder around it, with the tag `default`. The work state is one
    of its own, so that a larger run that waits to be resumed is left alone.

    Raises:
        UsageError: if it cannot be told what it is a part of.
    """
    place = path.resolve()
    if (ledger_file := last_ledger(settings)) != settings.ledger_file:
        settings = settings.model_copy(update={"db_path": ledger_file})
    source, tag = settings.source, settings.tag
    if source is None or tag is None:
        known = _known_source(kind, place, settings)
        if known is not None:
            source, tag = source or known[0], tag or known[1]
    if settings.state_file == Settings.model_fields["state_file"].default:
        own = settings.state_file.with_name(f"work_state.{kind.wording.single_command}.json")
        settings = settings.model_copy(update={"state_file": own})
    return settings.model_copy(
        update={
            "single_file": path,
            "source": source or place.parent,
            "tag": tag or _DEFAULT_TAG,
            "restart": True,
        }
    )


def _known_source(kind: Kind, place: Path, settings: Settings) -> tuple[Path, str] | None:
    """The source and the tag of the last import of this kind whose source has this place."""
    if not settings.ledger_file.exists():
        return None
    ledger = LedgerFile(settings.ledger_file)
    try:
        scopes = RunLedger(ledger).scopes(kind.name)
    finally:
        ledger.close()
    fitting = [
        (source, tag)
        for source, tag in scopes
        if place.is_relative_to(source)
        and settings.tag in (None, tag)
        and (settings.source is None or settings.source.resolve() == Path(source))
    ]
    tags = {tag for _, tag in fitting}
    if len(tags) > 1:
        raise UsageError(
            f"{place} was imported with more than one tag ({', '.join(sorted(tags))}): choose"
            " with --tag."
        )
    if not fitting:
        return None
    source, tag = max(fitting, key=lambda each: len(each[0]))
    return Path(source), tag


def tell_beginning(kind: Kind, settings: Settings) -> list[str]:
    """What is about to be imported. A problem with it is told by the import itself."""
    lines = ["🚀 Quick Upload", _RULE]
    if settings.single_file is None or settings.source is None:
        return lines
    source = Source(str(settings.source.resolve()), settings.patterns or kind.patterns)
    place = settings.single_file.resolve()
    path = os.path.relpath(place, source.folder)
    try:
        content = kind.read(source, path, kind.sign(str(place), source.patterns), Counter())
    except (OSError, RecordError):
        return lines
    return [*lines, *kind.story(content)]


def tell_end(kind: Kind, settings: Settings, report: RunReport) -> list[str]:
    """What became of it."""
    item = kind.wording.item
    name = settings.single_file.resolve().name if settings.single_file else ""
    lines = ["🚀 Executed database insert" if report.count("planning.to_import") else ""]
    lines += [f"⚠️  {text}" for _, text in report.warnings]
    imported = not report.failures and report.exit_code in (0, EXIT_SOME_FAILED)
    if imported:
        done = next(
            (each for each in ("inserted", "updated") if report.count(f"import.{each}")),
            "unchanged",
        )
        lines.append(f"✅ Successfully uploaded {item}: {name} ({done})")
    lines += [f"❌ {failure.reason}" for failure in report.failures]
    told = kind.items_are_folders and not settings.no_status_files
    if told and (imported or report.failures) and not report.count("status_files.unwritten"):
        lines.append(f"📄 Created {'success' if imported else 'failed'}.json in {name}")
    lines.append(_RULE)
    if report.verification is not None:
        lines += render_verification(report.verification)
    if not report.exit_code:
        return [*lines, "✅ Upload completed successfully!"]
    return [*lines, "❌ Upload failed", *(f"  {command}" for command in report.next_commands)]
