"""Images at places of their own: the place is the unit, and a failed item leaves it as it was."""

from __future__ import annotations

import pytest

from imports.backends.retry import RetryPolicy
from imports.backends.target import open_target
from imports.items.images import ImageFile, Placement
from imports.source.image_content import read_image
from imports.source.tree import signature_of
from tests.support.bench import Bench
from tests.support.killing import Killed, killed, killed_after
from tests.support.proxy import http_answer
from tests.support.small_kinds.placed import BUCKET, Trays, place
from tests.support.source import png


def uploads(report: object) -> tuple[int, int, int]:
    return tuple(report.count(f"upload.{name}") for name in ("completed", "skipped", "failed"))  # type: ignore


def test_images_are_stored_at_their_places_and_not_under_their_hash(trays: Trays) -> None:
    trays.add(1, png(1), png(2))
    report = trays.run()
    assert (report.exit_code, uploads(report)) == (0, (2, 0, 0))
    assert trays.rows() == [(1, "good")]
    assert trays.stored() == [place(1).path, place(1, "camera2").path]
    assert (trays.photo(1), trays.photo(1, "camera2")) == (png(1), png(2))
    assert trays.bench.images() == {}
    assert trays.verify(deep=True).clean
    # A second run has nothing to do.
    assert uploads(trays.run()) == (0, 0, 0)
    if trays.bench.target.supabase_url is not None:
        assert trays.bench.api("GET", "/storage/v1/bucket/trays-of-tests").json()["public"] is False


def test_the_same_content_at_two_places_is_stored_twice(trays: Trays) -> None:
    trays.add(1, png(1), png(1))
    trays.add(2, png(1))
    assert uploads(trays.run()) == (3, 0, 0)
    assert trays.photo(1) == trays.photo(1, "camera2") == trays.photo(2) == png(1)


def test_an_image_replaces_what_an_earlier_run_put_there(trays: Trays) -> None:
    trays.add(1, png(1), png(2))
    trays.run()
    trays.add(1, png(3), png(2))
    report = trays.run()
    assert (report.exit_code, uploads(report)) == (0, (1, 1, 0))
    assert (trays.photo(1), trays.photo(1, "camera2")) == (png(3), png(2))
    # Of what was there before no copy is left.
    assert trays.stored() == [place(1).path, place(1, "camera2").path]
    assert trays.verify(deep=True).clean


def test_what_somebody_else_has_put_there_is_not_overwritten_unless_by_force(trays: Trays) -> None:
    trays.put(1, png(9), "camera2")
    trays.add(1, png(1), png(2))
    trays.add(2, png(3))
    report = trays.run()
    assert (report.exit_code, uploads(report)) == (3, (2, 0, 1))
    ((path, reason),) = [(each.path, each.reason) for each in report.failures]
    assert path == "tray_1.json"
    assert f"belongs at {place(1, 'camera2')}, where somebody else has put another image" in reason
    # The other photo of the tray is gone again, what was there stays.
    assert (trays.photo(1), trays.photo(1, "camera2")) == (None, png(9))
    assert trays.rows() == [(2, "good")]

    assert uploads(trays.run(force=True)) == (2, 1, 0)
    assert (trays.photo(1), trays.photo(1, "camera2")) == (png(1), png(2))
    assert trays.rows() == [(1, "good"), (2, "good")]
    assert len(trays.stored()) == 3


def test_a_failed_item_takes_back_what_it_put_and_nothing_else(trays: Trays) -> None:
    trays.add(1, png(1), png(2))
    trays.run()
    # The same content, by somebody else: it is taken as it is, and stays.
    trays.put(2, png(5), "camera2")
    trays.add(1, png(3), png(2), label="bad")
    trays.add(2, png(4), png(5), label="bad")
    report = trays.run()
    assert (report.exit_code, uploads(report)) == (3, (2, 2, 0))
    assert report.count("upload.taken_back") == 2
    assert (trays.photo(1), trays.photo(1, "camera2")) == (png(1), png(2))
    assert (trays.photo(2), trays.photo(2, "camera2")) == (None, png(5))
    assert trays.rows() == [(1, "good")]
    assert len(trays.stored()) == 3
    # The one that was put back is ours again.
    trays.add(1, png(6), png(2))
    assert trays.run().exit_code == 3
    assert trays.photo(1) == png(6)


def test_a_replaced_foreign_image_comes_back_if_the_item_fails(trays: Trays) -> None:
    trays.put(1, png(9))
    trays.add(1, png(1), label="bad")
    assert trays.run(force=True).exit_code == 3
    assert trays.photo(1) == png(9)
    assert len(trays.stored()) == 1
    # It is still somebody else's.
    trays.add(1, png(2))
    assert "somebody else" in trays.run().failures[0].reason
    assert trays.photo(1) == png(9)


