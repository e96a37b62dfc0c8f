"""How the kinds are spoken of. Apart from them, so that `--help` need not import any."""

from __future__ import annotations

from typing import NamedTuple


class Wording(NamedTuple):
    """How a kind is spoken of.

    `summary` is the help of its command, `details` what else it says. `item` is its work item
    ("file"); `items_sought` and `condition` say what was looked for: "No JSON files found: nothing
    below … is called …". `source_option` is another name for the source's argument,
    `single_command` a command of its own for a single work item. `group` is what the items of one
    group are together, where the kind has groups ("search").
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
        details="The files are pages of search results. Each is deleted once it is imported; one of"
        " which something failed is moved to failed_uploads, beside DIR. To keep them all:"
        " --on-success keep --on-failure keep. To see first how many a run would delete:"
        " --scan-only.",
    ),
}
"""The wording of every kind, by its name."""
