"""The check of an insight's JSON, by the rules of an import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from imports.kinds.insights.insight import insight_in
from imports.source.cleaning import json_type


def validate_structured_insight_json(data: object) -> tuple[bool, list[str]]:
    """Whether an import would take a document, and what is wrong with it.

    Each error begins with the name of the value. What is only a warning for an import, such as a
    section that cites nothing, is no error.
    """
    if not isinstance(data, Mapping):
        return False, [f"the document is {json_type(data)}, not an object"]
    errors = insight_in(data, Counter()).errors
    return not errors, list(errors)
