"""Cron starts the importer: a day of it, as the document has it."""

from __future__ import annotations

from pathlib import Path

from tests.soak.nights import Nights
from tests.soak.transcript import BEGIN, END
from tests.support.target import Target

DOCUMENT = Path(__file__).parents[2] / "docs" / "operating.md"


def test_a_day_under_cron_is_as_the_document_says(folder: Path, postgresql: Target) -> None:
    nights = Nights(folder / "machine", postgresql)
    nights.monday()
    _, written = DOCUMENT.read_text().split(BEGIN)
    assert nights.transcript.markdown() in written.split(END)[0]
