"""The models of insights for Python, and the check of their JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from imports.insights import (
    InsightMetadata,
    ProcessingStatus,
    StructuredInsight,
    StructuredInsightContent,
    validate_structured_insight_json,
)
from tests.support.insights import document


def test_an_insight_goes_into_json_and_back() -> None:
    insight = StructuredInsight(
        metadata=InsightMetadata(
            contact_id="CNT-Ab1000001",
            eni_id="ENI-7",
            eni_source_types=["recurroo"],
            record_count=5,
            generated_at=datetime(2025, 5, 1),  # noqa: DTZ001 - as files have it
        ),
        insights=StructuredInsightContent(personal="* Sails", three_i="* Hosted", hobbies="Chess"),
    )
    told: dict[str, Any] = json.loads(insight.model_dump_json())
    assert told["insights"]["3i"] == "* Hosted"
    assert "three_i" not in told["insights"]
    assert told["insights"]["hobbies"] == "Chess"
    assert told["metadata"]["processing_status"] == "completed"
    assert insight.metadata.generated_at == datetime(2025, 5, 1, tzinfo=UTC)
    assert StructuredInsight.model_validate(told) == insight
    assert StructuredInsight.read(told).insights == insight.insights


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("contact_id", ""),
        ("contact_id", "x" * 51),
        ("eni_id", 7),
        ("eni_id", "x" * 101),
        ("record_count", -1),
        ("processing_status", "done"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        InsightMetadata.model_validate({"contact_id": "CNT-Ab1000001", name: value})
    told = document(**{name: value})
    if value != "":
        valid, errors = validate_structured_insight_json(told)
        assert not valid
        assert errors[0].startswith(f"metadata.{name} ")
        with pytest.raises(ValueError, match=name):
            StructuredInsight.read(told)


def test_all_errors_of_a_document_are_told_at_once() -> None:
    assert validate_structured_insight_json(document()) == (True, [])
    assert validate_structured_insight_json([]) == (
        False,
        ["the document is an array, not an object"],
    )
    told = {"metadata": {"record_count": "many"}, "insights": {"personal": 5, "deals": []}}
    assert validate_structured_insight_json(told) == (
        False,
        [
            "insights.personal is a number, not a string",
            "insights.deals is an array, not a string",
            "metadata.contact_id is missing",
            "metadata.record_count is 'many', not a whole number",
        ],
    )


def test_any_form_becomes_a_model() -> None:
    told = {"contactId": "CNT-Ab1000001", "content": {"three_i": "* Hosted"}, "shoe_size": 7}
    insight = StructuredInsight.read(told)
    assert insight.metadata.contact_id == "CNT-Ab1000001"
    assert insight.metadata.processing_status is ProcessingStatus.COMPLETED
    assert insight.metadata.additional_metadata == {"shoe_size": 7}
    assert insight.insights.three_i == "* Hosted"


def test_an_import_does_not_load_them() -> None:
    code = "import sys; from imports.kinds import kind_named; kind_named('insights'); print("
    code += "sorted(name for name in sys.modules if name in ('pydantic', 'imports.insights')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
