"""The words for each kind in help and messages. Separate, so that `--help` imports no kind."""

from __future__ import annotations

from typing import NamedTuple


class Wording(NamedTuple):
    """The words for a kind.

    `summary` and `details` are the help of its command. `item` is its work item ("file").
    `items_sought` and `condition` are parts of "No JSON files found: nothing below … is called …".
    `source_option` is an option for the source in place of the argument. `single_command` is a
    separate command for a single work item. `group` is the word for items of one group, if the
    kind has groups ("search").
    """

    summary: str
    item: str
    items_sought: str
    condition: str
    source_option: str | None = None
    single_command: str | None = None
    details: str = ""
    group: str = "group"

    @property
    def items(self) -> str:
        """Its work items, in the plural."""
        return f"{self.item}s"


WORDINGS = {
    "states": Wording(
        summary="Import pharmacy licences searched on state boards: DIR/**/*_parse.json.",
        item="file",
        items_sought="JSON files",
        condition="is called",
        source_option="--states-dir",
        group="search",
    ),
    "folders": Wording(
        summary="Import device tests: folders below DIR that hold images or a stats.json.",
        item="folder",
        items_sought="folders",
        condition="holds",
        single_command="folder",
    ),
    "people": Wording(
        summary="Import people, and delete each imported file: DIR/**/*.json.",
        item="file",
        items_sought="JSON files",
        condition="is called",
        details="The files are pages of search results. Each is deleted after it is imported; if a"
        " part of it failed, it is moved to failed_uploads, beside DIR. To keep all files:"
        " --on-success keep --on-failure keep. To see first how many a run would delete:"
        " --scan-only.",
    ),
    "recognitions": Wording(
        summary="Import recognitions of meals: folders recognition_<number> with two photos each.",
        item="recognition",
        items_sought="recognitions",
        condition="is a folder recognition_<number> with",
        details="The folders are in DIR, or in folders export_* in it. With the photos come the"
        " menu (*_AM.json) and the receipt (*_correct_dishes.json). Recognitions that the target"
        " has already are skipped, whoever imported them; --force replaces them.",
    ),
    "insights": Wording(
        summary="Import insights about members, one row of each contact: DIR/*.json.",
        item="file",
        items_sought="JSON files",
        condition="is called",
        group="contact",
        details="A file is one source group of a contact. The row of a contact is computed from all"
        " its files, so neither their order nor a repeat changes it. Files in folders below DIR are"
        " not read.",
    ),
}
"""The wording of every kind, by name."""
