"""Stand-in until the models of the kind are merged."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class ProcessingStatus(StrEnum):
    """The status of an insight."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    ARCHIVED = "archived"


class StructuredInsightContent(BaseModel):
    """The sections."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)
    personal: str | None = None
    business: str | None = None
    investing: str | None = None
    three_i: str | None = Field(None, alias="3i")
    deals: str | None = None
    introductions: str | None = None


class InsightMetadata(BaseModel):
    """The metadata."""

    contact_id: str = Field(min_length=1, max_length=50)
    eni_id: str | None = Field(None, max_length=100)
    member_name: str | None = None
    eni_source_type: str | None = None
    eni_source_subtype: str | None = None
    eni_source_types: list[str] | None = None
    eni_source_subtypes: list[str] | None = None
    generator: str = "structured_insight"
    system_prompt_key: str | None = None
    context_files: str | None = None
    record_count: int = 1
    total_eni_ids: int = 1
    generated_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    processing_status: ProcessingStatus = ProcessingStatus.COMPLETED
    version: int = 1
    additional_metadata: dict[str, Any] | None = None


class StructuredInsight(BaseModel):
    """An insight."""

    id: UUID | None = None
    metadata: InsightMetadata
    insights: StructuredInsightContent
    created_at: datetime | None = None
    updated_at: datetime | None = None


def validate_structured_insight_json(data: Any) -> tuple[bool, list[str]]:
    """Whether it is valid."""
    from collections import Counter

    from imports.kinds.insights.insight import insight_in

    if not isinstance(data, dict):
        return False, ["not an object"]
    errors = insight_in(data, Counter()).errors
    return not errors, errors
