"""Commands of the earlier importer of recognitions, by their old names: `load`, `load-qwen`.

So a line in a crontab works when only the name of the program is changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imports.cli.commands.import_source import KindCommand
from imports.cli.group import cli
from imports.cli.options import FOLDER, setting_options
from imports.cli.running import exit_with, import_with, settings_from, tell_error
from imports.configuration.commands import Commands
from imports.kinds.wording import WORDINGS
from imports.run.streams import tell

if TYPE_CHECKING:
    from imports.kinds.kind import Kind
    from imports.settings import Settings

TAG = "recognitions"
"""The default tag: the earlier importer had no tags."""

_ANNOTATIONS = "annotations"
_HAS_ANNOTATIONS = _ANNOTATIONS in WORDINGS


def _load_command(kind: Kind) -> click.Command:
    """The import of recognitions, whose source is an option."""

    def load(source: Path | None, *, with_qwen: bool = False, **flags: Any) -> None:
        code = import_with(_settings(kind.name, source, flags))
        if with_qwen and code in (0, 3):
            code = _load_annotations(flags, code)
        exit_with(code)

    own = [click.Option(["--source"], type=FOLDER, help="The folder that is imported.")]
    if _HAS_ANNOTATIONS:
        text = "Then import qwen_annotations.json, too, from its usual places."
        own.append(click.Option(["--with-qwen"], is_flag=True, help=text))
    return click.Command("load", params=[*own, *_options(kind)], callback=load)


def _load_qwen_command(kind: Kind) -> click.Command:
    """The import of annotations, whose source is an option."""

    def load_qwen(source: Path | None, **flags: Any) -> None:
        exit_with(import_with(_settings(kind.name, source, flags)))

    own = click.Option(["--file", "source"], type=FOLDER, help="The file that is imported.")
    return click.Command("load-qwen", params=[own, *_options(kind)], callback=load_qwen)


def _options(kind: Kind) -> list[click.Parameter]:
    options = setting_options(kind.takes)
    for each in options:
        if isinstance(each, click.Option) and each.name == "tag":
            each.help = f"The dataset's tag.  [default: {TAG}]"
    return options


def _settings(kind: str, source: Path | None, flags: dict[str, Any]) -> Settings:
    settings = settings_from(kind, source=source, **flags)
    return settings if settings.tag is not None else replace(settings, tag=TAG)


def _load_annotations(flags: dict[str, Any], loaded: int) -> int:
    """Imports the annotations after recognitions, whose exit code is `loaded`.

    A failure is only a warning; the exit code is different only if the user stopped it.
    """
    from imports.errors import ImporterError, InterruptedRunError
    from imports.settings import OPTIONS

    # Options such as --limit are for the recognitions.
    common = {
        name: value for name, value in flags.items() if OPTIONS[name].commands & Commands.RESUME
    }
    try:
        code = import_with(_settings(_ANNOTATIONS, None, {**common, "tag": flags["tag"]}))
    except ImporterError as error:
        tell_error(error)
        code = error.exit_code
    if code == InterruptedRunError.exit_code:
        return code
    if code:
        text = "⚠️  The recognitions are imported, but not all annotations. To repeat only these:"
        tell(f"{text} load-qwen", sys.stderr)
    return loaded


def _add(name: str, kind: str, make: Callable[[Kind], click.Command]) -> None:
    summary = f"The same as `{kind}`, by the name and with the options of the earlier importer."
    cli.add_command(KindCommand(name, summary, kind, make))


_add("load", "recognitions", _load_command)
if _HAS_ANNOTATIONS:
    _add("load-qwen", _ANNOTATIONS, _load_qwen_command)
