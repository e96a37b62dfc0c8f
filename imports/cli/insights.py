"""The output of the commands below `insights`."""

from __future__ import annotations

from pathlib import Path

from imports.backends.target import check_database
from imports.cli.printing import print_json, print_out
from imports.display_text import shown, shown_lines
from imports.errors import ImporterError, UsageError
from imports.files.file_error import about_file
from imports.insights.client import SupabaseInsightsClient
from imports.insights.export import as_markdown, export_insights
from imports.settings import Settings


def show_contact(settings: Settings, contact: str, *, as_json: bool) -> None:
    """Prints the insight of a contact.

    Raises:
        UsageError: if no contact can have this id.
        ImporterError: if there is none.
    """
    with _client(settings) as client:
        try:
            found = client.get_insight_by_contact_id(contact)
        except ValueError as error:
            raise UsageError(f"{error}.") from error
        location = client.target.location
    if found is None:
        raise ImporterError(f"There is no insight of {contact} in {location}.")
    if as_json:
        print_json(found.model_dump(mode="json", by_alias=True), indented=True)
    else:
        print_out(shown_lines(as_markdown(found).rstrip("\n").split("\n")))


def search_text(settings: Settings, text: str, limit: int, *, as_json: bool) -> None:
    """Prints the insights in which a text is found; as JSON, an object in each line."""
    with _client(settings) as client:
        found = client.search_insights(text, limit=limit)
    for each in found:
        if as_json:
            print_json(each.model_dump(mode="json", by_alias=True))
            continue
        name = f" {each.metadata.member_name}" if each.metadata.member_name else ""
        print_out(shown(f"{each.metadata.contact_id}{name}: {each.excerpt}"))
    if not found and not as_json:
        print_out("Nothing was found.")


def export_all(settings: Settings, folder: Path) -> None:
    """Writes the files of all contacts.

    Raises:
        UsageError, DiskError: if one cannot be written.
    """
    try:
        with _client(settings) as client:
            contacts = export_insights(client, folder)
    except OSError as error:
        place = error.filename2 or error.filename or folder
        raise about_file(f"{place} cannot be written", error) from error
    print_out(shown(f"{contacts:,} contacts exported to {folder}, two files of each."))


def _client(settings: Settings) -> SupabaseInsightsClient:
    check_database(settings)
    return SupabaseInsightsClient(settings=settings)
