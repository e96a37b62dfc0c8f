from __future__ import annotations

import os
from pathlib import Path

import pytest

from imports.items.images import ImageFile
from imports.items.source import Source as ImportSource
from imports.items.work_item import ListedRow, Plan, WorkItem
from imports.kinds.folders import FOLDERS
from imports.kinds.people.kind import PEOPLE
from imports.phases import prepare
from imports.phases.planning import PlanJob, Planned, plan_batch
from imports.phases.prepare import PrepareJob, prepare_batch, unexpected
from imports.phases.upload import request_id
from imports.run.spool import Spool
from imports.source.image_finder import image_finder
from imports.source.tree import signature_of
from imports.tables.row_format import RowFormat
from tests.support import people
from tests.support.book import hashed, picture
from tests.support.source import Source, license_, png

CHUNK = 7


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "day")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / "spool" / "run", RowFormat.COPY)
    spool.open()
    return spool


def items_of(source: Source, *paths: Path) -> list[WorkItem]:
    return [
        WorkItem(number, path.relative_to(source.folder).as_posix(), signature_of(path.stat()))
        for number, path in enumerate(paths, 1)
    ]


def read_from(source: Source) -> ImportSource:
    return ImportSource(str(source.folder), ("*_parse.json",))


def listed(items: list[WorkItem]) -> list[ListedRow]:
    return [(item.id, item.path, *item.signature) for item in items]


def written_out(found: Planned) -> Planned:
    """The same with a plan for each item, also for those of which there is but the group."""
    plain = [
        Plan(item_id, group=group, records=1, chunk=found.chunk)
        for item_id, group in found.plain.items()
    ]
    return Planned(sorted([*found.plans, *plain]))


def spooled(found: Planned) -> set[int]:
    """The items whose rows are in the chunk of the job."""
    assert {plan.chunk for plan in found.plans} <= {None, CHUNK}
    return {plan.id for plan in found.plans if plan.chunk == CHUNK}


def planned(source: Source, spool: Spool, *paths: Path) -> Planned:
    items = listed(items_of(source, *paths))
    finder = image_finder(source.folder, ())
    return written_out(
        plan_batch(PlanJob("states", read_from(source), finder, spool, CHUNK, items))
    )


def test_of_plain_items_there_is_but_the_group(source: Source, spool: Spool) -> None:
    several = source.add("FL/b", licenses=[license_("A"), license_("B")])
    source.write("FL/d.png", png())
    pictured = source.add("FL/d", image="FL/d.png")
    lacking = source.add("FL/e", image="FL/gone.png")
    items = listed(items_of(source, source.add("FL/a"), several, pictured, lacking))
    finder = image_finder(source.folder, ())
    found = plan_batch(PlanJob("states", read_from(source), finder, spool, CHUNK, items))
    assert found.plain.keys() == {1}
    assert [plan.id for plan in found.plans] == [2, 3, 4]
    assert (found.chunk, spooled(found)) == (CHUNK, {2, 4})


def test_an_item_without_a_date_is_planned_as_undated(source: Source, spool: Spool) -> None:
    source.write("FL/b.png", png())
    paths = [
        source.add("FL/a", ts="2025-08-04 14:03:10 EST"),
        source.add("FL/b", ts=None, image="FL/b.png"),
        source.add("FL/c", ts="N/A"),
        source.add("FL/d"),
    ]
    found = planned(source, spool, *paths).plans
    assert [plan.undated for plan in found] == [True, True, True, False]
    name = "metadata.search_timestamp"
    assert [plan.warnings for plan in found] == [
        (
            f"{name} cannot be read as a date: '2025-08-04 14:03:10 EST';"
            " so it is unknown which searches are newer",
        ),
        (f"{name} is missing; so it is unknown which searches are newer",),
        (f"{name} is 'N/A'; so it is unknown which searches are newer",),
        (),
    ]
    assert [plan.images_missing for plan in found] == [0, 0, 0, 0]


def test_a_page_with_a_person_of_unknown_age_is_undated(tmp_path: Path, spool: Spool) -> None:
    folder = ImportSource(str(tmp_path), ("*.json",))
    pages = {
        "a": [people.person(), people.person("p-2", modified="N/A")],
        "b": [people.person()],
        "c": [people.sparse("p-3")],
    }
    items = []
    for number, (name, records) in enumerate(pages.items(), 1):
        path = people.write(tmp_path, f"{name}.json", records)
        items.append(WorkItem(number, path.name, PEOPLE.sign(folder, path.name)))
    finder = image_finder(tmp_path, ())
    found = plan_batch(PlanJob("people", folder, finder, spool, CHUNK, listed(items)))
    undated = {plan.id: plan.undated for plan in found.plans}
    assert undated == {1: True, 3: True} | ({2: False} if 2 in undated else {})


