"""The house: few modules at its top, no arrow up, none in a circle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_few_modules_lie_directly_in_the_package() -> None:
    assert len(list((ROOT / "imports").glob("*.py"))) <= 10


def test_no_floor_imports_a_higher_one_and_no_modules_import_each_other_in_a_circle() -> None:
    # A process of its own: import-linter turns off all loggers of the one that it runs in.
    linter = Path(sys.executable).with_name("lint-imports")
    ended = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout
    assert "2 kept, 0 broken" in ended.stdout
