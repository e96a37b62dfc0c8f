"""What Python programs use of stored insights: a client, a processor, a migration of files."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imports.airtable.compat import (
        StructuredInsightsAirtableWriter,
        SupabaseAirtableSync,
        SyncResult,
    )
    from imports.insights.client import SupabaseInsightsClient, create_supabase_client
    from imports.insights.errors import (
        SupabaseConnectionError,
        SupabaseOperationError,
        retry_on_failure,
    )
    from imports.insights.memory import MemoryManager
    from imports.insights.migration import MigrationManager
    from imports.insights.models import (
        InsightMetadata,
        ProcessingStatus,
        StructuredInsight,
        StructuredInsightContent,
    )
    from imports.insights.processor import SupabaseInsightsProcessor
    from imports.insights.rows import FoundInsight
    from imports.insights.state import ProcessingState
    from imports.insights.validation import validate_structured_insight_json

__all__ = [
    "FoundInsight",
    "InsightMetadata",
    "MemoryManager",
    "MigrationManager",
    "ProcessingState",
    "ProcessingStatus",
    "StructuredInsight",
    "StructuredInsightContent",
    "StructuredInsightsAirtableWriter",
    "SupabaseAirtableSync",
    "SupabaseConnectionError",
    "SupabaseInsightsClient",
    "SupabaseInsightsProcessor",
    "SupabaseOperationError",
    "SyncResult",
    "create_supabase_client",
    "retry_on_failure",
    "validate_structured_insight_json",
]

_MODULES = {
    "imports.airtable.compat": (
        "StructuredInsightsAirtableWriter",
        "SupabaseAirtableSync",
        "SyncResult",
    ),
    "imports.insights.client": ("SupabaseInsightsClient", "create_supabase_client"),
    "imports.insights.errors": (
        "SupabaseConnectionError",
        "SupabaseOperationError",
        "retry_on_failure",
    ),
    "imports.insights.memory": ("MemoryManager",),
    "imports.insights.migration": ("MigrationManager",),
    "imports.insights.processor": ("SupabaseInsightsProcessor",),
    "imports.insights.rows": ("FoundInsight",),
    "imports.insights.state": ("ProcessingState",),
    "imports.insights.models": (
        "InsightMetadata",
        "ProcessingStatus",
        "StructuredInsight",
        "StructuredInsightContent",
    ),
    "imports.insights.validation": ("validate_structured_insight_json",),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    # On demand: importing pydantic takes longer than a small run.
    if name not in _PLACES:
        raise AttributeError(f"module 'imports.insights' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