def test_of_two_items_with_images_for_one_place_the_later_one_has_it(trays: Trays) -> None:
    trays.add(1, png(2), name="b", label="later")
    trays.add(1, png(1), name="a", label="earlier")
    report = trays.run()
    assert (report.exit_code, uploads(report)) == (3, (1, 0, 1))
    assert [each.path for each in report.failures] == ["tray_a.json"]
    assert "of tray_b.json, which comes later" in report.failures[0].reason
    assert (trays.photo(1), trays.rows()) == (png(2), [(1, "later")])
    # So it is when the earlier one comes alone.
    trays.add(1, png(3), name="a", label="earlier")
    assert trays.run().exit_code == 3
    assert (trays.photo(1), trays.rows()) == (png(2), [(1, "later")])


def test_an_image_that_two_items_share_stays_if_one_of_them_fails(trays: Trays) -> None:
    trays.add(1, png(1), label="bad")
    trays.add(2, png(1), at=1)
    trays.add(3, png(3), at=1, label="bad")
    assert trays.run().exit_code == 3
    assert (trays.photo(1), trays.rows()) == (None, [])
    trays.add(3, png(1), at=1, label="bad")
    assert trays.run().exit_code == 3
    assert (trays.photo(1), trays.rows()) == (png(1), [(2, "good")])


def test_the_image_of_an_older_row_does_not_stay(trays: Trays) -> None:
    trays.add(1, png(1))
    trays.run()
    trays.add(1, png(2), label="old", taken_at="2001-01-01T00:00:00")
    report = trays.run()
    assert (report.exit_code, report.count("import.skipped")) == (0, 1)
    assert (trays.photo(1), trays.rows()) == (png(1), [(1, "good")])
    assert len(trays.stored()) == 1


def test_verification_finds_a_changed_image_and_repair_puts_it_again(trays: Trays) -> None:
    for number in range(1, 5):
        trays.add(number, png(number))
    trays.run()
    trays.put(1, png(7))
    trays.put(2, None)
    trays.put(3, png(3) + b"more")
    report = trays.verify(deep=True)
    assert {(each.found, each.subject) for each in report.findings} == {
        ("different", str(place(1))),
        ("missing", str(place(2))),
        ("different", str(place(3))),
    }
    assert trays.verify(deep=True, repair=True).clean
    assert [trays.photo(number) for number in range(1, 5)] == [png(each) for each in range(1, 5)]
    assert len(trays.stored()) == 4
    assert trays.verify(deep=True).clean


def test_what_is_left_of_an_item_that_is_gone_is_taken_back(
    trays: Trays, monkeypatch: pytest.MonkeyPatch
) -> None:
    trays.add(1, png(1))
    trays.run()
    trays.add(1, png(2))
    new = trays.add(2, png(3))
    with monkeypatch.context() as patched:
        patched.setattr("imports.phases.steps.import_items", killed)
        with pytest.raises(Killed):
            trays.run()
    assert (trays.photo(1), trays.photo(2)) == (png(2), png(3))
    new.unlink()
    trays.add(1, png(4))
    assert trays.run(restart=True).exit_code == 0
    assert (trays.photo(1), trays.photo(2)) == (png(4), None)
    assert trays.stored() == [place(1).path]


def test_what_somebody_puts_there_while_a_run_is_interrupted_stays(
    trays: Trays, monkeypatch: pytest.MonkeyPatch
) -> None:
    trays.add(1, png(1))
    trays.run()
    trays.add(1, png(2))
    with monkeypatch.context() as patched:
        patched.setattr("imports.phases.steps.import_items", killed)
        with pytest.raises(Killed):
            trays.run()
    assert len(trays.stored()) == 2
    trays.put(1, png(9))
    report = trays.run(restart=True)
    assert report.exit_code == 3
    assert "where meanwhile somebody else has put another image" in report.failures[0].reason
    assert "an image that no run of ours has put there: it stays" in str(report.notices)
    assert (trays.photo(1), trays.stored()) == (png(9), [place(1).path])


