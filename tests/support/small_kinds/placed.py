"""Trays: a JSON file each, whose photos go to places of their own.

`tray_7.json` has a `number`, a `label`, and its photos by camera, `{"camera1": "a.png"}`: each is
stored as `trays/<at>/<camera>.png` in a bucket. A tray that is `bad` is refused by the target.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from imports.items.images import Image, Placement
from imports.items.source import Signature, Source
from imports.kinds.folders import FOLDERS
from imports.kinds.kind import ItemPlan, Kind, KindRecord, single_row
from imports.kinds.states import sign
from imports.source.cleaning import Tally
from imports.source.image_finder import ImageFinder
from imports.source.json_file import read_object
from imports.source.name_patterns import matcher
from imports.source.tree import ListedEntry, SourceFile, files_called
from imports.tables.table import Column, NamedPlaces, Table, TableGroup, UpdateIfNewer
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.source import TS

BUCKET = "trays-of-tests"

_TABLE = Table(
    name="placed_tray",
    columns=(
        Column("number", "integer", nullable=False),
        Column("label", "text"),
        Column("photos", "jsonb"),
        Column("camera1", "text"),
        Column("camera2", "text"),
        Column("taken_at", "timestamptz"),
    ),
    key=("dataset_id", "number"),
    on_conflict=UpdateIfNewer("taken_at"),
)
GROUP = TableGroup(
    "placed",
    (_TABLE,),
    named_places=tuple(NamedPlaces(_TABLE, each, BUCKET) for each in ("camera1", "camera2")),
)
DDL = """
create table public.placed_tray (
  id bigint generated always as identity primary key,
  dataset_id bigint not null references public.datasets (id) on delete cascade,
  batch_id text not null,
  inserted_by text,
  number integer not null,
  label text check (label <> 'bad'),
  photos jsonb,
  camera1 text,
  camera2 text,
  taken_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (dataset_id, number)
);
select public.importer_close('public.placed_tray');
"""

DROP = "drop table public.placed_tray; drop function public.importer_merge_placed"


def _items_in(source: Source, prefix: str, files: Iterable[SourceFile]) -> Iterator[ListedEntry]:
    return files_called(prefix, files, matcher(source.patterns))


def _read(source: Source, path: str, signature: Signature, tally: Tally) -> dict[str, Any]:
    return read_object(source.absolute(path), signature, tally, opener=source.open)


def _plan(source: Source, path: str, tray: dict[str, Any], finder: ImageFinder) -> ItemPlan:
    found = [finder.find(name, source.absolute(path))[0] for name in tray["photos"].values()]
    places = [place(tray["at"], camera) for camera in tray["photos"]]
    return ItemPlan(tuple(found), str(tray["number"]), placements=tuple(places))


def _records(
    tray: dict[str, Any], images: Sequence[Image | None], tally: Tally
) -> list[KindRecord]:
    photos = {
        camera: image and image.sha256 for camera, image in zip(tray["photos"], images, strict=True)
    }
    paths = [
        place(tray["at"], each).path if each in photos else None for each in ("camera1", "camera2")
    ]
    row = (tray["number"], tray["label"], photos, *paths, tray["taken_at"])
    return [single_row(f"tray {tray['number']}", row)]


PLACED = Kind(
    name="folders",  # a kind that settings and work states know
    wording=FOLDERS.wording,
    patterns=("tray_*.json",),
    group=GROUP,
    items_in=_items_in,
    sign=sign,
    read=_read,
    plan=_plan,
    records=_records,
)


def place(number: int, camera: str = "camera1") -> Placement:
    """Where a photo of a tray is stored."""
    return Placement(BUCKET, f"trays/{number}/{camera}.png")


class Trays:
    """A bench whose source has trays."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """The table and the function are in the database."""
        self.bench = bench
        # The kind of this name is looked up in its module whenever it is asked for.
        monkeypatch.setattr("imports.kinds.folders.FOLDERS", PLACED)

    def add(
        self,
        number: int,
        *photos: bytes,
        label: str = "good",
        name: str | None = None,
        taken_at: str = TS,
        at: int | None = None,
    ) -> Path:
        """Writes a tray with its photos, in the order of the cameras; `at` the place of another."""
        name = name or str(number)
        named = {}
        for camera, content in enumerate(photos, 1):
            self.bench.source.write(f"{name}_{camera}.png", content)
            named[f"camera{camera}"] = f"{name}_{camera}.png"
        tray = {
            "number": number,
            "at": at or number,
            "label": label,
            "photos": named,
            "taken_at": taken_at,
        }
        return self.bench.source.write(f"tray_{name}.json", json.dumps(tray).encode())

    def run(self, **flags: Any) -> Any:
        """Imports the trays."""
        return self.bench.run(kind="folders", **flags)

    def verify(self, **flags: Any) -> Any:
        """Verifies the last run over them."""
        return self.bench.verify(kind="folders", **flags)

    # What is in the target

    def rows(self) -> list[tuple[Any, ...]]:
        """Number and label of all trays."""
        return query(self.bench.url, "select number, label from placed_tray order by number")

    def photo(self, number: int, camera: str = "camera1") -> bytes | None:
        """What is stored at the place of a photo."""
        return self.at(place(number, camera).path)

    def at(self, path: str) -> bytes | None:
        """What is stored at a path of the bucket."""
        if self.bench.target.supabase_url is None:
            file = self.bench.data_folder / BUCKET / path
            return file.read_bytes() if file.exists() else None
        answer = self.bench.api("GET", f"/storage/v1/object/{BUCKET}/{path}")
        return answer.content if answer.status_code == 200 else None

    def put(self, number: int, content: bytes | None, camera: str = "camera1") -> None:
        """Puts something at the place of a photo, or takes it away, as somebody else would."""
        path = place(number, camera).path
        if self.bench.target.supabase_url is None:
            file = self.bench.data_folder / BUCKET / path
            file.unlink(missing_ok=True)
            if content is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            return
        bucket = {"id": BUCKET, "name": BUCKET, "public": False}
        self.bench.api("POST", "/storage/v1/bucket", json=bucket)
        bucket_url = f"/storage/v1/object/{BUCKET}"
        assert self.bench.api("DELETE", bucket_url, json={"prefixes": [path]}).is_success
        if content is not None:
            headers = {"content-type": "image/png"}
            url = f"{bucket_url}/{path}"
            assert self.bench.api("POST", url, content=content, headers=headers).is_success

    def stored(self) -> list[str]:
        """The paths of all that is in the bucket, what is hidden and half written included."""
        if self.bench.target.supabase_url is None:
            folder = self.bench.data_folder / BUCKET
            return sorted(
                file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()
            )
        names = query(
            self.bench.url, "select name from storage.objects where bucket_id = %s", BUCKET
        )
        return sorted(name for (name,) in names)
