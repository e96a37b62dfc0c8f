"""The tables that insights fill; the rows of contacts are derived from them.

A contact has one row, whatever the tag: the tables are those of the system in use, which have no
column for one.
"""

from __future__ import annotations

from dataclasses import replace

from imports.tables.table import (
    BATCH_ID,
    Column,
    Derivation,
    Keep,
    Replace,
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
)

STRUCTURED_INSIGHTS = Table(
    name="elvis__structured_insights",
    columns=(
        Column("contact_id", "varchar(50)", nullable=False),
        Column("eni_id", "varchar(100)"),
        Column("member_name", "varchar(255)"),
        Column("eni_source_type", "varchar(100)"),
        Column("eni_source_subtype", "varchar(100)"),
        Column("eni_source_types", "text[]"),
        Column("eni_source_subtypes", "text[]"),
        Column("generator", "varchar(50)"),
        Column("system_prompt_key", "varchar(100)"),
        Column("context_files", "text"),
        Column("record_count", "integer"),
        Column("total_eni_ids", "integer"),
        Column("insights", "jsonb"),
        Column("personal", "text"),
        Column("business", "text"),
        Column("investing", "text"),
        Column("three_i", "text"),
        Column("deals", "text"),
        Column("introductions", "text"),
        Column("generated_at", "timestamptz"),
        Column("processing_status", "varchar(50)"),
        Column("version", "integer"),
        Column("additional_metadata", "jsonb"),
    ),
    key=("contact_id", "eni_id"),
    on_conflict=Replace(),
    run_columns=(),
    id_type="uuid",
    counter="version",
)
"""What applications read. Of a contact with sources, one row is derived; clients write others."""

STORED = TableGroup("stored_insights", (STRUCTURED_INSIGHTS,))
"""Rows that a client writes, whether they exist or not."""

ADDED = TableGroup("added_insights", (replace(STRUCTURED_INSIGHTS, on_conflict=Keep()),))
"""Rows that a client adds: those that exist stay unchanged."""


def consolidated_eni_id(contact_id: str) -> str:
    """The ENI id of the row that is derived for a contact."""
    return f"COMBINED-{contact_id}-ALL"
