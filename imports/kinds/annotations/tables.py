"""The table that annotations fill; items and boxes of applications are derived from it."""

from __future__ import annotations

from imports.tables.table import BATCH_ID, Column, Derivation, Keep, Parent, Table, TableGroup

QWEN_ANNOTATIONS = Table(
    name="qwen_annotations",
    schema="raw",
    columns=(
        Column("recognition_id", "bigint", nullable=False),
        Column("image_path", "text"),
        Column("class_name", "text"),
        Column("bbox", "jsonb"),
        Column("item_type", "text"),
    ),
    key=("recognition_id", "image_path", "class_name", "bbox"),
    on_conflict=Keep(),
    run_columns=(BATCH_ID,),
    stamped=False,
    # Only a reset asks: no stored row is ever changed.
    guard="public.importer_worked_on(stored.recognition_id)",
    parents=(Parent(("recognition_id",), "public.recognitions", ("id",)),),
)

GROUP = TableGroup(
    "annotations",
    (QWEN_ANNOTATIONS,),
    (
        Derivation(
            "public.importer_derive_annotations",
            QWEN_ANNOTATIONS.qualified_name,
            undo="public.importer_undo_annotations",
            by=("recognition_id", "image_path"),
        ),
    ),
)
