from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.source.image_finder import ImageFinder, image_finder
from imports.source.tree import signature_of


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder that holds a source for each day."""
    folder = tmp_path / "data"
    for day in ("2025-08-03", "2025-08-04"):
        (folder / day / "FL").mkdir(parents=True)
    return folder


@pytest.fixture
def today(data: Path) -> Path:
    return data / "2025-08-04"


@pytest.fixture
def finder(today: Path) -> ImageFinder:
    return image_finder(today, ())


def found(finder: ImageFinder, reference: str, item: Path) -> str | None:
    """The path that is found; a warning comes exactly where nothing is."""
    image, warning = finder.find(reference, str(item))
    assert (image is None) == (warning is not None)
    return image.path if image else None


@pytest.fixture
def item(today: Path) -> Path:
    return today / "FL" / "Belmar_01_parse.json"


def test_an_image_whose_real_path_is_not_utf_8_is_not_used(
    finder: ImageFinder, today: Path, item: Path
) -> None:
    try:
        odd = put(Path(os.fsdecode(os.fsencode(today / "FL") + b"/\xe9.png")))
    except OSError:
        pytest.skip("this file system takes no such names")
    link = today / "FL" / "plain.png"
    link.symlink_to(odd)
    assert found(finder, str(link), item) is None
    assert finder.beside(str(link)) is None
    link.unlink()
    link.symlink_to(put(today / "FL" / "other.png"))
    assert finder.beside(str(link)) is not None


def test_a_reference_is_taken_as_it_stands(finder: ImageFinder, today: Path, item: Path) -> None:
    picture = put(today / "FL" / "Belmar_01.png", b"picture")
    put(today / "other" / "FL" / "Belmar_01.png")
    image, warning = finder.find(str(picture), str(item))
    assert warning is None
    assert image is not None
    assert image.path == str(picture)
    assert image.signature == signature_of(picture.stat())


def test_as_it_stands_it_may_be_of_another_day(finder: ImageFinder, data: Path, item: Path) -> None:
    picture = put(data / "2025-08-03" / "FL" / "Belmar_01.png")
    put(data / "2025-08-04" / "FL" / "Belmar_01.png")
    assert found(finder, str(picture), item) == str(picture)


def test_a_path_of_another_machine_is_found_by_its_last_parts_below_the_source(
    finder: ImageFinder, today: Path, item: Path
) -> None:
    picture = put(today / "FL" / "Belmar_01.png")
    assert found(finder, "/srv/scrape/FL/Belmar_01.png", item) == str(picture)


def test_a_path_of_another_machine_is_found_below_the_folder_of_the_source(
    finder: ImageFinder, data: Path, item: Path
) -> None:
    picture = put(data / "2025-08-03" / "PA" / "Beaker_01.png")
    reference = "/home/me/scrape/data/2025-08-03/PA/Beaker_01.png"
    assert found(finder, reference, item) == str(picture)


@pytest.mark.parametrize(
    "reference",
    [
        "C:\\scrape\\data\\2025-08-04\\FL\\Belmar_01.png",
        "\\\\server\\share\\2025-08-04\\FL\\Belmar_01.png",
        "data\\2025-08-04/FL\\Belmar_01.png",
        "./2025-08-04//FL/./Belmar_01.png",
    ],
)
def test_separators_of_any_system_are_understood(
    finder: ImageFinder, today: Path, item: Path, reference: str
) -> None:
    picture = put(today / "FL" / "Belmar_01.png")
    assert found(finder, reference, item) == str(picture)


def test_the_most_parts_that_fit_decide(finder: ImageFinder, today: Path, item: Path) -> None:
    put(today / "FL" / "Belmar_01.png")
    nearer = put(today / "retry" / "FL" / "Belmar_01.png")
    assert found(finder, "/srv/retry/FL/Belmar_01.png", item) == str(nearer)


def test_the_source_goes_before_the_folder_that_holds_it(
    finder: ImageFinder, data: Path, today: Path, item: Path
) -> None:
    put(data / "FL" / "Belmar_01.png")
    nearer = put(today / "FL" / "Belmar_01.png")
    assert found(finder, "FL/Belmar_01.png", item) == str(nearer)


def test_a_bare_name_is_looked_for_beside_the_file_first(
    finder: ImageFinder, today: Path, item: Path
) -> None:
    at_top = put(today / "Belmar_01.png")
    assert found(finder, "Belmar_01.png", item) == str(at_top)
    beside = put(today / "FL" / "Belmar_01.png")
    assert found(finder, "Belmar_01.png", item) == str(beside)


def test_a_picture_beside_the_file_fits_when_its_folder_has_the_name(
    finder: ImageFinder, today: Path
) -> None:
    picture = put(today / "deep" / "down" / "FL" / "Belmar_01.png")
    item = picture.with_name("Belmar_01_parse.json")
    assert found(finder, "/srv/scrape/FL/Belmar_01.png", item) == str(picture)


@pytest.mark.parametrize(
    "reference",
    [
        "/srv/data/2025-08-03/FL/Belmar_01.png",
        "2025-08-03/FL/Belmar_01.png",
        "D:\\2025-08-03\\FL\\Belmar_01.png",
    ],
)
def test_another_days_picture_of_the_same_name_is_never_taken(
    finder: ImageFinder, today: Path, item: Path, reference: str
) -> None:
    put(today / "FL" / "Belmar_01.png")
    assert found(finder, reference, item) is None


def test_another_days_picture_is_not_taken_below_a_folder_that_has_the_day_by_chance(
    tmp_path: Path,
) -> None:
    source = tmp_path / "backup" / "2025-08-03" / "data" / "2025-08-04"
    put(source / "FL" / "Belmar_01.png")
    item = source / "FL" / "Belmar_01_parse.json"
    assert found(image_finder(source, ()), "/srv/2025-08-03/FL/Belmar_01.png", item) is None


@pytest.mark.parametrize(
    "reference", ["/srv/2025-08-04/FL/Belmar_01.png", "/srv/FL/Belmar_01.png", "FL/Belmar_01.png"]
)
def test_in_a_source_of_many_days_a_picture_is_looked_for_in_that_of_the_file(
    data: Path, item: Path, reference: str
) -> None:
    put(data / "2025-08-03" / "FL" / "Belmar_01.png")
    picture = put(data / "2025-08-04" / "FL" / "Belmar_01.png")
    assert found(image_finder(data, ()), reference, item) == str(picture)
    deeper = data / "2025-08-04" / "retry" / "Belmar_01_parse.json"
    assert found(image_finder(data, ()), reference, deeper) == str(picture)


def test_the_named_day_is_found_in_its_own_folder(
    finder: ImageFinder, data: Path, today: Path, item: Path
) -> None:
    put(today / "FL" / "Belmar_01.png")
    named = put(data / "2025-08-03" / "FL" / "Belmar_01.png")
    assert found(finder, "/srv/data/2025-08-03/FL/Belmar_01.png", item) == str(named)


DAYS = [
    ("2026-03-02", "2026-03-03"),
    ("20260302", "20260303"),
    ("03-02-2026", "03-03-2026"),
    ("03-02-2026", "02-03-2026"),
    ("03-02-2026", "2026-03-03"),
    ("2026-3-2", "2026-3-3"),
    ("2026-03-02T10-00", "2026-03-03T10-00"),
    ("2026-03-02T10-00", "2026-03-02T14-00"),
    ("2026-03-02_1000", "2026-03-03_1000"),
    ("20260302100000", "20260303100000"),
    ("Aug-04-2025", "Aug-05-2025"),
    ("2025_Aug_04", "2025_Aug_05"),
    ("4 August 2025", "5 August 2025"),
    ("Aug-04-scrape", "Aug-05-scrape"),
    ("scrape_2026-03-02", "scrape_2026-03-03"),
    ("2026.03.02", "2026.03.03"),
    ("03-02-26", "03-03-26"),
    ("2026/03/02", "2026/03/03"),
    ("2026-03-02", "20260303"),
]
"""What a reference calls its day, and a folder of another day."""


@pytest.mark.parametrize(("named", "other"), DAYS)
def test_a_picture_of_another_day_is_not_taken_however_the_day_is_spelled(
    tmp_path: Path, named: str, other: str
) -> None:
    source = tmp_path / "out"
    item = source / other / "OH" / "a_parse.json"
    put(item.with_name("shot.png"))
    beside = put(item.with_name("a.png"))
    for folder in (source, source / other):
        finder = image_finder(folder, ())
        reference = f"/home/s/out/{named}/OH/shot.png"
        assert found(finder, reference, item) is None
        assert finder.beside(str(beside), reference) is None
        assert finder.beside(str(beside), "/home/s/out/OH/shot.png") is not None
        assert finder.beside(str(beside)) is not None


@pytest.mark.parametrize("named", sorted({each for pair in DAYS for each in pair}))
def test_the_picture_of_a_day_is_taken_where_the_folder_spells_it_the_same(
    tmp_path: Path, named: str
) -> None:
    source = tmp_path / "out"
    item = source / named / "OH" / "a_parse.json"
    picture = put(item.with_name("shot.png"))
    beside = put(item.with_name("a.png"))
    for folder in (source, source / named):
        finder = image_finder(folder, ())
        assert found(finder, f"/home/s/out/{named}/OH/shot.png", item) == str(picture)
        assert finder.beside(str(beside), f"/home/s/out/{named}/OH/gone.png") is not None


@pytest.mark.parametrize(
    "folder", ["20260302", "2026-3-2", "2026-03-02T10-00", "scrape_2026.03.02", "2 March 2026"]
)
def test_the_picture_of_a_day_is_taken_where_the_folder_spells_it_otherwise(
    tmp_path: Path, folder: str
) -> None:
    picture = put(tmp_path / "out" / folder / "OH" / "a.png")
    item = picture.with_name("a_parse.json")
    finder = image_finder(tmp_path / "out", ())
    assert found(finder, "/home/s/out/2026-03-02/OH/a.png", item) == str(picture)
    assert finder.beside(str(picture), "/home/s/out/2026-03-02/OH/a.png") is not None


@pytest.mark.parametrize("name", ["20261399", "12345678", "1772445600", "v2.10.3"])
def test_a_number_that_only_looks_like_a_day_is_none(tmp_path: Path, name: str) -> None:
    picture = put(tmp_path / "out" / "2026-03-03" / "OH" / "a.png")
    item = picture.with_name("a_parse.json")
    assert found(image_finder(tmp_path / "out", ()), f"/srv/{name}/OH/a.png", item) == str(picture)


def test_a_picture_beside_is_not_taken_for_one_whose_name_has_another_day(tmp_path: Path) -> None:
    finder = image_finder(tmp_path, ())
    beside = str(put(tmp_path / "FL" / "Belmar_2026-03-03.png"))
    assert finder.beside(beside, "shots/Belmar_2026-03-02.png") is None
    assert finder.beside(beside, "2026-03-02/shot.png") is None
    assert finder.beside(beside, "shots/Belmar_20260303.png") is not None
    assert finder.beside(beside, "shots/Belmar.png") is not None
    of_a_day = str(put(tmp_path / "2026-03-03" / "Belmar.png"))
    assert finder.beside(of_a_day, "shots/Belmar_2026-03-02.png") is None


# From the JSON file on


@pytest.mark.parametrize("reference", ["../shots/a.png", "..\\shots\\a.png", "./../shots//a.png"])
def test_a_relative_reference_is_found_from_the_folder_of_the_json(
    finder: ImageFinder, today: Path, item: Path, reference: str
) -> None:
    put(today / "FL" / "a.png")
    picture = put(today / "shots" / "a.png")
    assert found(finder, reference, item) == str(picture)


@pytest.mark.parametrize("reference", ["shots/a.png", "./shots/a.png", "shots\\a.png"])
def test_from_the_folder_of_the_json_goes_before_the_source(
    finder: ImageFinder, today: Path, item: Path, reference: str
) -> None:
    at_top = put(today / "shots" / "a.png")
    assert found(finder, reference, item) == str(at_top)
    nearer = put(today / "FL" / "shots" / "a.png")
    assert found(finder, reference, item) == str(nearer)


def test_from_the_folder_of_the_json_goes_before_the_working_folder(
    finder: ImageFinder, data: Path, today: Path, item: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data)
    put(data / "a.png")
    put(data / "shots" / "a.png")
    assert found(finder, "shots/a.png", item) == str(data / "shots" / "a.png")
    for reference in ("a.png", "shots/a.png"):
        picture = put(today / "FL" / reference)
        assert found(finder, reference, item) == str(picture)


def test_a_relative_reference_does_not_reach_out_of_the_roots(
    finder: ImageFinder, tmp_path: Path, item: Path
) -> None:
    put(tmp_path / "secret" / "a.png")
    image, warning = finder.find("../../../secret/a.png", str(item))
    assert image is None
    assert warning is not None
    assert "outside" in warning
    assert found(finder, "../../../SECRET/A.png", item) is None


# Names that are spelled otherwise

COMPOSED, DECOMPOSED = "Pe\u00f1a", "Pen\u0303a"


def test_composed_and_decomposed_names_are_the_same(tmp_path: Path) -> None:
    item = tmp_path / "out" / "OH" / "a_parse.json"
    finder = image_finder(tmp_path / "out", ())
    for number, (named, own) in enumerate(((COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED))):
        picture = put(tmp_path / "out" / f"{own}{number}" / f"{own}.png")
        for prefix in ("/srv/out/", "", "../", f"{tmp_path}/out/"):
            assert found(finder, f"{prefix}{named}{number}/{named}.png", item) == str(picture)


def test_a_name_as_it_stands_goes_before_its_other_form(tmp_path: Path) -> None:
    names = {form: put(tmp_path / f"{form}.png") for form in (COMPOSED, DECOMPOSED)}
    finder = image_finder(tmp_path, ())
    for form, picture in names.items():
        assert found(finder, f"{form}.png", tmp_path / "a_parse.json") == str(picture)


@pytest.mark.parametrize("reference", ["fl/BELMAR_01.PNG", "/srv/Fl/Belmar_01.Png"])
def test_a_name_that_differs_in_case_is_found_if_it_is_the_only_one(
    finder: ImageFinder, today: Path, item: Path, reference: str
) -> None:
    picture = put(today / "FL" / "Belmar_01.png")
    assert found(finder, reference, item) == str(picture)
    put(today / "FL" / "belmar_01.png")
    image, warning = finder.find(reference, str(item))
    assert image is None
    assert warning is not None
    assert "was not found: several files have names that differ only in case" in warning
    assert str(picture) in warning


def test_what_differs_in_case_and_is_another_days_is_not_taken(
    finder: ImageFinder, today: Path, item: Path
) -> None:
    put(today / "FL" / "Belmar_01.PNG")
    assert found(finder, "/srv/2025-08-03/FL/Belmar_01.png", item) is None
    assert found(finder, "/srv/2025-08-04/FL/Belmar_01.png", item) is not None


def test_percent_escapes_are_tried_after_the_name_as_it_stands(
    finder: ImageFinder, today: Path, item: Path
) -> None:
    decoded = put(today / "FL" / "Belmar 01.png")
    assert found(finder, "/srv/FL/Belmar%2001.png", item) == str(decoded)
    assert found(finder, "Belmar%2001.PNG", item) == str(decoded)
    literal = put(today / "FL" / "Belmar%2001.png")
    assert found(finder, "/srv/FL/Belmar%2001.png", item) == str(literal)
    assert found(finder, "100%/FL/gone.png", item) is None
    assert found(finder, "/srv/2025-08-03/FL/Belmar%2001.png", item) is None


@pytest.mark.parametrize("before", ["file://", "file://localhost", "FILE:", "file:///C:"])
def test_a_file_url_is_a_path(finder: ImageFinder, today: Path, item: Path, before: str) -> None:
    picture = put(today / "FL" / "Belmar 01.png")
    assert found(finder, f"{before}/home/s/FL/Belmar%2001.png", item) == str(picture)
    assert found(finder, f"{before}{picture.parent}/Belmar%2001.png", item) == str(picture)


def test_a_picture_that_comes_into_a_folder_which_was_looked_through_is_found(
    finder: ImageFinder, today: Path, item: Path
) -> None:
    old = (1_000_000_000, 1_000_000_000)
    for folder in (today.parent, today, today / "FL"):
        os.utime(folder, old)
    assert found(finder, "FL/belmar.png", item) is None
    picture = put(today / "FL" / "Belmar.png")
    assert found(finder, "FL/belmar.png", item) == str(picture)
    os.utime(today / "FL", old)
    assert found(finder, "FL/belmar.png", item) == str(picture)
    picture.unlink()
    os.utime(today / "FL", old)
    assert found(finder, "FL/belmar.png", item) is None


def test_a_picture_that_is_nowhere_gives_a_warning_that_names_it(
    finder: ImageFinder, item: Path
) -> None:
    image, warning = finder.find("/srv/2025-08-04/FL/gone.png", str(item))
    assert image is None
    assert warning == "image '/srv/2025-08-04/FL/gone.png' was not found"


def test_the_password_file_is_refused_with_the_option_that_would_allow_it(
    finder: ImageFinder, item: Path
) -> None:
    image, warning = finder.find("/etc/passwd", str(item))
    assert image is None
    assert warning is not None
    assert "outside" in warning
    assert "--image-root" in warning


def test_a_link_that_leads_out_is_refused(
    finder: ImageFinder, tmp_path: Path, today: Path, item: Path
) -> None:
    secret = put(tmp_path / "secret" / "Belmar_01.png")
    (today / "FL" / "Belmar_01.png").symlink_to(secret)
    assert found(finder, "FL/Belmar_01.png", item) is None
    assert finder.beside(str(today / "FL" / "Belmar_01.png")) is None
    assert not finder.may_read(str(secret))


def test_a_linked_folder_that_leads_out_is_refused(
    finder: ImageFinder, tmp_path: Path, today: Path, item: Path
) -> None:
    put(tmp_path / "secret" / "Belmar_01.png")
    (today / "PA").symlink_to(tmp_path / "secret")
    assert found(finder, "PA/Belmar_01.png", item) is None


def test_a_link_inside_is_followed_to_the_real_file(
    finder: ImageFinder, data: Path, today: Path, item: Path
) -> None:
    real = put(data / "2025-08-03" / "FL" / "Belmar_01.png")
    (today / "FL" / "Belmar_01.png").symlink_to(real)
    assert found(finder, "2025-08-04/FL/Belmar_01.png", item) == str(real)


def test_a_refused_place_does_not_hide_an_allowed_one(
    finder: ImageFinder, tmp_path: Path, today: Path, item: Path
) -> None:
    outside = put(tmp_path / "elsewhere" / "FL" / "Belmar_01.png")
    inside = put(today / "FL" / "Belmar_01.png")
    assert found(finder, str(outside), item) == str(inside)


def test_an_image_root_allows_reading_and_is_searched(
    tmp_path: Path, today: Path, item: Path
) -> None:
    shots = tmp_path / "shots"
    picture = put(shots / "FL" / "Belmar_01.png")
    finder = image_finder(today, (shots,))
    assert found(finder, str(picture), item) == str(picture)
    assert found(finder, "/srv/FL/Belmar_01.png", item) == str(picture)
    assert found(image_finder(today, ()), str(picture), item) is None


def test_a_root_does_not_allow_its_namesake_with_a_longer_name(
    tmp_path: Path, today: Path, item: Path
) -> None:
    (tmp_path / "shots").mkdir()
    outside = put(tmp_path / "shots-private" / "a.png")
    finder = image_finder(today, (tmp_path / "shots",))
    assert not finder.may_read(str(outside))
    assert found(finder, str(outside), item) is None


@pytest.mark.parametrize(
    "reference",
    ["../../secret/a.png", "FL/../../../secret/a.png", "..\\..\\secret\\a.png", "..", "/", "."],
)
def test_going_up_leads_nowhere(
    finder: ImageFinder, tmp_path: Path, item: Path, reference: str
) -> None:
    put(tmp_path / "secret" / "a.png")
    assert found(finder, reference, item) is None


@pytest.mark.parametrize("reference", ["a\0b.png", "FL/\0", "x" * 5000, "FL/" + "y" * 300 + ".png"])
def test_a_reference_that_is_no_path_is_only_not_found(
    finder: ImageFinder, item: Path, reference: str
) -> None:
    assert found(finder, reference, item) is None


@given(st.text(max_size=40))
def test_no_reference_makes_the_search_fail_or_reach_out_of_the_roots(reference: str) -> None:
    finder = image_finder(Path("/nonexistent/data/2025-08-04"), ())
    image, warning = finder.find(reference, "/nonexistent/data/2025-08-04/FL/a_parse.json")
    assert image is None
    assert warning


def test_a_folder_or_a_pipe_is_no_picture(finder: ImageFinder, today: Path, item: Path) -> None:
    (today / "FL" / "folder.png").mkdir()
    os.mkfifo(today / "FL" / "pipe.png")
    assert found(finder, "FL/folder.png", item) is None
    assert found(finder, "FL/pipe.png", item) is None


def test_the_picture_beside_is_found_at_exactly_its_path(finder: ImageFinder, today: Path) -> None:
    picture = put(today / "FL" / "Belmar_01.png")
    image = finder.beside(str(picture))
    assert image is not None
    assert image.path == str(picture)
    assert finder.beside(str(today / "FL" / "Belmar_02.png")) is None


def test_the_root_of_the_file_system_is_not_opened_by_a_source_right_below_it() -> None:
    finder = image_finder(Path("/importer-test-source"), ())
    assert finder.bases == ("/importer-test-source",)
    assert finder.may_read("/importer-test-source/a.png")
    assert not finder.may_read("/etc/passwd")


def test_a_source_and_a_root_that_are_links_are_taken_for_what_they_lead_to(
    tmp_path: Path, today: Path
) -> None:
    link = tmp_path / "somewhere" / "link"
    link.parent.mkdir()
    link.symlink_to(today)
    picture = put(today / "FL" / "Belmar_01.png")
    finder = image_finder(link, ())
    assert found(finder, "FL/Belmar_01.png", link / "FL" / "a_parse.json") == str(picture)
    rooted = image_finder(tmp_path / "somewhere", (link,))
    assert rooted.may_read(str(picture))
