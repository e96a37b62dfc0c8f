"""`reset` on a terminal, and killed at every step: the same command ends as if never killed."""

from __future__ import annotations

from tests.support.command import Workplace
from tests.support.contents import count, results, stored_images
from tests.support.fault_points import FaultPoint
from tests.support.searches import generate
from tests.support.target import Target

POINTS = (
    FaultPoint("imports.run.reset:undo_runs", before=False),
    FaultPoint("imports.backends.retrying:RetryingDatabase.delete_written", before=False),
    FaultPoint("imports.backends.retrying:RetryingDatabase.unlist_images", before=False),
)
QUESTION = b"type the batch id: "


def imported(place: Workplace) -> str:
    """The batch id of an import of a few searches; what it does not find is generated."""
    source = place.folder / "data"
    if not source.exists():
        generate(source, 12, images=5, image_bytes=1_000)
    place.run("states", source, "--tag", "T")
    return str(place.state["batch_id"])


def test_what_a_run_wrote_is_deleted_however_often_the_reset_is_killed(
    place: Workplace, target: Target
) -> None:
    url = target.database_url
    reset = ["reset", "--batch-id", imported(place), "--confirm"]
    before = results(url), stored_images(target, place.folder)
    for point in POINTS:
        place.killed_at(point, *reset)
    place.run(*reset)
    assert (count(url), count(url, "image_assets"), count(url, "import_removals")) == (0, 0, 0)
    assert stored_images(target, place.folder) == {}
    imported(place)
    assert (results(url), stored_images(target, place.folder)) == before


def test_on_a_terminal_the_batch_id_must_be_typed(pg_place: Workplace, postgresql: Target) -> None:
    run = imported(pg_place)
    answers = {
        b"yes\n": (1, "That is not the batch id. Nothing was done.", 12),
        b"\x03": (130, "Nothing was done.", 12),
        f"{run}\n".encode(): (0, "Deleted: 12 rows", 0),
    }
    for answer, (exit_code, told, left) in answers.items():
        ended = pg_place.on_terminal(
            "reset", "--batch-id", run, answer=answer, question=QUESTION, exit_code=exit_code
        )
        assert told in ended.text
        assert count(postgresql.database_url) == left
