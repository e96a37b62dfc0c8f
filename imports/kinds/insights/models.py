"""The models of an insight, for Python programs. An import does without pydantic."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from imports.kinds.insights.insight import insight_in
from imports.kinds.insights.metadata import GENERATOR, LENGTHS
from imports.source.cleaning import json_type

_CITATION = re.compile(r"\[([^,\[\]]+),([^,\[\]]+)[^\[\]]*\]")


class ProcessingStatus(StrEnum):
    """The status of an insight."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    ARCHIVED = "archived"


def _in_utc(moment: datetime) -> datetime:
    """A time without a zone is in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


_Moment = Annotated[datetime, AfterValidator(_in_utc)]
_Count = Annotated[int, Field(ge=0, lt=2**31)]


def _text(name: str) -> Any:
    return Field(None, max_length=LENGTHS[name])


class StructuredInsightContent(BaseModel):
    """The sections, Markdown texts, and any other values. `three_i` is `3i` in JSON."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, validate_assignment=True)

    personal: str | None = None
    business: str | None = None
    investing: str | None = None
    three_i: str | None = Field(None, alias="3i")
    deals: str | None = None
    introductions: str | None = None

    @staticmethod
    def extract_citations(text: str | None) -> list[tuple[str, str]]:
        """The citations in a text, each as its date, or N/A, and the id that it cites."""
        return [(date.strip(), id_.strip()) for date, id_ in _CITATION.findall(text or "")]


class InsightMetadata(BaseModel):
    """Whose insight it is, and what it was made from."""

    model_config = ConfigDict(validate_assignment=True)

    contact_id: str = Field(min_length=1, max_length=LENGTHS["contact_id"])
    eni_id: str | None = _text("eni_id")
    member_name: str | None = _text("member_name")
    eni_source_type: str | None = _text("eni_source_type")
    eni_source_subtype: str | None = _text("eni_source_subtype")
    eni_source_types: list[str] | None = None
    eni_source_subtypes: list[str] | None = None
    generator: str = Field(GENERATOR, max_length=LENGTHS["generator"])
    system_prompt_key: str | None = _text("system_prompt_key")
    context_files: str | None = None
    record_count: _Count = 1
    total_eni_ids: _Count = 1
    generated_at: _Moment = Field(default_factory=lambda: datetime.now(UTC))
    processing_status: ProcessingStatus = ProcessingStatus.COMPLETED
    version: _Count = 1
    additional_metadata: dict[str, Any] | None = None


class StructuredInsight(BaseModel):
    """An insight; `id` and times are set if it is stored."""

    id: UUID | None = None
    metadata: InsightMetadata
    insights: StructuredInsightContent
    created_at: _Moment | None = None
    updated_at: _Moment | None = None


def validate_structured_insight_json(data: Any) -> tuple[bool, list[str]]:
    """Whether a document can be imported, and what is wrong; each text begins with the field."""
    if not isinstance(data, Mapping):
        return False, [f"the document is {json_type(data)}, not an object"]
    errors = insight_in(data, Counter()).errors
    return not errors, errors
