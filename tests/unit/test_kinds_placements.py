"""Which places images may have."""

from __future__ import annotations

import pytest

from imports.errors import RecordError
from imports.items.images import ImageFile, Placement
from imports.items.source import Signature
from imports.kinds.kind import ItemPlan
from imports.kinds.placements import check_placements

FILE = ImageFile("/data/a.png", Signature(1, 1))


def check(*places: Placement | None) -> None:
    check_placements(ItemPlan((FILE,) * len(places), placements=places))


@pytest.mark.parametrize(
    "path",
    ["a", "recognitions/100024/camera1.jpg", "a-b_c.d=e/_f/-g.jpeg", "A/" + "b" * 200],
)
def test_a_path_that_every_store_can_have_is_fine(path: str) -> None:
    check(Placement("rrs-photos", path), None, Placement("other", path))


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "a/./b", "a/.b", ".a"),
        *("a\0b", "a\nb", "a\n", "a\x7fb", "a\\b", "a b", "a?b", "a#b", "a%2e%2e/b", "ä", "a:b"),
        *("b" * 201, "/".join(["b" * 100] * 8), "C:\\a", "~/a", ".importer/a"),
    ],
)
def test_a_path_that_leads_out_or_is_not_safe_everywhere_is_refused(path: str) -> None:
    with pytest.raises(RecordError, match="no image can be stored at"):
        check(Placement("rrs-photos", path))


@pytest.mark.parametrize(
    "bucket",
    ["", "..", "a/b", "-a", "a.b", "Photos", "imagecache", "postgresql", "spool", "a" * 64, "ab\n"],
)
def test_a_bucket_that_is_none_or_something_else_of_ours_is_refused(bucket: str) -> None:
    with pytest.raises(RecordError, match="no image can be stored in a bucket named"):
        check(Placement(bucket, "a"))


def test_two_images_of_an_item_cannot_have_one_place() -> None:
    with pytest.raises(RecordError, match="two images for the same place, photos/a"):
        check(Placement("photos", "a"), Placement("photos", "a"))


def test_a_kind_gives_each_image_a_place_or_none() -> None:
    with pytest.raises(ValueError, match="as many placements as images"):
        check_placements(ItemPlan((FILE,), placements=(None, None)))
