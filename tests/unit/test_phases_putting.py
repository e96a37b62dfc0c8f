"""What becomes of a place, by what is there and what the ledger knows of it."""

from __future__ import annotations

import pytest

from imports.items.images import Image, ImageFile, Placement
from imports.items.records import RowOutcome
from imports.items.source import Signature
from imports.ledger import Claim, KnownPlace, PlacementStage
from imports.phases.placements import skipped_items
from imports.phases.putting import decide_place

PLACE = Placement("photos", "trays/1.png")
IMAGE = Image(ImageFile("/data/a.png", Signature(10, 1)), "new", "png", "image/png", 1, 1)
COMMITTED, FOUND = PlacementStage.COMMITTED, PlacementStage.FOUND
PUTTING, PUT = PlacementStage.PUTTING, PlacementStage.PUT


def known(sha256: str, stage: PlacementStage, **more: object) -> KnownPlace:
    return KnownPlace(PLACE, sha256, stage, **more)  # type: ignore[arg-type]


def decide(
    of: KnownPlace | None, here: str | None, *, replace: bool = False
) -> tuple[PlacementStage, str | None, PlacementStage | None] | None:
    """Stage, what is replaced, and as what that was known; None if it is refused."""
    found = decide_place(Claim(IMAGE, PLACE, of), here, "batch", replace=replace)
    if isinstance(found, str):
        return None
    assert (found.place, found.sha256) == (PLACE, "new")
    assert (found.kept is None) is (found.previous is None)
    return found.stage, found.previous, found.previous_stage


@pytest.mark.parametrize(
    ("of", "here", "expected"),
    [
        (None, None, (PUTTING, None, None)),
        (None, "new", (FOUND, None, None)),
        (None, "other", None),
        (None, "", None),
        (known("new", COMMITTED), "new", (COMMITTED, None, None)),
        (known("new", COMMITTED), None, (PUTTING, None, None)),
        (known("new", COMMITTED), "other", None),
        (known("new", FOUND), "new", (FOUND, None, None)),
        (known("old", COMMITTED), "old", (PUTTING, "old", COMMITTED)),
        (known("old", COMMITTED), "", (PUTTING, None, None)),
        (known("old", COMMITTED), "other", None),
        (known("old", COMMITTED), "new", (FOUND, None, None)),
        (known("old", FOUND), "old", None),
    ],
)
def test_what_a_run_does_at_a_place(
    of: KnownPlace | None, here: str | None, expected: object
) -> None:
    assert decide(of, here) == expected


@pytest.mark.parametrize(
    ("of", "here", "expected"),
    [
        (None, "other", (PUTTING, "other", None)),
        (None, "", (PUTTING, None, None)),
        (known("old", FOUND), "old", (PUTTING, "old", FOUND)),
        (known("old", COMMITTED), "other", (PUTTING, "other", None)),
        (known("new", COMMITTED), "new", (COMMITTED, None, None)),
    ],
)
def test_what_somebody_else_has_put_there_is_replaced_if_the_user_asks_for_it(
    of: KnownPlace | None, here: str | None, expected: object
) -> None:
    assert decide(of, here, replace=True) == expected


@pytest.mark.parametrize("stage", [PUTTING, PUT])
def test_an_unfinished_run_is_resumed(stage: PlacementStage) -> None:
    replaced = known("new", stage, kept="copy", previous="old", previous_stage=COMMITTED)
    assert decide(replaced, "old") == (PUTTING, "old", COMMITTED)
    assert decide(replaced, "new") == (PUT, "old", COMMITTED)
    # Somebody has put another image there meanwhile: not even `replace` was about that one.
    assert decide(replaced, "other", replace=True) is None
    first = known("new", stage)
    assert decide(first, None) == (PUTTING, None, None)
    assert decide(first, "new") == (PUT, None, None)
    assert decide(first, "other") is None


def test_an_item_is_passed_over_if_all_of_its_records_are_older() -> None:
    merged = [
        (1, RowOutcome.SKIPPED, "a"),
        (1, RowOutcome.SKIPPED, "b"),
        (2, RowOutcome.SKIPPED, "c"),
        (2, RowOutcome.UNCHANGED, "d"),
        (3, RowOutcome.INSERTED, "e"),
    ]
    assert skipped_items(merged) == {1}
