"""Insights for Python: their models, and the check of their JSON.

An import does not import this package: pydantic takes longer to load than a small run needs.
"""

from __future__ import annotations

from imports.insights.models import (
    InsightMetadata,
    ProcessingStatus,
    StructuredInsight,
    StructuredInsightContent,
)
from imports.insights.validation import validate_structured_insight_json

__all__ = [
    "InsightMetadata",
    "ProcessingStatus",
    "StructuredInsight",
    "StructuredInsightContent",
    "validate_structured_insight_json",
]
