from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.errors import UsageError
from imports.items.records import Aggregate, Record, Spooled
from imports.run import spool as module
from imports.run.spool import Spool, SpoolReader
from imports.tables.row_format import RowFormat

NOTHING = Spooled([], {})
RECORDS = {
    3: Spooled(
        [
            Record(
                3,
                "Belmar/FL/Ä\t1",
                (
                    Aggregate(((0, b"a\\tb\n"), (1, "é😀\n".encode()))),
                    Aggregate(((2, b"c\n"),), "key", "2025-01-01", "a#000001"),
                ),
                7,
            ),
            Record(3, "Belmar/FL/2", (Aggregate(((0, b"\\N\n"),)),)),
        ],
        {"N/A": 2, "é\t": 1},
    ),
    1: NOTHING,
    2: Spooled([Record(2, "", (Aggregate(((0, b"x\n"),)),))], {}),
}


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / "spool" / "batch_20251118_120000_1a2b3c", RowFormat.COPY)
    spool.open()
    return spool


def file_of(spool: Spool) -> Path:
    (only,) = spool.folder.iterdir()
    return only


def test_records_come_back_as_they_were_written(spool: Spool) -> None:
    assert spool.write(1, RECORDS)
    assert spool.write(2, {9: NOTHING})
    assert spool.read(1) == RECORDS
    assert list(spool.read(1)) == [3, 1, 2], "in their order"
    assert spool.read(2) == {9: NOTHING}


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(st.integers(1, 9), st.lists(st.tuples(texts, texts), max_size=3)))
def test_any_rows_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: dict[int, list[tuple[str, str]]]
) -> None:
    spool = Spool(tmp_path_factory.getbasetemp() / "any" / "run", RowFormat.JSON)
    spool.open()
    records = {
        item: Spooled(
            [Record(item, label, (Aggregate(((0, row.encode()),)),)) for label, row in some],
            {label: 1 for label, _ in some},
        )
        for item, some in rows.items()
    }
    assert spool.write(1, records)
    assert spool.read(1) == records


def test_a_chunk_that_is_not_there_has_nothing(spool: Spool) -> None:
    assert spool.read(5) == {}


def test_a_spool_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert Spool(tmp_path / "gone", RowFormat.COPY).read(1) == {}


def test_a_torn_chunk_is_ignored_wherever_it_is_torn(spool: Spool) -> None:
    spool.write(1, RECORDS)
    content = file_of(spool).read_bytes()
    for length in range(len(content)):
        file_of(spool).write_bytes(content[:length])
        assert spool.read(1) == {}


def test_a_chunk_with_one_wrong_byte_is_ignored(spool: Spool) -> None:
    spool.write(1, RECORDS)
    content = bytearray(file_of(spool).read_bytes())
    for place in range(0, len(content), 7):
        broken = content[:]
        broken[place] ^= 1
        file_of(spool).write_bytes(broken)
        assert spool.read(1) == {}


def test_a_power_failures_zeros_are_ignored(spool: Spool) -> None:
    spool.write(1, RECORDS)
    file_of(spool).write_bytes(bytes(200))
    assert spool.read(1) == {}


def test_rows_for_another_backend_are_not_taken(spool: Spool) -> None:
    spool.write(1, RECORDS)
    assert Spool(spool.folder, RowFormat.JSON).read(1) == {}


def test_opening_keeps_this_runs_chunks_and_removes_those_of_others(spool: Spool) -> None:
    spool.write(1, RECORDS)
    other = Spool(spool.folder.with_name("batch_20251117_120000_0a2b3c"), RowFormat.COPY)
    other.folder.mkdir()
    other.write(1, RECORDS)
    spool.open()
    assert spool.read(1) == RECORDS
    assert not other.folder.exists()


def test_clearing_removes_all_and_may_be_done_twice(spool: Spool) -> None:
    spool.write(1, RECORDS)
    spool.clear()
    spool.clear()
    assert spool.read(1) == {}
    assert not spool.folder.exists()


def test_what_cannot_be_written_is_not_spooled(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "gone", RowFormat.COPY)
    assert spool.write(1, RECORDS) is False
    assert spool.read(1) == {}


def test_on_a_disk_that_is_nearly_full_nothing_is_spooled(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: Usage(1024**3 - 1))
    assert spool.write(1, RECORDS) is False
    assert list(spool.folder.iterdir()) == []
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: Usage(1024**3))
    assert spool.write(1, RECORDS) is True