def prepared(source: Source, *paths: Path) -> prepare.Prepared:
    items = items_of(source, *paths)
    return prepare_batch(PrepareJob("states", read_from(source), RowFormat.COPY, items))


def test_every_item_gets_a_plan_also_where_one_among_them_is_bad(
    source: Source, spool: Spool
) -> None:
    found = planned(
        source,
        spool,
        source.add("FL/a"),
        source.write("FL/b_parse.json", b"[]"),
        source.add("FL/c", state=""),
        source.add("FL/d"),
    )
    assert [plan.id for plan in found.plans] == [1, 2, 3, 4]
    reasons = [plan.failure for plan in found.plans]
    assert reasons == [
        None,
        "is an array, not an object",
        "metadata.state is missing",
        None,
    ]
    assert spooled(found) == {1, 4}


def test_an_item_without_image_is_spooled_and_one_with_image_is_not(
    source: Source, spool: Spool
) -> None:
    file = source.write("FL/b.png", png())
    found = planned(source, spool, source.add("FL/a"), source.add("FL/b", image="FL/b.png"))
    assert spooled(found) == {1}
    assert set(spool.read(CHUNK)) == {1}
    image = ImageFile(str(file), signature_of(file.stat()))
    assert found.plans[1].images == (image,)


def test_what_is_spooled_is_what_would_be_prepared_from_the_file(
    source: Source, spool: Spool
) -> None:
    path = source.add("FL/a", licenses=[license_("A"), license_("B\t\\")])
    planned(source, spool, path)
    assert spool.read(CHUNK)[1].records == prepared(source, path).records


def test_cleaned_values_are_kept_by_item_until_it_is_imported(source: Source, spool: Spool) -> None:
    source.write("FL/b.png", png())
    bad_date = [license_(issue_date="N/A")]
    plain = source.add("FL/a", licenses=bad_date)
    pictured = source.add("FL/b", licenses=bad_date, image="FL/b.png")
    clean = source.add("FL/c")
    planned(source, spool, plain, pictured, clean)
    assert {item_id: found.cleaned for item_id, found in spool.read(CHUNK).items()} == {
        1: {"N/A": 1},
        3: {},
    }
    assert prepared(source, pictured, clean, plain).cleaned == {1: {"N/A": 1}, 3: {"N/A": 1}}


def test_where_the_spool_takes_nothing_items_are_planned_all_the_same(
    source: Source, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "gone" / "run", RowFormat.COPY)
    path = source.add("FL/a", licenses=[license_(issue_date="N/A")])
    found = planned(source, spool, path)
    assert found.plans[0].failure is None
    assert spooled(found) == set()


def test_the_same_search_in_two_files_has_one_group(source: Source, spool: Spool) -> None:
    found = planned(source, spool, source.add("FL/a"), source.add("FL/b"), source.add("GA/a"))
    first, second, third = (plan.group for plan in found.plans)
    assert first == second == third
    assert found.plans[0].group is not None


def test_a_missing_image_is_planned_with_a_warning(source: Source, spool: Spool) -> None:
    plan = planned(source, spool, source.add("FL/a", image="FL/gone.png")).plans[0]
    assert plan.failure is None
    assert plan.images_missing == 1
    assert "FL/gone.png" in plan.warnings[0]


def test_a_file_that_changed_since_it_was_listed_fails_alone(source: Source, spool: Spool) -> None:
    first, second = source.add("FL/a"), source.add("FL/b")
    items = items_of(source, first, second)
    os.utime(first, ns=(1, 1))
    finder = image_finder(source.folder, ())
    job = PlanJob("states", read_from(source), finder, spool, CHUNK, listed(items))
    found = written_out(plan_batch(job))
    assert found.plans[0].failure == "changed during the run; run again to import it"
    assert found.plans[1].failure is None


