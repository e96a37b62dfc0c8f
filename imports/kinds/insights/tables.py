"""The tables that insights fill; the rows of contacts are derived from them.

A contact has one row, whatever the tag: the tables are those of the system in use, which have no
column for one.
"""

from __future__ import annotations

from imports.tables.table import (
    BATCH_ID,
    Column,
    Derivation,
    Keep,
    Table,
    TableGroup,
    UpdateIfNewer,
)

_GROUP = (
    Column("contact_id", "text", nullable=False),
    Column("generator", "text", nullable=False),
    Column("eni_id", "text", nullable=False),
)
"""The identity of a source group."""

INSIGHT_SOURCES = Table(
    name="elvis__insight_sources",
    columns=(
        *_GROUP,
        Column("precedence", "text", nullable=False),
        Column("content_hash", "text", nullable=False),
        Column("member_name", "text"),
        Column("eni_source_types", "text[]"),
        Column("eni_source_subtypes", "text[]"),
        Column("system_prompt_key", "text"),
        Column("context_files", "text"),
        Column("record_count", "integer"),
        Column("total_eni_ids", "integer"),
        Column("generated_at", "timestamptz"),
        Column("processing_status", "text"),
        Column("personal", "text"),
        Column("business", "text"),
        Column("investing", "text"),
        Column("three_i", "text"),
        Column("deals", "text"),
        Column("introductions", "text"),
        Column("others", "jsonb"),
        Column("unread", "jsonb"),
        Column("outlines", "jsonb"),
        Column("additional_metadata", "jsonb"),
    ),
    key=("contact_id", "generator", "eni_id"),
    on_conflict=UpdateIfNewer("precedence"),
    run_columns=(BATCH_ID,),
)

INSIGHT_DELIVERIES = Table(
    name="elvis__insight_deliveries",
    columns=(
        *_GROUP,
        Column("content_hash", "text", nullable=False),
        Column("generated_at", "timestamptz"),
    ),
    key=("contact_id", "generator", "eni_id", "content_hash"),
    on_conflict=Keep(),
    run_columns=(BATCH_ID,),
    stamped=False,
    historic=True,
)
"""Each content that a source group ever had. So the version of a contact, and its earliest date, do
not depend on the order in which contents arrive."""

STRUCTURED_INSIGHTS = Table(
    name="elvis__structured_insights",
    columns=(
        Column("contact_id", "text", nullable=False),
        Column("eni_id", "text"),
        Column("updated_at", "timestamptz", nullable=False),
        Column("version", "integer"),
        Column("processing_status", "text"),
        Column("insights", "jsonb", nullable=False),
    ),
    key=("contact_id", "eni_id"),
    on_conflict=Keep(),
    run_columns=(),
    id_type="uuid",
)
"""The insights of contacts, to be read."""

GROUP = TableGroup(
    "insights",
    (INSIGHT_SOURCES, INSIGHT_DELIVERIES),
    (
        Derivation(
            "public.importer_derive_insights",
            INSIGHT_DELIVERIES.qualified_name,
            undo="public.importer_uncount_insights",
        ),
        Derivation(
            "public.importer_derive_known_insights",
            INSIGHT_SOURCES.qualified_name,
            undo="public.importer_undo_insights",
        ),
    ),
    derived=(STRUCTURED_INSIGHTS,),
)
