"""The command `airtable-sync`: what it asks, and how it shows the result."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click

from imports.airtable.base import AirtableBase, limiter_for
from imports.airtable.checking import Checked, check
from imports.airtable.config import AirtableConfig
from imports.airtable.outcome import Action, Outcome, SyncReport
from imports.airtable.selection import Selection
from imports.airtable.syncing import plan, sync
from imports.backends.retry import RetryPolicy
from imports.errors import UsageError
from imports.run.display import Display
from imports.run.opening import connected
from imports.run.report_builder import EXIT_SOME_FAILED
from imports.settings import Settings

_log = logging.getLogger("imports.run")

MOST_SHOWN = 20
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_WORDS = {
    Action.CREATED: "created",
    Action.MADE_AGAIN: "created again, since it was deleted in Airtable",
    Action.UPDATED: "updated",
    Action.UNCHANGED: "unchanged",
    Action.SKIPPED: "skipped",
    Action.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What the command prints, as lines and as plain data, and its exit code."""

    lines: list[str]
    plain: dict[str, Any]
    exit_code: int


def duration(text: str) -> timedelta | None:
    """The time that a text such as `24h` means; None if it means none."""
    found = re.fullmatch(r"([0-9]{1,5})([mhd])", text)
    return None if found is None else timedelta(**{_UNITS[found[2]]: int(found[1])})


def check_base(settings: Settings, config: AirtableConfig) -> Result:
    """Compares the file with the base."""
    policy = RetryPolicy(settings.max_retries, max_wait=settings.max_wait, tell=click.echo)
    base = _base(settings, config, policy)
    with contextlib.closing(base):
        found = check(base)
    problems = [each for each in found if each.problem]
    lines = [f"Base {config.base}:", *map(_line, found)]
    lines.append(
        f"{len(problems)} of {len(found)} do not fit. Correct {settings.airtable_config}, or the"
        " base."
        if problems
        else f"{settings.airtable_config} fits the base."
    )
    code = EXIT_SOME_FAILED if problems else 0
    plain = {"base": config.base, "exit_code": code, "checked": [each._asdict() for each in found]}
    return Result(lines, plain, code)


def sync_base(
    settings: Settings,
    config: AirtableConfig,
    stop: threading.Event,
    display: Display,
    *,
    contacts: tuple[str, ...],
    since: str | None,
    everything: bool,
    force: bool,
    dry_run: bool,
) -> Result:
    """Syncs, or with `dry_run` shows what a sync would do."""
    selection = Selection(contacts, None if since is None else duration(since), everything)
    policy = RetryPolicy(settings.max_retries, stop, settings.max_wait, display.say)
    done = Counter[Action]()

    def tell(outcome: Outcome) -> None:
        done[outcome.action] += 1
        counts = ", ".join(f"{count:,} {action}" for action, count in done.items())
        display.mention(f"Airtable: {counts}")

    with contextlib.ExitStack() as resources:
        # Without a key, no target is opened.
        base = None if dry_run else _base(settings, config, policy)
        if base is not None:
            resources.callback(base.close)
        database = connected(settings, policy, display, resources).database
        if base is None:
            report = plan(database, config, selection, tell, force=force)
        else:
            report = sync(database, base, selection, tell, force=force)
    display.close()
    lines = report_lines(config, report, dry_run=dry_run)
    if not dry_run:
        for line in lines:
            _log.info("%s", line)
    code = EXIT_SOME_FAILED if report.failed else 0
    return Result(lines, as_plain(config, report, code, dry_run=dry_run), code)


def report_lines(config: AirtableConfig, report: SyncReport, *, dry_run: bool) -> list[str]:
    """The report as lines."""
    head = "Would be sent" if dry_run else "Sent"
    lines = [f"{head} to Airtable, base {config.base}, table {config.note_submission.table}:"]
    lines += [
        f"  {_notes(report.counts[action])} {words}"
        for action, words in _WORDS.items()
        if report.counts[action] and action not in (Action.SKIPPED, Action.FAILED)
    ]
    if len(lines) == 1:
        lines = ["Nothing to send to Airtable."]
    for reason, count in report.skipped.items():
        lines.append(f"Skipped: {_contacts(count)}: {reason}")
    if report.failed:
        lines.append(f"Failed: {_contacts(len(report.failed))}")
        lines += [f"  {_failure(each)}" for each in report.failed[:MOST_SHOWN]]
        if (more := len(report.failed) - MOST_SHOWN) > 0:
            lines.append(f"  … and {more:,} more (--json has all)")
    if dry_run and report.counts[Action.CREATED]:
        lines.append("Whether each contact has a member record is not known before the sync.")
    lines.append(f"Calls: {report.calls:,}; in this month {report.calls_this_month:,}")
    return lines


def as_plain(
    config: AirtableConfig, report: SyncReport, code: int, *, dry_run: bool
) -> dict[str, Any]:
    """The report as plain data, for programs."""
    return {
        "base": config.base,
        "table": config.note_submission.table,
        "dry_run": dry_run,
        "exit_code": code,
        **{action.value: report.counts[action] for action in Action},
        "skipped_because": dict(report.skipped),
        "failures": [
            {"contact_id": each.contact_id, "field": each.field, "reason": each.reason}
            for each in report.failed
        ],
        "calls": report.calls,
        "calls_this_month": report.calls_this_month,
    }


def _base(settings: Settings, config: AirtableConfig, policy: RetryPolicy) -> AirtableBase:
    if settings.airtable_api_key is None:
        raise UsageError(
            "AIRTABLE_API_KEY is not set. Create a personal access token at"
            " https://airtable.com/create/tokens, with the scopes data.records:read,"
            " data.records:write and schema.bases:read for the base, and set it in the environment"
            " or in .env."
        )
    key = settings.airtable_api_key.get_secret_value()
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise UsageError(
            "AIRTABLE_API_KEY has a space or another character that no key has. Copy it again."
        )
    return AirtableBase(config, key, policy, limiter_for(config, policy.stop))


def _line(each: Checked) -> str:
    ok = each.name if each.given != each.name else each.id
    return f"  {each.place:<45} {each.given}: {each.problem or ok}"


def _failure(each: Outcome) -> str:
    field = f" (field {each.field})" if each.field else ""
    return f"{each.contact_id}{field}: {each.reason}"


def _notes(count: int) -> str:
    return f"{count:,} note" if count == 1 else f"{count:,} notes"


def _contacts(count: int) -> str:
    return f"{count:,} contact" if count == 1 else f"{count:,} contacts"