def test_opening_removes_nothing_but_spools_that_look_like_ours(spool: Spool) -> None:
    spools, id_ = spool.folder.parent, "batch_20251117_120000_0a2b3c"
    outside = spools.parent / "victim"
    mine = [
        outside / "1.copy.4",
        spools / "notes.txt",
        spools / "thesis" / "1.copy.4",
        spools / id_ / "thesis.txt",
        spools / id_ / "2.copy.4" / "thesis.txt",
    ]
    for file in mine:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("years of work")
    (spools / "batch_20251116_120000_0a2b3c").symlink_to(outside)
    (spools / id_ / "1.copy.4").symlink_to(outside / "1.copy.4")
    spool.open()
    assert all(file.read_text() == "years of work" for file in mine)


def test_a_spool_that_is_a_link_is_neither_cleared_nor_written_to(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "1.copy.4").write_text("years of work")
    spool = Spool(tmp_path / "spool" / "batch_20251118_120000_1a2b3c", RowFormat.COPY)
    spool.folder.parent.mkdir()
    spool.folder.symlink_to(victim)
    with pytest.raises(UsageError, match="is a link"):
        spool.open()
    spool.clear()
    assert (victim / "1.copy.4").read_text() == "years of work"


def test_nothing_is_made_or_removed_behind_a_link_in_place_of_the_spools(tmp_path: Path) -> None:
    earlier = tmp_path / "victim" / "batch_20251116_120000_0a2b3c" / "1.copy.4"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("years of work")
    (tmp_path / "spool").symlink_to(tmp_path / "victim")
    spool = Spool(tmp_path / "spool" / "batch_20251118_120000_1a2b3c", RowFormat.COPY)
    with pytest.raises(UsageError, match="is a link"):
        spool.open()
    assert list((tmp_path / "victim").iterdir()) == [earlier.parent]
    assert earlier.read_text() == "years of work"


def test_a_chunk_that_is_a_link_or_a_pipe_is_neither_read_nor_written(spool: Spool) -> None:
    spool.write(1, RECORDS)
    elsewhere = spool.folder.parent / "elsewhere"
    content = file_of(spool).read_bytes()
    file_of(spool).rename(elsewhere)
    spool._path(1).symlink_to(elsewhere)
    assert spool.read(1) == {}
    assert not spool.write(1, {})
    assert elsewhere.read_bytes() == content
    os.mkfifo(spool._path(2))
    assert spool.read(2) == {}


def test_a_chunk_of_another_form_is_ignored_though_its_checksum_is_right(spool: Spool) -> None:
    body = msgspec.msgpack.encode({"a": [1]})
    spool._path(1).write_bytes(b"%08x%b" % (zlib.crc32(body), body))
    assert spool.read(1) == {}


def test_a_chunk_that_the_ledger_names_by_something_else_than_a_number_is_no_path(
    spool: Spool,
) -> None:
    with pytest.raises(ValueError, match="format"):
        spool.read("../../victim")  # type: ignore[arg-type]


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_only_its_owner_can_look_into_the_spool(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        spool = Spool(tmp_path / ".importer" / "spool" / "batch_1", RowFormat.COPY)
        spool.open()
        spool.write(1, RECORDS)
    finally:
        os.umask(before)
    for place in (spool.folder.parent.parent, spool.folder.parent, spool.folder, file_of(spool)):
        assert place.stat().st_mode & 0o077 == 0


# Reading


def test_a_chunk_that_several_batches_share_is_read_once(spool: Spool) -> None:
    spool.write(1, RECORDS)
    reader = SpoolReader(spool)
    assert reader.read(1) == RECORDS
    file_of(spool).unlink()
    assert reader.read(1) == RECORDS
    assert reader.read(2) == {}, "of one that is gone there are no records"


def test_only_the_latest_chunks_are_kept(spool: Spool) -> None:
    reader = SpoolReader(spool)
    for chunk in range(module._MOST_KEPT + 2):
        spool.write(chunk, {chunk: NOTHING})
        assert reader.read(chunk) == {chunk: NOTHING}
    spool.clear()
    latest_first = range(module._MOST_KEPT + 1, -1, -1)
    kept = [chunk for chunk in latest_first if reader.read(chunk)]
    assert kept == [*latest_first][: module._MOST_KEPT]