def test_a_store_puts_over_nothing_unless_told_to(trays: Trays) -> None:
    """What the places of each backend promise."""
    files = [trays.bench.source.write(f"{number}.png", png(number)) for number in (1, 2)]
    one, other = (read_image(ImageFile(str(each), signature_of(each.stat()))) for each in files)
    target = open_target(trays.bench.settings(), RetryPolicy(0))
    try:
        places, a, b = target.places, place(1), Placement(BUCKET, ".importer/b")
        places.bucket(BUCKET).prepare()
        assert places.size(a) is None
        assert places.put(a, one, over=False)
        assert not places.put(a, other, over=False)
        assert (places.size(a), places.sha256(a)) == (len(png(1)), one.sha256)
        for _ in range(2):
            places.copy(a, b)
            assert places.sha256(b) == one.sha256
        assert places.put(a, other, over=True)
        assert (places.sha256(a), places.sha256(b)) == (other.sha256, one.sha256)
        places.copy(b, a)
        assert places.sha256(a) == one.sha256
        for _ in range(2):
            places.remove(b)
        assert trays.stored() == [a.path]
    finally:
        target.close()


def test_one_request_tells_which_folders_there_are(trays: Trays) -> None:
    for number in (17, 18, 29):
        trays.put(number, png(1))
    target = open_target(trays.bench.settings(), RetryPolicy(0))
    try:
        names, root = (
            target.places.names(Placement(BUCKET, folder), beginning)
            for folder, beginning in (("trays", "1"), ("", "tr"))
        )
    finally:
        target.close()
    if trays.bench.target.supabase_url is None:
        assert names is root is None
    else:
        assert names is not None
        assert root is not None
        # There may be others: the local Supabase looks for the text anywhere in a path.
        assert {"17", "18"} <= {*names}
        assert "19" not in names
        assert {*root} == {"trays"}


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (b'[{"name": "17", "id": null}, {"name": "17_a", "id": null}]', {"17", "17_a"}),
        (b"[]", set()),
        (b"[%b]" % b", ".join([b'{"name": "17"}'] * 1_000), None),
    ],
)
def test_a_hosted_store_answers_with_the_names_in_the_folder(
    supabase_bench_shared: Bench, answer: bytes, names: set[str] | None
) -> None:
    listed = b"POST /storage/v1/object/list/%b" % BUCKET.encode()
    proxy = supabase_bench_shared.proxied()
    for page in (answer, b"[]"):
        json = http_answer("200 OK", page, "Content-Type: application/json")
        proxy.add(listed, action="answer", answer=json)
    target = open_target(supabase_bench_shared.settings(), RetryPolicy(0))
    try:
        assert target.places.names(Placement(BUCKET, "trays"), "17") == names
    finally:
        target.close()


def test_no_item_fails_where_no_image_at_all_can_be_put(
    supabase_bench_shared: Bench, monkeypatch: pytest.MonkeyPatch, waits: object
) -> None:
    trays = Trays(supabase_bench_shared, monkeypatch)
    for number in range(1, 5):
        trays.add(number, png(number), png(number))
    bad_gateway = http_answer("502 Bad Gateway", b"<html><body>nginx</body></html>")
    put = b"POST /storage/v1/object/%b/" % BUCKET.encode()
    proxy = supabase_bench_shared.proxied()
    fault = proxy.add(put, action="answer", answer=bad_gateway, times=10**6)
    report = trays.run(max_retries=0)
    assert (report.exit_code, report.failures, trays.rows()) == (75, [], [])
    fault.times = 0
    assert (trays.run().exit_code, len(trays.stored()), len(trays.rows())) == (0, 8, 4)


MOST_STEPS = 20


@pytest.mark.parametrize("label", ["new", "bad"])
def test_a_run_killed_after_any_step_is_gone_on_with(trays: Trays, label: str) -> None:
    """The first photo replaces an older one, the second one is new."""
    for number in range(1, MOST_STEPS + 1):
        trays.add(number, png(number))
    trays.run()
    for number in range(1, MOST_STEPS + 1):
        before = trays.stored()
        tray = trays.add(number, png(100 + number), png(200 + number), label=label)
        was_killed = killed_after(number, trays.run)
        # Whatever rows there are: the photo that they name is there.
        assert trays.photo(number) in (png(number), png(100 + number))
        report = trays.run()
        row = dict(trays.rows())[number]
        photos = trays.photo(number), trays.photo(number, "camera2")
        if label == "new":
            assert (row, *photos) == ("new", png(100 + number), png(200 + number))
            assert trays.stored() == sorted([*before, place(number, "camera2").path])
        else:
            assert (row, *photos) == ("good", png(number), None)
            assert trays.stored() == before
        assert report.exit_code == (3 if label == "bad" else 0)
        if not was_killed:
            break
        # Else each further run would try it again.
        tray.unlink()
    assert number > 9
    assert number < MOST_STEPS
