"""What became of the contacts in a batch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


class ProcessingState:
    """The contacts that were processed, those among them that are new, and those that failed."""

    def __init__(self) -> None:
        """Begins now."""
        self.processed_contact_ids: set[str] = set()
        self.failed_contact_ids: set[str] = set()
        self.created_insights: list[str] = []
        self.updated_insights: list[str] = []
        self.errors: dict[str, str] = {}
        self.start_time = datetime.now(UTC)
        self.end_time: datetime | None = None

    def mark_processed(self, contact_id: str, was_created: bool) -> None:
        """Records a contact whose insight is stored."""
        self.processed_contact_ids.add(contact_id)
        (self.created_insights if was_created else self.updated_insights).append(contact_id)

    def mark_failed(self, contact_id: str, error: str) -> None:
        """Records a contact, or another name of an insight, with the reason of its failure."""
        self.failed_contact_ids.add(contact_id)
        self.errors[contact_id] = error

    def finalize(self) -> None:
        """Ends now."""
        self.end_time = datetime.now(UTC)

    def get_summary(self) -> dict[str, Any]:
        """The numbers, the duration (None before the end), and the errors by contact."""
        duration = None
        if self.end_time is not None:
            duration = (self.end_time - self.start_time).total_seconds()
        return {
            "total_processed": len(self.processed_contact_ids),
            "created": len(self.created_insights),
            "updated": len(self.updated_insights),
            "failed": len(self.failed_contact_ids),
            "duration_seconds": duration,
            "errors": self.errors,
        }
