"""Commands of the earlier importer of recognitions, by their old names: `load`, `load-qwen`.

So a line in a crontab works when only the name of the program is changed.
"""

from __future__ import annotations

import sys
from copy import copy
from typing import Any

import click

from imports.cli.group import EXIT_CODES, cli
from imports.cli.options import FOLDER
from imports.cli.running import exit_with, tell_error
from imports.configuration.commands import Commands
from imports.run.streams import tell

TAG = "recognitions"
"""The default tag: the earlier importer had no tags."""

_ANNOTATIONS = "annotations"


class _EarlierCommand(click.Command):
    """A command by an earlier name: its source is an option, and its tag has a default."""

    def __init__(self, name: str, of: str, source_option: str, *own: click.Option) -> None:
        text = f"The same as `{of}`, by the name and with the options of the earlier importer."
        super().__init__(name, help=text, epilog=EXIT_CODES)
        self._of = of
        self._source_option = source_option
        self._own = own

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        """All its options."""
        if self.callback is None:
            text = "What is imported."
            source = click.Option([self._source_option, "source"], type=FOLDER, help=text)
            others = _command(self._of, context).params
            options = [copy(each) for each in others if isinstance(each, click.Option)]
            for each in options:
                if each.name == "tag":
                    each.help = f"The dataset's tag.  [default: {TAG}]"
            self.params = [source, *self._own, *options]
            self.callback = self._import
        return super().get_params(context)

    def _import(self, *, with_qwen: bool = False, **flags: Any) -> None:
        from imports.run.report_builder import EXIT_SOME_FAILED

        context = click.get_current_context()
        flags = {**flags, "tag": _tag(flags)}
        code = _run(context, self._of, flags)
        imported = code in (0, EXIT_SOME_FAILED) and not any(
            flags[name] for name in ("show_status", "scan_only", "dry_run")
        )
        if with_qwen and imported:
            code = _load_annotations(context, flags) or code
        exit_with(code)


def _run(context: click.Context, name: str, flags: dict[str, Any]) -> int:
    """Runs a command; its exit code."""
    try:
        context.invoke(_command(name, context), **flags)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    return 0


def _command(name: str, context: click.Context) -> click.Command:
    """The command of a kind, with its options."""
    found = cli.commands[name]
    found.get_params(context)
    return found


def _tag(flags: dict[str, Any]) -> str:
    """The tag by flag, variable or .env file; else the default."""
    from imports.loading import read_settings

    if flags["tag"] is not None:
        return str(flags["tag"])
    return read_settings(production=flags["production"], staging=flags["staging"]).tag or TAG


def _load_annotations(context: click.Context, flags: dict[str, Any]) -> int:
    """Imports the annotations from their usual places.

    A failure is only a warning: the result is 0, unless the user stopped it.
    """
    from imports.errors import ImporterError, InterruptedRunError
    from imports.settings import OPTIONS

    # Options such as --limit are for the recognitions.
    common = {
        name: value
        for name, value in flags.items()
        if name == "tag" or (name in OPTIONS and OPTIONS[name].commands & Commands.RESUME)
    }
    try:
        code = _run(context, _ANNOTATIONS, common)
    except ImporterError as error:
        tell_error(error)
        code = error.exit_code
    if code == InterruptedRunError.exit_code:
        return code
    if code:
        text = "⚠️  The recognitions are imported, but not all annotations. To import these, repeat"
        tell(f"{text} `load-qwen`.", sys.stderr)
    return 0


_with_qwen = click.Option(
    ["--with-qwen"],
    is_flag=True,
    help="Then import qwen_annotations.json, too, from its usual places.",
)
cli.add_command(_EarlierCommand("load", "recognitions", "--source", _with_qwen))
cli.add_command(_EarlierCommand("load-qwen", _ANNOTATIONS, "--file"))
