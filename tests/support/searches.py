"""Sources of the kind `states`: one search as small as it can be, and whole trees."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from pathlib import Path
from typing import Any

from tests.support.command import ROOT

_spec = importlib.util.spec_from_file_location("generate", ROOT / "benchmarks" / "generate.py")
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules["generate"] = _module
_spec.loader.exec_module(_module)

generate = _module.generate
"""`generate(folder, files, images=…, image_bytes=…)`: many searches, always the same."""


def png(seed: int = 1, size: int = 2_000) -> bytes:
    """A small PNG; another one for each seed."""
    content: bytes = _module.png(random.Random(seed), size)
    return content


def search(
    name: str = "Belmar",
    state: str = "FL",
    number: str | None = "PH1",
    *,
    moment: str = "2025-08-03T14:03:10.123456",
    image: str | None = None,
    **license_: Any,
) -> dict[str, Any]:
    """The content of a file: one search with one licence, or with none."""
    licenses = [] if number is None else [{"license_number": number, **license_}]
    return {
        "metadata": {
            "pharmacy_name": name,
            "state": state,
            "search_timestamp": moment,
            "source_image_file": image,
            "search_result_type": "pharmacy_data",
        },
        "search_result": {"licenses": licenses, "result_status": "found"},
    }


def write(folder: Path, stem: str, content: object) -> Path:
    """Writes `<stem>_parse.json`: bytes as they are, anything else as JSON."""
    path = folder / f"{stem}_parse.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path