def test_a_defect_costs_one_item_and_says_where_it_is(
    source: Source, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defective(*arguments: object) -> object:
        if arguments[2] == 1:
            raise KeyError("oops")
        return encode(*arguments)  # type: ignore[arg-type]

    encode = prepare.encode_records
    monkeypatch.setattr("imports.phases.planning.encode_records", defective)
    found = planned(source, spool, source.add("FL/a"), source.add("FL/b"))
    assert found.plans[0].failure is not None
    assert found.plans[0].failure.startswith("unexpected KeyError at defective:")
    assert found.plans[1] == Plan(2, group=found.plans[1].group, records=1, chunk=CHUNK)
    assert spooled(found) == {2}


def test_preparing_keeps_the_good_items_in_order_and_reports_the_bad(source: Source) -> None:
    found = prepared(
        source,
        source.add("a", licenses=[license_("1"), license_("2")]),
        source.write("b_parse.json", b"\xff\xfe{\0}\0"),
        source.add("c", licenses=[license_(["x"])]),  # type: ignore[arg-type]
        source.add("d", licenses=[license_("3")]),
    )
    assert [(each.item_id, each.label) for each in found.records] == [
        (1, "Belmar/FL/1"),
        (1, "Belmar/FL/2"),
        (4, "Belmar/FL/3"),
    ]
    assert [item for item, _ in found.failures] == [2, 3]
    assert "UTF-16" in found.failures[0][1]


def test_images_are_given_to_the_rows_of_their_item(source: Source) -> None:
    path = source.add("a")
    image = hashed(picture("one"), "ab" * 32)
    item = WorkItem(1, "a_parse.json", signature_of(path.stat()), (image,))
    job = PrepareJob("states", read_from(source), RowFormat.JSON, [item])
    assert b'"image_hash":"' + b"ab" * 32 in prepare_batch(job).records[0].rows[0][1]


@pytest.mark.parametrize("inmost", [b"1", b'"\\u0000"'])
@pytest.mark.parametrize("depth", [300, 600, 2_000])
def test_a_deeply_nested_file_is_imported_or_refused_but_is_no_defect(
    source: Source, depth: int, inmost: bytes
) -> None:
    nested = b'{"a":' * depth + inmost + b"}" * depth
    text = (
        source.add("a")
        .read_bytes()
        .replace(b'{"metadata"', b'{"deep":' + nested + b',"metadata"', 1)
    )
    found = prepared(source, source.write("b_parse.json", text))
    assert not any("unexpected" in reason for _, reason in found.failures)


def test_an_unexpected_error_is_reported_with_its_place() -> None:
    try:
        {}["gone"]
    except KeyError as error:
        told = unexpected(error)
    assert told.startswith(
        "unexpected KeyError at test_an_unexpected_error_is_reported_with_its_place:"
    )
    assert "please report it" in told


def test_a_request_id_depends_on_the_run_and_on_every_part() -> None:
    one = request_id("run", ["a", "b"])
    assert request_id("run", ["a", "b"]) == one
    others = [
        request_id("run", ["b", "a"]),
        request_id("run", ["a"]),
        request_id("run", ["a", "b", "c"]),
        request_id("other", ["a", "b"]),
    ]
    assert len({one, *others}) == 5


def test_request_ids_stay_the_same_from_version_to_version() -> None:
    # A run that is resumed by another version must still be recognised by its target.
    found = request_id("batch", ["0+2", "a\t1\t2"])
    assert str(found) == "9fec0cb4-b18a-557d-891f-d78c7bfe0c25"


# Folders


def folders_planned(folder: Path, spool: Spool, *paths: str) -> Planned:
    source = ImportSource(str(folder), FOLDERS.patterns)
    items = [
        WorkItem(number, path, FOLDERS.sign(source, path)) for number, path in enumerate(paths, 1)
    ]
    job = PlanJob("folders", source, image_finder(folder, ()), spool, CHUNK, listed(items))
    return written_out(plan_batch(job))


def test_a_folder_with_broken_stats_and_images_is_planned_so_that_they_are_stored(
    source: Source, spool: Spool
) -> None:
    source.write("with/stats.json", b"{")
    picture_file = source.write("with/a.png", png())
    source.write("without/stats.json", b"{")
    found = folders_planned(source.folder, spool, "with", "without")
    first, second = found.plans
    assert first.failure is None
    assert [image.path for image in first.images if image] == [str(picture_file)]
    assert second.failure is not None
    assert second.failure.startswith("stats.json is not JSON: ")
    assert spooled(found) == set()


def test_a_folder_without_images_is_spooled_as_it_would_be_prepared(
    source: Source, spool: Spool
) -> None:
    source.write("a/stats.json", b'{"device_id": "D"}')
    source.write("b/stats.json", b'{"device_id": "D"}')
    source.write("b/a.png", png())
    source.write("stats.json", b"{}")
    found = folders_planned(source.folder, spool, "a", "b", ".")
    assert spooled(found) == {1, 3}
    signature = FOLDERS.sign(ImportSource(str(source.folder), FOLDERS.patterns), "a")
    job = PrepareJob(
        "folders",
        ImportSource(str(source.folder), FOLDERS.patterns),
        RowFormat.COPY,
        [WorkItem(1, "a", signature)],
    )
    assert spool.read(CHUNK)[1].records == prepare_batch(job).records
    assert [record.label for record in spool.read(CHUNK)[3].records] == ["."]


def test_a_folder_whose_images_are_all_lost_is_spooled_without_them(
    source: Source, spool: Spool, tmp_path: Path
) -> None:
    outside = tmp_path.parent / f"{tmp_path.name} outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(png())
    (source.folder / "a").mkdir()
    (source.folder / "a/leak.png").symlink_to(outside / "secret.png")
    found = folders_planned(source.folder, spool, "a")
    (plan,) = found.plans
    assert (plan.failure, plan.images, plan.images_missing) == (None, (None,), 1)
    assert spooled(found) == {1}
    ((_, row),) = spool.read(CHUNK)[1].records[0].rows
    assert b"secret" not in row


def test_a_folder_that_changed_or_is_gone_fails_alone(source: Source, spool: Spool) -> None:
    for name in ("a", "b", "c"):
        source.write(f"{name}/stats.json", b"{}")
    import_source = ImportSource(str(source.folder), FOLDERS.patterns)
    items = [
        WorkItem(number, name, FOLDERS.sign(import_source, name))
        for number, name in enumerate("abc", 1)
    ]
    source.write("a/new.txt", b"")
    (source.folder / "b/stats.json").unlink()
    (source.folder / "b").rmdir()
    finder = image_finder(source.folder, ())
    job = PlanJob("folders", import_source, finder, spool, CHUNK, listed(items))
    found = written_out(plan_batch(job))
    assert [plan.failure for plan in found.plans] == [
        "changed during the run; run again to import it",
        "cannot be listed: No such file or directory",
        None,
    ]


# Memory


def test_an_item_whose_rows_would_take_too_much_memory_fails_and_the_others_do_not(
    source: Source, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "MOST_ROW_BYTES", 20_000)
    many = [license_(f"PH{number}") for number in range(20)]
    paths = [
        source.add("FL/a"),
        source.add("FL/b", licenses=many, notes="n" * 2_000),
        source.add("FL/c", licenses=many),
        source.add("FL/d"),
    ]
    found = planned(source, spool, *paths)
    failures = {plan.id: plan.failure for plan in found.plans if plan.failure}
    assert failures.keys() == {2}
    assert "its rows take more than" in failures[2]
    assert spooled(found) == {1, 3, 4}
    assert [reason for _, reason in prepared(source, *paths).failures] == [failures[2]]


def test_a_single_row_is_as_large_as_its_file_may_be(
    source: Source, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "MOST_ROW_BYTES", 20_000)
    found = planned(source, spool, source.add("FL/a", notes="n" * 50_000))
    assert found.plans[0].failure is None


def test_items_weigh_as_many_rows_or_kilobytes_as_they_have(source: Source, spool: Spool) -> None:
    several = [license_(f"PH{number}") for number in range(3)]
    found = planned(
        source,
        spool,
        source.add("FL/usual"),
        source.add("FL/several", licenses=several),
        source.add("FL/long", licenses=several, notes="n" * 100_000),
    )
    usual, rows, long = [plan.weight for plan in found.plans]
    assert usual == 1
    assert 3 <= rows <= 9
    # Each row has the notes, in its `meta`.
    assert 290 <= long <= 310


def test_an_item_with_images_weighs_as_much_as_it_would_without_them(
    source: Source, spool: Spool
) -> None:
    source.write("FL/a.png", png())
    several = [license_(f"PH{number}") for number in range(3)]
    found = planned(
        source,
        spool,
        source.add("FL/with", licenses=several, image="FL/a.png", notes="n" * 100_000),
        source.add("FL/without", licenses=several, image=None, notes="n" * 100_000),
    )
    assert found.plans[0].images
    assert abs(found.plans[0].weight - found.plans[1].weight) <= 1


def test_a_chunk_of_the_spool_stays_small_however_heavy_its_items(
    source: Source, spool: Spool
) -> None:
    paths = [
        source.add(f"FL/{number}", licenses=[license_("A"), license_("B")], notes="n" * 2_000_000)
        for number in range(4)
    ]
    found = planned(source, spool, *paths)
    assert spooled(found) == {1, 2}
    assert all(plan.failure is None for plan in found.plans)
