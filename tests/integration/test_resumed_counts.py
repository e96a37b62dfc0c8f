"""A run that is resumed, with whatever options, counts each item and each image once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from imports import ResilientImporter
from imports.items.phase import Phase
from imports.run.report import RunReport
from tests.support.bench import Bench, one_backend
from tests.support.source import license_, png
from tests.support.stopper import Stopper

pytestmark = one_backend

ITEMS = 6


def add(bench: Bench, name: str, image: str = "") -> None:
    bench.source.add(name, name=name, licenses=[license_(name)], image=image or f"FL/{name}.png")


@pytest.fixture
def begun(bench: Bench) -> Bench:
    """Two of its six items lack their images, one of the images is none, and one file is broken."""
    for number in range(ITEMS):
        add(bench, f"A{number}")
    for number in range(2, ITEMS):
        bench.source.write(f"FL/A{number}.png", png(number))
    bench.source.write("FL/A5.png", b"no image")
    bench.source.write("broken_parse.json", b"{")
    return bench


def stopped(bench: Bench, phase: Phase, **flags: Any) -> RunReport:
    """A run that is stopped once it has done something of a phase."""
    stopper = Stopper(phase, 1)
    settings = bench.settings(batch_size=2, max_workers=1, **flags)
    report = ResilientImporter(settings, stopper, stopper.stop).run()
    assert report.exit_code == 130
    return report


NAMES = {
    "planning.to_import": ITEMS + 1,
    "planning.failed": 1,
    "planning.images_missing": 2,
    "sha256.processed": 3,
    "sha256.unusable": 1,
    "upload.completed": 3,
    "upload.skipped": 0,
    "import.inserted": ITEMS,
    "import.updated": 0,
    "import.unchanged": 0,
}


@pytest.mark.parametrize("phase", [Phase.PLANNING, Phase.UPLOAD, Phase.IMPORT])
@pytest.mark.parametrize("option", ["", "retry_failed", "begun with force"])
def test_each_is_counted_once(begun: Bench, phase: Phase, option: str) -> None:
    flags = {"force": True} if option == "begun with force" else {}
    first = stopped(begun, phase, **flags)
    flags |= {option: True} if option == "retry_failed" else {}
    again = begun.run(max_workers=1, **flags)
    assert again.exit_code == 3
    assert again.state.run_id == first.state.run_id
    assert {name: again.count(name) for name in NAMES} == NAMES


def test_a_run_that_is_resumed_with_force_is_another_one(begun: Bench) -> None:
    first = stopped(begun, Phase.UPLOAD)
    again = begun.run(force=True)
    assert again.state.run_id != first.state.run_id
    found = {name: again.count(name) for name in NAMES}
    assert found["planning.to_import"] == ITEMS + 1
    assert found["planning.images_missing"] == 2
    assert found["sha256.unusable"] == 1
    assert found["upload.completed"] + found["upload.skipped"] == 3
    assert found["import.inserted"] == ITEMS


def test_restart_counts_what_the_run_that_it_gives_up_has_planned(begun: Bench) -> None:
    stopped(begun, Phase.UPLOAD)
    again = begun.run(restart=True)
    assert again.count("planning.to_import") == ITEMS + 1
    assert again.count("planning.images_missing") == 2
    assert again.count("import.inserted") == ITEMS


def test_with_other_image_roots_what_is_found_there_is_missing_no_more(begun: Bench) -> None:
    root = Path(begun.folder / "photos")
    root.mkdir()
    (root / "late.png").write_bytes(png(9))
    add(begun, "B", str(root / "late.png"))
    assert stopped(begun, Phase.UPLOAD).count("planning.images_missing") == 3
    again = begun.run(image_roots=(root,))
    assert again.count("planning.to_import") == ITEMS + 2
    assert again.count("planning.images_missing") == 2
    assert again.lacking == (3, 2, 1)


def test_an_item_that_changed_meanwhile_is_counted_as_it_is_now(begun: Bench) -> None:
    stopped(begun, Phase.UPLOAD)
    file = next(begun.source.folder.rglob("A0_parse.json"))
    os.utime(file, (1, 1))
    begun.source.write("FL/A0.png", png(7))
    again = begun.run()
    assert again.count("planning.to_import") == ITEMS + 1
    assert again.count("planning.images_missing") == 1


def test_a_limit_is_that_of_the_whole_run(begun: Bench) -> None:
    stopped(begun, Phase.IMPORT, limit=4)
    again = begun.run(limit=4)
    assert again.count("planning.to_import") == 4
    total = begun.run(limit=5).count("planning.to_import")
    assert total <= 5, "that one was finished"


@pytest.mark.parametrize("between", ["nothing", "a change", "another tag"])
@pytest.mark.parametrize("phase", [Phase.PLANNING, Phase.UPLOAD, Phase.IMPORT])
def test_what_is_cleaned_is_counted_when_it_goes_in(
    begun: Bench, phase: Phase, between: str
) -> None:
    """Planning has prepared the rows of items without images: they may be prepared anew."""
    for number in range(4):
        begun.source.add(f"C{number}", name=f"C{number}", licenses=[license_(issue_date="N/A")])
    stopped(begun, phase)
    if between == "a change":
        for file in begun.source.folder.rglob("C*_parse.json"):
            os.utime(file, (1, 1))
    elif between == "another tag":
        assert begun.run(tag="other").count("cleaned.N/A") == 4
    assert begun.run().count("cleaned.N/A") == 4


def test_what_another_tag_stores_meanwhile_is_not_counted_again(begun: Bench) -> None:
    first = stopped(begun, Phase.IMPORT)
    other = begun.run(tag="other")
    assert (other.count("upload.completed"), other.count("upload.skipped")) == (0, 3)
    again = begun.run()
    assert again.state.run_id == first.state.run_id
    assert {name: again.count(name) for name in NAMES} == NAMES
