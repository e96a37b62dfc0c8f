"""The source of a run: its folder, and the files in it that do not belong to it."""

from __future__ import annotations

from pathlib import Path

from imports.errors import UsageError
from imports.items.source import Source, folder_prefix
from imports.kinds.kind import Kind
from imports.kinds.wording import Wording
from imports.run.logs import DEBUG_LOG_NAME, LOG_NAME
from imports.settings import OPTIONS, Settings
from imports.source.image_finder import image_finder
from imports.source.tree import is_utf8, printable


def find_source(settings: Settings, kind: Kind) -> tuple[Path, str | None]:
    """The source, a folder or a file, and the path of the single item in it, if there is one.

    Raises:
        UsageError: if the source is missing or cannot be used.
    """
    if settings.tag is None:
        raise UsageError("The dataset's tag is missing: name it with --tag.")
    single = settings.single_file
    if single is not None and not (single.is_dir() if kind.items_are_folders else single.is_file()):
        raise UsageError(f"{single}: there is no such {kind.wording.item}.")
    if settings.source is None:
        if single is None:
            raise UsageError(_missing_source(kind))
        folder = single.resolve().parent
    else:
        folder = _named_source(settings.source, kind.wording)
    own = (settings.state_file.resolve(), settings.ledger_file.resolve())
    for each in (folder, single, *own):
        if each is not None and not is_utf8(str(each)):
            raise UsageError(f"{printable(str(each))}: its name is not valid UTF-8; rename it.")
    if single is None:
        return folder, None
    if folder.is_file():
        folder = folder.parent
    if not single.resolve().is_relative_to(folder):
        raise UsageError(f"{single} is not below the source {folder}.")
    return folder, single.resolve().relative_to(folder).as_posix()


def usual_source(wording: Wording) -> Path | None:
    """The source that is taken if the user names none: from the first usual place that has it."""
    if wording.usual_name is None:
        return None
    folders = (Path(), Path.home() / "Downloads", Path.home())
    is_one = Path.is_file if wording.source_is_file else Path.is_dir
    return next(filter(is_one, [folder / wording.usual_name for folder in folders]), None)


def _named_source(named: Path, wording: Wording) -> Path:
    place = named.resolve()
    if wording.source_is_file and not place.exists():
        raise UsageError(f"The source {named} does not exist.")
    if not (place.is_dir() or (wording.source_is_file and place.is_file())):
        file = " or a file" if wording.source_is_file else ""
        raise UsageError(f"The source {named} is not a folder{file}.")
    return place


def _missing_source(kind: Kind) -> str:
    wording = kind.wording
    option, command = wording.source_option, wording.single_command
    what = "file" if wording.source_is_file else "folder"
    folder = f"name its {what}{f' ({option})' if option else ''}"
    single = f"use the command `{command}`" if command else "name one --single-file"
    usual = ""
    if wording.usual_name is not None:
        usual = f" There is no {wording.usual_name} in the working folder, in ~/Downloads or in ~."
    return f"The source is missing: {folder}, or {single}.{usual}"


def source_of(settings: Settings, kind: Kind, folder: Path) -> Source:
    """A folder as the source of a run, without the run's own files."""
    state, ledger = settings.state_file, settings.ledger_file
    stem = state.stem.removesuffix(f".{kind.wording.single_command}")
    own = [
        (state, (state.name, f"{stem}.", f".{stem}.", DEBUG_LOG_NAME, LOG_NAME)),
        (ledger, (ledger.name,)),
        (settings.data_folder, (settings.data_folder.name,)),
    ]
    left_out: dict[str, tuple[str, ...]] = {}
    for place, names in own:
        home = place.resolve().parent
        if home.is_relative_to(folder):
            path = home.relative_to(folder).as_posix()
            prefix = folder_prefix(path)
            left_out[prefix] = left_out.get(prefix, ()) + names
    apart = frozenset(
        folder_prefix(place.resolve().relative_to(folder).as_posix())
        for place in (settings.failed_dir, settings.done_dir, settings.backup_dir)
        if place is not None and folder in place.resolve().parents
    )
    return Source(
        str(folder),
        settings.patterns or kind.patterns,
        left_out,
        apart,
        roots=image_finder(folder, settings.image_roots).roots,
        is_file=folder.is_file(),
        # Files are only deleted in the folder that the user named.
        follows_links=not kind.consumes_source,
        options={
            name: value
            for name, option in OPTIONS.items()
            if option.commands & kind.row_options and (value := getattr(settings, name)) is not None
        },
    )
