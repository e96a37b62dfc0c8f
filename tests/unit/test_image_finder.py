from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.image_finder import ImageFinder, image_finder
from imports.source_tree import signature_of


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
