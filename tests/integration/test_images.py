"""Images: stored once, where they belong, and nothing that is none."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import httpx
import pytest

from imports.backends.retry import RetryPolicy
from imports.backends.target import open_target
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.pictures import heif, pdf, tiff
from tests.support.source import gif, jpeg, license_, png


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def place(content: bytes, extension: str = "png") -> str:
    name = sha256(content)
    return f"sha256/{name[:2]}/{name[2:4]}/{name}.{extension}"


def uploads(report: object) -> tuple[int, int, int]:
    return tuple(report.count(f"upload.{name}") for name in ("completed", "skipped", "failed"))  # type: ignore


def test_an_image_is_stored_under_its_hash(bench: Bench) -> None:
    content = png(1, width=7, height=9)
    bench.source.write("2025-08-04/FL/Belmar_01.png", content)
    bench.source.add("2025-08-04/FL/a", image="/srv/scrape/2025-08-04/FL/Belmar_01.png")
    report = bench.run()

    assert (report.exit_code, uploads(report)) == (0, (1, 0, 0))
    assert bench.stored(place(content)) == content
    storage_type = "local" if bench.target.backend == "postgresql" else "supabase"
    assert query(
        bench.url,
        "SELECT content_hash, storage_path, storage_type, file_size, content_type, width, height,"
        " first_seen > now() - interval '1 minute' FROM image_assets",
    ) == [
        (sha256(content), place(content), storage_type, len(content), "image/png", 7, 9, True),
    ]
    assert bench.rows("image_hash") == [(sha256(content),)]


def test_the_extension_comes_from_the_content(bench: Bench) -> None:
    contents = {"gif": (gif(3, 2), "image/gif", 3, 2), "jpg": (jpeg(5, 4), "image/jpeg", 5, 4)}
    for extension, (content, *_) in contents.items():
        bench.source.write(f"FL/{extension}.png", content)
        bench.source.add(f"FL/{extension}", name=extension, image=f"FL/{extension}.png")
    assert bench.run().exit_code == 0
    for extension, (content, *_) in contents.items():
        assert bench.stored(place(content, extension)) == content
    assert query(
        bench.url,
        "SELECT storage_path, content_type, width, height FROM image_assets ORDER BY content_type",
    ) == [(place(content, name), *rest) for name, (content, *rest) in contents.items()]


def test_an_image_that_two_files_name_is_stored_once(bench: Bench) -> None:
    content = png(1)
    bench.source.write("FL/a.png", content)
    bench.source.write("GA/copy.png", content)
    bench.source.add("FL/one", name="One", image="FL/a.png")
    bench.source.add("FL/two", name="Two", image="FL/a.png")
    bench.source.add("GA/three", name="Three", image="GA/copy.png")
    report = bench.run()
    assert uploads(report) == (1, 0, 0)
    assert bench.images() == {sha256(content): place(content)}
    assert bench.rows("image_hash") == [(sha256(content),)] * 3


def test_the_picture_beside_the_file_is_taken(bench: Bench) -> None:
    bench.source.write("FL/a.png", png(1))
    bench.source.add("FL/a", image="somewhere/else.png")
    bench.source.write("FL/b.png", png(2))
    bench.source.add("FL/b", name="B")
    report = bench.run()
    assert report.warnings == []
    assert set(bench.images()) == {sha256(png(1)), sha256(png(2))}


def test_a_missing_image_is_a_warning(bench: Bench) -> None:
    bench.source.add_many(3, images=True)
    bench.source.add("gone", image="FL/gone.png")
    report = bench.run()
    assert report.exit_code == 0
    assert report.count("planning.images_missing") == 1
    ((path, text),) = report.warnings
    assert path == "gone_parse.json"
    assert "FL/gone.png" in text
    assert bench.rows("license_number", "1") == [("PH0000",), ("PH0001",), ("PH0002",), ("PH1",)]
    assert bench.rows("image_hash")[-1] == (None,)
    assert len(bench.images()) == 3


def test_a_text_that_calls_itself_an_image_is_not_stored(bench: Bench) -> None:
    bench.source.write("FL/diary.png", b"Dear diary, " * 20)
    bench.source.write("FL/key.txt", b"hunter2")
    bench.source.write("FL/drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    bench.source.write("FL/empty.png", b"")
    for name in ("diary.png", "key.txt", "drawing.png", "empty.png"):
        bench.source.add(f"{name}-", name=name, image=f"FL/{name}")
    report = bench.run()
    assert report.exit_code == 0
    assert report.count("sha256.unusable") == 4
    assert report.warnings_total == 4
    assert all("is not a PNG" in text for _, text in report.warnings)
    assert bench.images() == {}
    assert bench.rows("image_hash") == [(None,)] * 4
    assert not [each for each in (bench.data_folder / "imagecache").rglob("*") if each.is_file()]


def test_a_document_or_a_tiff_that_a_file_names_is_stored_as_what_it_is(bench: Bench) -> None:
    contents = {
        "avif": (heif(b"avif"), "image/avif", 3, 2),
        "heic": (heif(), "image/heic", 3, 2),
        "pdf": (pdf(), "application/pdf", None, None),
        "tif": (tiff(7, 5), "image/tiff", 7, 5),
    }
    for extension, (content, *_) in contents.items():
        # By its content, also where the name says otherwise.
        for name in (f"a.{extension}", f"{extension}.png"):
            bench.source.write(f"FL/{name}", content)
            bench.source.add(f"FL/{name}-", name=name, image=f"FL/{name}")
    report = bench.run()
    assert (report.exit_code, report.warnings, uploads(report)) == (0, [], (4, 0, 0))
    for extension, (content, *_) in contents.items():
        assert bench.stored(place(content, extension)) == content
    assert query(
        bench.url,
        "SELECT storage_path, content_type, width, height FROM image_assets"
        " ORDER BY split_part(storage_path, '.', 2)",
    ) == [(place(content, name), *rest) for name, (content, *rest) in contents.items()]
    assert bench.count("search_results") == 8
    assert None not in bench.rows("image_hash")
    assert bench.verify(deep=True).clean


def test_images_that_cannot_be_shown_are_stored_with_a_warning(bench: Bench) -> None:
    header = png()[:8]
    claims = png(1, 60_000, 1)[:16] + struct.pack(">LL", 60_000, 60_000) + png(1)[24:]
    contents = {
        "header_only": header,
        "truncated": png(2)[:40],
        "bomb": claims,
        "html": b"GIF89a<script>alert(1)</script>",
        "endless": jpeg()[:-2],
        "good": png(3),
    }
    flaws = {
        "header_only": "it is cut off",
        "truncated": "it is cut off",
        "bomb": f"it claims 60,000 × 60,000 pixels in {len(claims)} bytes",
        "html": "only its first bytes are those of a GIF",
        "endless": "it is cut off",
    }
    for name, content in contents.items():
        bench.source.write(f"{name}.png", content)
        bench.source.add(name, name=name, image=f"{name}.png")
    expected = [
        (
            f"{name}_parse.json",
            f"image {bench.source.folder}/{name}.png is stored as it is, but {flaws[name]}",
        )
        for name in sorted(flaws)
    ]
    # The second run hashes nothing; the third, of another dataset, has other items.
    for flags in ({}, {"force": True}, {"tag": "other", "restart": True}):
        report = bench.run(**flags)
        assert report.exit_code == 0
        assert report.warnings == expected
        assert report.count("sha256.flawed") == 5
        assert report.count("sha256.processed") == (0 if flags else 6)
    assert set(bench.images()) == {sha256(content) for content in contents.values()}
    kinds = dict(query(bench.url, "SELECT content_hash, content_type FROM image_assets"))
    assert kinds[sha256(contents["html"])] == "image/gif"
    assert kinds[sha256(contents["endless"])] == "image/jpeg"
    assert bench.verify(tag="other").clean


def test_the_picture_of_another_day_is_not_taken(bench: Bench) -> None:
    for name, other in (("03-02-2026", "03-03-2026"), ("2026-3-2", "2026-3-3")):
        bench.source.write(f"{other}/OH/shot.png", png(1))
        bench.source.add(f"{other}/OH/shot", name=name, image=f"/srv/out/{name}/OH/shot.png")
        bench.source.write(f"{other}/OH/own.png", png(2))
        bench.source.add(f"{other}/OH/b", name=other, image=f"/srv/out/{other}/OH/own.png")
    report = bench.run()
    assert report.count("planning.images_missing") == 2
    assert all("was not found" in text for _, text in report.warnings)
    assert set(bench.images()) == {sha256(png(2))}


def test_only_the_folders_of_the_source_are_read(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "private" / "photo.png"
    outside.parent.mkdir()
    outside.write_bytes(png(5))
    (bench.source.folder / "link.png").symlink_to(outside)
    (bench.source.folder / "passwd.png").symlink_to("/etc/passwd")
    up = "../" * 12
    references = ["/etc/passwd", f"{up}etc/passwd", str(outside), "link.png", "passwd.png"]
    references += [f"{up}{outside.relative_to('/')}", "file:///etc/passwd", "/dev/zero", ".."]
    for number, reference in enumerate(references):
        bench.source.add(f"{number}", name=f"N{number}", image=reference)
    report = bench.run()
    assert report.exit_code == 0
    assert report.warnings_total == len(references)
    assert bench.images() == {}
    assert bench.stored(place(outside.read_bytes())) is None
    assert bench.stored(place(Path("/etc/passwd").read_bytes())) is None
    assert bench.rows("image_hash") == [(None,)] * len(references)


def test_an_image_root_is_read_too(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "private" / "photo.png"
    outside.parent.mkdir()
    outside.write_bytes(png(5))
    bench.source.add("a", image=str(outside))
    bench.source.add("b", name="B", image="/home/somebody/elsewhere/private/photo.png")
    assert bench.run(image_roots=(tmp_path / "private",)).exit_code == 0
    assert bench.images() == {sha256(png(5)): place(png(5))}


def test_what_is_uploaded_is_not_uploaded_again(bench: Bench) -> None:
    bench.source.add_many(12, images=True)
    assert uploads(bench.run()) == (12, 0, 0)
    before = bench.versions()
    proxy = bench.proxied()
    bench.forget()
    assert uploads(bench.run(tag="another")) == (0, 12, 0)
    assert bench.versions()["image_assets"] == before["image_assets"]
    # Nor even tried: what the target has is asked in bulk.
    assert not [line for line in proxy.requests if b"/object/" in line]


def test_a_second_run_hashes_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.source.add_many(5, images=True)
    assert bench.run().count("sha256.processed") == 5
    monkeypatch.setattr("imports.phases.sha256.read_image", pytest.fail)
    report = bench.run(force=True)
    assert report.count("sha256.processed") == 0
    assert uploads(report) == (0, 5, 0)


def test_an_image_that_changes_is_hashed_and_stored_again(bench: Bench) -> None:
    bench.source.add_many(3, images=True)
    bench.run()
    bench.source.write("day/0001.png", png(77))
    bench.source.add("day/0001", name="Pharmacy 0001", licenses=[], image="day/0001.png")
    report = bench.run()
    assert (report.count("sha256.processed"), uploads(report)) == (1, (1, 0, 0))
    assert bench.stored(place(png(77))) == png(77)
    assert bench.stored(place(png(2))) == png(2)
    assert (sha256(png(77)),) in bench.rows("image_hash")


def test_an_object_without_its_row_is_taken_as_there(bench: Bench) -> None:
    bench.source.add_many(4, images=True)
    bench.run()
    query(bench.url, "TRUNCATE search_results, image_assets")
    bench.forget()
    report = bench.run()
    assert (report.exit_code, uploads(report)) == (0, (0, 4, 0))
    assert len(bench.images()) == 4
    assert bench.verify(deep=True).clean


def test_a_row_without_its_object_is_mended_by_force(bench: Bench) -> None:
    bench.source.add_many(2, images=True)
    bench.run()
    for path in bench.images().values():
        bench.store(path, None)
    assert uploads(bench.run(force=True)) == (2, 0, 0)
    assert bench.stored(place(png(1))) == png(1)


def test_the_bucket_is_made_and_private(supabase_bench_shared: Bench) -> None:
    bench = supabase_bench_shared
    assert not bench.api("GET", "/storage/v1/bucket/imagecache").is_success
    bench.source.add_many(1, images=True)
    bench.run()
    assert bench.api("GET", "/storage/v1/bucket/imagecache").json()["public"] is False
    public = f"{bench.target.supabase_url}/storage/v1/object/public/imagecache/{place(png(1))}"
    assert not httpx.get(public, trust_env=False).is_success


def test_nothing_is_made_where_there_are_no_images(bench: Bench) -> None:
    bench.source.add_many(2)
    bench.run()
    assert not (bench.data_folder / "imagecache").exists()
    if bench.target.backend == "supabase":
        assert not bench.api("GET", "/storage/v1/bucket/imagecache").is_success


def test_what_stands_under_its_hash_is_found_at_its_place(bench: Bench) -> None:
    """The protocol of an image store, on each of them."""
    bench.source.add_many(1, images=True)
    bench.run()
    target = open_target(bench.settings(), RetryPolicy(0))
    try:
        store = target.store
        path = place(png(1))
        assert store.size(path) == len(png(1))
        assert store.sha256(path) == sha256(png(1))
        store.remove(path)
        assert store.size(path) is None
        store.remove(path)
        store.prepare()
        store.prepare()
    finally:
        target.close()


def test_a_folder_for_images_that_cannot_be_made(postgresql_bench: Bench) -> None:
    bench = postgresql_bench
    bench.source.add_many(2, images=True)
    bench.data_folder.mkdir()
    (bench.data_folder / "imagecache").write_text("in the way")
    from imports.errors import BackendError

    with pytest.raises(BackendError, match="imagecache"):
        bench.run()
    (bench.data_folder / "imagecache").unlink()
    assert bench.run().count("import.inserted") == 2


def test_two_licences_share_the_image_of_their_search(bench: Bench) -> None:
    bench.source.write("FL/a.png", png(1))
    bench.source.add("FL/a", licenses=[license_("A"), license_("B")], image="a.png")
    bench.run()
    assert bench.rows("license_number, image_hash") == [
        ("A", sha256(png(1))),
        ("B", sha256(png(1))),
    ]


def test_images_of_many_pages_are_listed_and_noted_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imports.phases.upload.BATCH_SIZE", 3)
    bench.source.add_many(11, images=True)
    assert uploads(bench.run()) == (11, 0, 0)
    assert len(bench.images()) == 11
    before = bench.versions()
    bench.forget()
    bench.source.add("more", name="More", image="day/0001.png")
    bench.source.write("new.png", png(99))
    bench.source.add("new", name="New", image="new.png")
    assert uploads(bench.run(tag="another")) == (1, 11, 0)
    assert set(before["image_assets"]) < set(bench.versions()["image_assets"])
    assert len(bench.images()) == 12


def large(number: int) -> bytes:
    return png(number) + number.to_bytes(1) * 3_000_000


def test_a_large_image_is_sent_in_pieces(bench: Bench) -> None:
    bench.source.write("large.png", large(1))
    bench.source.add("large", image="large.png")
    assert uploads(bench.run()) == (1, 0, 0)
    assert bench.stored(place(large(1))) == large(1)
    bench.forget()
    assert uploads(bench.run(force=True)) == (0, 1, 0)
    assert bench.verify(deep=True).clean


@pytest.mark.parametrize("content", [png(55), large(55)], ids=["small", "large"])
def test_an_image_that_changes_while_it_is_sent_stands_under_no_wrong_name(
    supabase_bench_shared: Bench, content: bytes
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(2, images=True)
    bench.source.write("changing.png", content)
    bench.source.add("changing", name="Changing", image="changing.png")
    path = bench.source.folder / "changing.png"
    name = place(content).encode()
    fault = bench.proxied().add(
        b"POST /storage/v1/object/imagecache/" + name,
        action="call",
        call=lambda: path.write_bytes(bytes(len(content))),
    )
    report = bench.run()
    assert fault.happened == 1
    if len(content) < 1_000_000:
        # It was read before anything was sent.
        assert uploads(report) == (3, 0, 0)
        assert bench.stored(place(content)) == content
    else:
        assert (report.exit_code, uploads(report)) == (3, (2, 0, 1))
        assert bench.stored(place(content)) is None
        ((failed, reason),) = [(each.path, each.reason) for each in report.failures]
        assert "changing" in failed
        assert "changed during the run" in reason
