"""The commands of the kinds: they import a source or a single item."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from imports.cli.commands.status import show_status_of
from imports.cli.group import EXIT_CODES, cli
from imports.cli.options import FOLDER, setting_options
from imports.cli.running import (
    exit_with,
    given,
    import_with,
    run_import,
    settings_from,
)
from imports.configuration.commands import Commands
from imports.display_text import shown, shown_lines
from imports.kinds import kind_named
from imports.kinds.wording import WORDINGS
from imports.run.streams import tell

if TYPE_CHECKING:
    from imports.kinds.kind import Kind
    from imports.settings import Settings


class _KindCommand(click.Command):
    """A command for a kind. It imports the kind's module on first use.

    Its first argument may be the name of one of its `subcommands`. A source of that name is
    `./name`.
    """

    def __init__(
        self, name: str, summary: str, kind: str, make: Callable[[Kind], click.Command]
    ) -> None:
        super().__init__(name, help=summary, epilog=EXIT_CODES)
        self._kind = kind
        self._make = make
        self.subcommands: dict[str, click.Command] = {}

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        if args and args[0] in self.subcommands:
            chosen = self.subcommands[args[0]]
            return chosen.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(context, formatter)
        if self.subcommands:
            with formatter.section("Commands, in place of DIR"):
                formatter.write_dl(
                    [(name, each.get_short_help_str(80)) for name, each in self.subcommands.items()]
                )

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        """All its options."""
        if self.callback is None:
            made = self._make(kind_named(self._kind))
            self.params, self.callback = made.params, made.callback
        return super().get_params(context)


_INSTEAD = (
    (["--dry-run"], "Read and check every item, list what is wrong, and write nothing."),
    (["--json", "as_json"], "With --dry-run: print JSON, an object in each line."),
    (["--status", "show_status"], "Show the status, and do nothing else."),
)
"""Flags of what the command does instead of an import."""


def _check_source(kind: Kind, source: Path | None, flags: dict[str, Any], *, as_json: bool) -> None:
    """Checks every item of a source, and prints what is wrong."""
    from imports.cli.dry_run import show_checked
    from imports.loading import read_settings

    # The target is not asked, so it need not be configured.
    settings = read_settings(kind=kind.name, source=source, **{"tag": "-", **given(flags)})
    output = sys.stderr if as_json else sys.stdout
    exit_with(show_checked(_with_source(settings, kind, output), as_json=as_json))


def _source_command(kind: Kind) -> click.Command:
    """The command that imports a source of a kind."""
    wording = kind.wording

    def import_source(
        source: Path | None,
        show_status: bool,
        dry_run: bool,
        as_json: bool,
        same_source: Path | None = None,
        **flags: Any,
    ) -> None:
        if source is not None and same_source is not None and source != same_source:
            raise click.UsageError(f"DIR and {wording.source_option} name different folders.")
        if as_json and not dry_run:
            raise click.UsageError("--json needs --dry-run.")
        if dry_run:
            _check_source(kind, source or same_source, flags, as_json=as_json)
        elif show_status:
            show_status_of(flags, kind.name, flags["tag"], as_json=False)
        else:
            settings = settings_from(kind.name, source=source or same_source, **flags)
            exit_with(import_with(_with_source(settings, kind, sys.stdout)))

    metavar = "[FILE|DIR]" if wording.source_is_file else "[DIR]"
    params: list[click.Parameter] = [
        click.Argument(["source"], required=False, type=FOLDER, metavar=metavar)
    ]
    if wording.source_option is not None:
        same = [wording.source_option, "same_source"]
        params.append(click.Option(same, type=FOLDER, help="The same as DIR."))
    params += setting_options(kind.takes)
    # After --scan-only, which imports nothing either.
    place = next(place for place, each in enumerate(params) if each.name == "scan_only") + 1
    params[place:place] = [click.Option(each, is_flag=True, help=text) for each, text in _INSTEAD]
    return click.Command(kind.name, params=params, callback=import_source)


def _with_source(settings: Settings, kind: Kind, output: TextIO) -> Settings:
    """The settings with a source: if none is named, that of a usual place, which is printed."""
    from imports.run.source import usual_source

    if settings.source is not None or settings.single_file is not None:
        return settings
    found = usual_source(kind.wording)
    if found is None:
        return settings
    tell(shown(f"Source: {found}, since none was named"), output)
    return replace(settings, source=found)


def _single_command(kind: Kind) -> click.Command:
    """The command that imports a single work item of a kind."""

    def import_single(path: Path, **flags: Any) -> None:
        _import_single(kind, path, flags)

    text = f"The source that the {kind.wording.item} is part of."
    own = [
        click.Argument(["path"], type=FOLDER),
        click.Option(["--source"], type=FOLDER, help=text),
    ]
    params = [*own, *setting_options(Commands.ITEM)]
    return click.Command(kind.wording.single_command, params=params, callback=import_single)


def _import_single(kind: Kind, path: Path, flags: dict[str, Any]) -> None:
    """Imports a single work item, and prints its story and its outcome."""
    from imports.cli.import_single import settings_for, tell_beginning, tell_end

    settings = settings_for(kind, path, settings_from(kind.name, **flags))
    tell(shown_lines(tell_beginning(kind, settings)), sys.stdout)
    exit_with(run_import(settings, lambda report: shown_lines(tell_end(kind, settings, report))))


def add_subcommand(kind: str, command: click.Command) -> None:
    """Adds a command below that of a kind: its first argument in place of a source."""
    found = cli.commands[kind]
    if not isinstance(found, _KindCommand) or command.name is None:
        raise TypeError(f"{kind} is no command of a kind, or its new command has no name")
    found.subcommands[command.name] = command


for _name, _wording in WORDINGS.items():
    _help = f"{_wording.summary}\n\n{_wording.details}".rstrip()
    cli.add_command(_KindCommand(_name, _help, _name, _source_command))
    if _wording.single_command is not None:
        _summary = f"Import a single {_wording.item}, even if it was imported before."
        cli.add_command(_KindCommand(_wording.single_command, _summary, _name, _single_command))
