"""The tables that recognitions fill; the tables of applications are derived from them.

A recognition's number is its identity, whatever the tag: the tables are those of the system in use,
which have no column for one.
"""

from __future__ import annotations

from imports.tables.table import (
    BATCH_ID,
    Column,
    Derivation,
    NamedPlaces,
    Replace,
    Table,
    TableGroup,
)

_WORKED_ON = "public.importer_worked_on(stored.recognition_id)"

RECOGNITION_FILES = Table(
    name="recognition_files",
    schema="raw",
    columns=(
        Column("recognition_id", "bigint", nullable=False),
        Column("active_menu", "jsonb"),
        Column("image1_path", "text"),
        Column("image2_path", "text"),
        Column("image1_width", "integer"),
        Column("image1_height", "integer"),
        Column("image2_width", "integer"),
        Column("image2_height", "integer"),
        # What changes without another size or menu shows in these.
        Column("image1_sha256", "text"),
        Column("image2_sha256", "text"),
        Column("receipt_sha256", "text"),
    ),
    key=("recognition_id",),
    on_conflict=Replace(),
    run_columns=(BATCH_ID,),
    stamped=False,
    guard=_WORKED_ON,
)

RECIPES = Table(
    name="recipes",
    schema="raw",
    columns=(Column("recognition_id", "bigint", nullable=False), Column("payload", "jsonb")),
    key=("recognition_id",),
    on_conflict=Replace(),
    run_columns=(BATCH_ID,),
    stamped=False,
    guard=_WORKED_ON,
)

BUCKET = "rrs-photos"

_IMAGES = Table(
    name="images",
    columns=(Column("storage_path", "text", nullable=False),),
    key=("storage_path",),
    on_conflict=Replace(),
    run_columns=(),
    stamped=False,
)
"""Derived: it names the places of the photos."""

GROUP = TableGroup(
    "recognitions",
    (RECOGNITION_FILES, RECIPES),
    (
        Derivation(
            "public.importer_derive_recognitions",
            RECOGNITION_FILES.qualified_name,
            undo="public.importer_undo_recognitions",
        ),
    ),
    named_places=(NamedPlaces(_IMAGES, "storage_path", BUCKET),),
)
