"""The models of an insight: what a file has, with the names of the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator

from imports.kinds.insights.insight import insight_in
from imports.kinds.insights.metadata import GENERATOR, LENGTHS


class ProcessingStatus(StrEnum):
    """How far an insight is."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    ARCHIVED = "archived"


class InsightMetadata(BaseModel):
    """Whom an insight is about, and what it was made from. Unknown values are kept.

    A `generated_at` without a zone is in UTC.
    """

    model_config = ConfigDict(extra="allow", validate_assignment=True)

    contact_id: str = Field(min_length=1, max_length=LENGTHS["contact_id"])
    eni_id: str | None = Field(default=None, max_length=LENGTHS["eni_id"])
    member_name: str | None = Field(default=None, max_length=LENGTHS["member_name"])
    eni_source_type: str | None = Field(default=None, max_length=LENGTHS["eni_source_type"])
    eni_source_subtype: str | None = Field(default=None, max_length=LENGTHS["eni_source_subtype"])
    eni_source_types: list[str] = []
    eni_source_subtypes: list[str] = []
    generator: str = Field(default=GENERATOR, max_length=LENGTHS["generator"])
    system_prompt_key: str | None = Field(default=None, max_length=LENGTHS["system_prompt_key"])
    context_files: str | None = None
    record_count: int = Field(default=1, ge=0)
    total_eni_ids: int = Field(default=1, ge=0)
    generated_at: datetime | None = None
    processing_status: ProcessingStatus = ProcessingStatus.COMPLETED
    version: int = Field(default=1, ge=1)
    additional_metadata: dict[str, Any] | None = None

    @field_validator("eni_source_types", "eni_source_subtypes", mode="before")
    @classmethod
    def _no_list_is_empty(cls, value: object) -> object:
        return [] if value is None else value

    @field_validator("generated_at")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class StructuredInsightContent(BaseModel):
    """The six sections, in Markdown. Other sections are kept. `three_i` is `3i` in JSON."""

    model_config = ConfigDict(extra="allow", validate_assignment=True, serialize_by_alias=True)

    personal: str | None = None
    business: str | None = None
    investing: str | None = None
    three_i: str | None = Field(
        default=None, validation_alias=AliasChoices("3i", "three_i"), serialization_alias="3i"
    )
    deals: str | None = None
    introductions: str | None = None


class StructuredInsight(BaseModel):
    """An insight: its metadata and its sections; of a stored one also its id and times."""

    id: UUID | None = None
    metadata: InsightMetadata
    insights: StructuredInsightContent
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """The insight in a document in any of the forms that an import reads.

        Raises:
            ValueError: if an import would refuse it; the message names each wrong value.
        """
        found = insight_in(document, Counter())
        if found.errors:
            raise ValueError("; ".join(found.errors))
        given = found.metadata
        metadata = InsightMetadata(
            contact_id=given.contact_id,
            eni_id=given.eni_id,
            member_name=given.member_name,
            eni_source_types=given.source_types,
            eni_source_subtypes=given.source_subtypes,
            generator=given.generator,
            system_prompt_key=given.system_prompt_key,
            context_files=given.context_files,
            record_count=given.record_count,
            total_eni_ids=given.total_eni_ids,
            generated_at=given.generated_at,
            processing_status=ProcessingStatus(given.processing_status or "completed"),
            additional_metadata=given.additional,
        )
        sections = {**found.content.others, **found.content.unread, **found.content.sections}
        return cls(metadata=metadata, insights=StructuredInsightContent(**sections))
