"""The data of each kind for the contract suite. A new kind is one entry of `KINDS`."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imports.kinds import kind_named
from tests.support import device_tests, insights, people, recognitions, searches
from tests.support.command import ROOT
from tests.support.database import query
from tests.support.fault_points import FaultPoint
from tests.support.source import png

_LONG_AGO = 1_760_000_000

EXAMPLES = (ROOT / "examples", ROOT / "tests" / "examples")
"""Those that users get, and the awkward ones; each with a folder for each kind."""


@dataclass(frozen=True)
class KindUnderContract:
    """A kind, its examples, and the expected results.

    `rows` are what a target has after an import of the examples, `failures` the items that fail:
    phase and words of the reason by path. `change` makes one item another, which writes the rows
    `changed`; `mend` makes the failed items good. `damage` are statements, and what verification
    calls their outcome. `flags` let the items stay in the source.

    `uploads` are how many images the examples have, and how many of them `change` makes others; if
    it is not set, they are as many as `rows` and `changed` have of `image_assets`. `change_flags`
    let a run take in what changed.

    `fill` makes a source of many items. An import of it is killed at `own_points` too, and after
    each kill `check_killed` is called with the source, the database and what `fill` has returned.
    """

    name: str
    root: str
    rows: Mapping[str, int]
    failures: Mapping[str, tuple[str, str]]
    change: Callable[[Path], object]
    changed: Mapping[str, int]
    mend: Callable[[Path], object]
    damage: Mapping[str, str]
    fill: Callable[[Path], Any]
    own_points: tuple[FaultPoint, ...] = ()
    check_killed: Callable[[Path, str, Any], None] = lambda source, url, filled: None
    flags: Mapping[str, Any] = field(default_factory=dict)
    change_flags: Mapping[str, Any] = field(default_factory=dict)
    uploads: tuple[int, int] | None = None

    @property
    def tables(self) -> tuple[str, ...]:
        """Its own tables, and those of datasets and images."""
        own = (table.qualified_name for table in kind_named(self.name).group.tables)
        return (*own, "public.datasets", "public.image_assets")

    @property
    def images(self) -> tuple[int, int]:
        """How many images are stored of the examples, and how many of the change."""
        assets = "public.image_assets"
        return self.uploads or (self.rows.get(assets, 0), self.changed.get(assets, 0))

    @property
    def skips_known(self) -> bool:
        """Whether a run skips what another ledger has imported."""
        return kind_named(self.name).key_of is not None

    @property
    def owners(self) -> set[str]:
        """The tables whose rows own rows of other tables."""
        tables = kind_named(self.name).group.tables
        return {table.owner for table in tables if table.owner is not None}

    def add_examples(self, source: Path) -> None:
        """Copies all examples of the kind into a source."""
        for folder in EXAMPLES:
            shutil.copytree(folder / self.name, source, dirs_exist_ok=True)
        for path in source.rglob("*.json"):
            os.utime(path, (_LONG_AGO, _LONG_AGO))  # else they may still grow

    def contents(self, url: str) -> dict[str, list[dict[str, Any]]]:
        """All rows of its tables, in an order, without what differs between runs and backends."""
        selects = (
            f"SELECT '{table}', to_jsonb(t) - CASE jsonb_typeof(to_jsonb(t) -> 'id')"
            " WHEN 'number' THEN 'id' ELSE '' END"
            " - '{dataset_id,batch_id,inserted_by,created_at,updated_at}'::text[]"
            " - '{first_seen,storage_type}'::text[]"
            f" FROM {table} t"
            for table in self.tables
        )
        found: dict[str, list[dict[str, Any]]] = {}
        for table, content in query(url, f"{' UNION ALL '.join(selects)} ORDER BY 1, 2"):
            found.setdefault(table, []).append(content)
        return found

    def versions(self, url: str) -> Counter[tuple[str, str, str]]:
        """The position of each row, and the transaction that wrote it."""
        selects = (
            f"SELECT '{table}', ctid::text, xmin::text FROM {table}" for table in self.tables
        )
        return Counter(query(url, " UNION ALL ".join(selects)))


IMAGE_POINTS = (
    FaultPoint("imports.ledger:ImageLedger.record_hashes", "sha256"),
    FaultPoint("imports.phases.upload:upload_image", "upload", 3, before=False),
    FaultPoint("imports.phases.upload:record_images", "upload"),
    FaultPoint("imports.ledger:ImageLedger.record_stored", "upload"),
)
"""Images are hashed, some are stored, all are, and are listed; the ledger has not heard of it."""


# states


def _change_a_search(source: Path) -> None:
    """The later one of two searches of a licence, with another status and no image."""
    content = searches.search(
        "Osprey",
        "TX",
        "PH404",
        moment="2026-04-03T10:00:00",
        license_status="Lapsed",
        license_type="Pharmacy",
    )
    searches.write(source / "2026-04-02" / "TX", "Osprey_new", content)


def _mend_searches(source: Path) -> None:
    for stem in ("cut_off", "nameless"):
        searches.write(source / "2026-04-02" / "OH", stem, searches.search(stem, "OH", stem))


STATES = KindUnderContract(
    name="states",
    root="public.search_results",
    rows={"public.search_results": 14, "public.datasets": 1, "public.image_assets": 7},
    failures={
        "2026-04-02/OH/cut_off_parse.json": ("planning", "is not JSON"),
        "2026-04-02/OH/nameless_parse.json": ("planning", "metadata.pharmacy_name is missing"),
    },
    change=_change_a_search,
    changed={"public.search_results": 1},
    mend=_mend_searches,
    damage={
        "UPDATE search_results SET city = 'Elsewhere' WHERE license_number = 'PH403'": "different",
        "DELETE FROM search_results WHERE license_number = 'PH401'": "missing",
    },
    fill=lambda source: searches.generate(source, 60, images=6, image_bytes=2_000),
    own_points=IMAGE_POINTS,
)


# folders


def _change_a_photo(source: Path) -> None:
    (source / "Batch54" / "shot.png").write_bytes(png(900))


FOLDERS = KindUnderContract(
    name="folders",
    root="public.device_test",
    rows={"public.device_test": 8, "public.datasets": 1, "public.image_assets": 8},
    failures={"Batch57": ("planning", "stats.json is not JSON")},
    change=_change_a_photo,
    changed={"public.device_test": 1, "public.image_assets": 1},
    mend=lambda source: (source / "Batch57" / "stats.json").write_text("{}"),
    damage={
        "UPDATE device_test SET stats = '{}' WHERE folder_name = 'Batch54'": "different",
        "DELETE FROM device_test WHERE folder_name = 'Batch55'": "missing",
    },
    fill=lambda source: device_tests.add_many(source, 60, images=6),
    own_points=(
        *IMAGE_POINTS,
        FaultPoint("imports.source.status_files:StatusFiles.succeed", "import", 3),
        FaultPoint("imports.source.status_files:_replace", "import", 9),
    ),
)


# people


def _change_a_person(source: Path) -> None:
    """The second person of a page. Its company and office are as they were, but dated by it."""
    path = source / "keepers_p1.json"
    content = json.loads(path.read_bytes())
    profile = content["results"][1]["profile_data"]
    profile["profile_last_modified_date"] = "2025-05-01 10:00:00"
    profile["profile_headline"] = "Retired"
    path.write_text(json.dumps(content))
    people.age(path)


def _mend_pages(source: Path) -> None:
    people.write(source, "broken.json", [people.person("mended")])
    path = source / "one_bad_record.json"
    content = json.loads(path.read_bytes())
    del content["results"][1]
    people.write(source, path.name, json.dumps(content).encode())


def _fill_with_pages(source: Path) -> dict[str, tuple[bytes, list[str]]]:
    """Pages, of which some are empty, broken or have a bad record; what each has, by path."""
    persons = people.add_many(source, 30)
    return {path: ((source / path).read_bytes(), ids) for path, ids in persons.items()}


def _check_pages(source: Path, url: str, filled: dict[str, tuple[bytes, list[str]]]) -> None:
    """Checks that the rows of all deleted files are stored, and that moved files are complete."""
    failed = source.parent / "failed_uploads"
    stored = people.person_ids(url)
    here, moved = set(people.files(source)), set(people.files(failed))
    for path, (content, ids) in filled.items():
        assert path in here | moved or stored.issuperset(ids), path
        assert path not in moved or (failed / path).read_bytes() == content, path
    log = source.parent / "progress.csv"
    for row in people.progress(log).values() if log.exists() else ():
        assert row["status"] in {"IN_PROGRESS", "COMPLETED", "FAILED"}
        assert row["completed_at"] == "" or row["started_at"] <= row["completed_at"]


PEOPLE = KindUnderContract(
    name="people",
    root="people.identities",
    rows={
        "organisation.employees": 5,
        "organisation.identities": 5,
        "organisation.industries": 6,
        "organisation.office_addresses": 4,
        "organisation.office_industries": 3,
        "organisation.offices": 4,
        "organisation.phones": 5,
        "organisation.social_links": 5,
        "organisation.web_addresses": 5,
        "people.addresses": 6,
        "people.awards": 5,
        "people.certifications": 5,
        "people.educations": 7,
        "people.emails": 7,
        "people.experiences": 9,
        "people.genders": 6,
        "people.identities": 7,
        "people.job_functions": 9,
        "people.job_seniority": 9,
        "people.job_title_details": 9,
        "people.memberships": 5,
        "people.patents": 1,
        "people.phones": 2,
        "people.profiles": 6,
        "people.publications": 4,
        "people.social_links": 7,
        "people.statuses": 2,
        "public.datasets": 1,
    },
    failures={
        "broken.json": ("planning", "is not JSON"),
        "one_bad_record.json": ("import", "record 1: profile_data.profile_id is missing"),
    },
    change=_change_a_person,
    changed={
        "people.identities": 1,
        "people.profiles": 1,
        "organisation.identities": 1,
        "organisation.offices": 1,
    },
    mend=_mend_pages,
    damage={
        "UPDATE people.identities SET first_name = 'x' WHERE neuron360_profile_id = 'k-1'": (
            "different"
        ),
        "DELETE FROM people.identities WHERE neuron360_profile_id = 'k-2'": "missing",
        "DELETE FROM people.emails WHERE starts_with(email, 'nia@')": "missing",
        "DELETE FROM organisation.offices": "different",
        "INSERT INTO people.emails (person_id, position, email)"
        " SELECT id, 7, 'added' FROM people.identities WHERE neuron360_profile_id = 'k-1'": "added",
    },
    fill=_fill_with_pages,
    own_points=(
        FaultPoint("imports.phases.disposal:dispose_batch", "import", 2),
        FaultPoint("imports.ledger:DisposalLedger.record", "import", 1),
        FaultPoint("imports.ledger:DisposalLedger.record", "import", 3),
        FaultPoint("imports.ledger:DisposalLedger.record", "import", 2, before=False),
        FaultPoint("imports.run.consuming.progress_csv:ProgressCsv.update", "import", 2),
    ),
    check_killed=_check_pages,
    flags={"on_success": "keep", "on_failure": "keep"},
)

# recognitions


def _change_a_tray_photo(source: Path) -> None:
    """Of the same size: it shows in its hash alone."""
    (source / "300105" / "b_second.JPG").write_bytes(recognitions.photo(99, 24, 16))


def _mend_recognitions(source: Path) -> None:
    third = "recognition_300106_2025-10-11_Third.jpg"
    (source / "recognition_300106" / "photos" / third).unlink()
    (source / "recognition_300108" / "300108_recognition_2025-10-11_AM.json").write_text("[]")


def _check_recognitions(source: Path, url: str, filled: None) -> None:
    """A recognition is in as a whole, or not at all."""
    # In one query: a server may still be at what a killed run has asked of it.
    (found,) = query(
        url,
        "SELECT ARRAY(SELECT recognition_id FROM raw.recognition_files ORDER BY 1),"
        " ARRAY(SELECT id FROM recognitions ORDER BY 1),"
        " ARRAY(SELECT recognition_id FROM images GROUP BY 1 HAVING count(*) = 2 ORDER BY 1),"
        " ARRAY(SELECT recognition_id FROM recipes ORDER BY 1)",
    )
    assert found[0] == found[1] == found[2] == found[3]


RECOGNITIONS = KindUnderContract(
    name="recognitions",
    root="raw.recognition_files",
    rows={"raw.recognition_files": 6, "raw.recipes": 4, "public.datasets": 1},
    failures={
        "recognition_300106": ("planning", "has 3 photos"),
        "recognition_300108": ("planning", "AM.json is not JSON"),
    },
    change=_change_a_tray_photo,
    changed={"raw.recognition_files": 1},
    mend=_mend_recognitions,
    damage={
        "UPDATE raw.recognition_files SET active_menu = '[]' WHERE recognition_id = 300105": (
            "different"
        ),
        "DELETE FROM raw.recipes WHERE recognition_id = 300110": "missing",
        "DELETE FROM raw.recognition_files WHERE recognition_id = 300111": "missing",
    },
    fill=lambda source: recognitions.add_many(source, 30),
    own_points=(
        IMAGE_POINTS[0],
        FaultPoint("imports.phases.placements:put_image", "upload", 3, before=False),
        FaultPoint("imports.ledger:PlacementLedger.note", "upload", 2),
        FaultPoint("imports.ledger:PlacementLedger.commit", "import"),
        FaultPoint("imports.ledger:PlacementLedger.commit", "import", before=False),
    ),
    check_killed=_check_recognitions,
    change_flags={"force": True},
    uploads=(12, 1),
)

# insights


def _change_an_insight(source: Path) -> None:
    """Edited by hand: with the same date."""
    path = source / "CNT-Bo9000303_MANUAL_STRUCTURED_INSIGHT.json"
    path.write_text(path.read_text().replace("Runs a kiln", "Ran a kiln"))


def _mend_insights(source: Path) -> None:
    for number, name in enumerate(("cut_off.json", "nameless.json")):
        insights.write(source, name, insights.document(eni_id=f"ENI-{number}"))


def _check_insights(source: Path, url: str, filled: None) -> None:
    """The row of each contact is what its sources and deliveries make."""
    # In one query: a server may still be at what a killed run has asked of it.
    (found,) = query(
        url,
        "SELECT ARRAY(SELECT (contact_id, version, record_count)::text"
        " FROM elvis__structured_insights ORDER BY 1),"
        " ARRAY(SELECT (contact_id, (SELECT count(*) FROM elvis__insight_deliveries AS delivery"
        " WHERE delivery.contact_id = source.contact_id), sum(record_count))::text"
        " FROM elvis__insight_sources AS source GROUP BY contact_id ORDER BY 1)",
    )
    assert found[0] == found[1]


INSIGHTS = KindUnderContract(
    name="insights",
    root="public.elvis__insight_sources",
    rows={
        "public.elvis__insight_sources": 13,
        "public.elvis__insight_deliveries": 14,
        "public.datasets": 1,
    },
    failures={
        "cut_off.json": ("planning", "is not JSON"),
        "nameless.json": ("planning", "metadata.contact_id is missing"),
    },
    change=_change_an_insight,
    changed={"public.elvis__insight_sources": 1, "public.elvis__insight_deliveries": 1},
    mend=_mend_insights,
    damage={
        "UPDATE elvis__insight_sources SET business = 'x' WHERE contact_id = 'CNT-Bo9000303'": (
            "different"
        ),
        "DELETE FROM elvis__insight_deliveries WHERE contact_id = 'CNT-Wy2000505'": "missing",
        "DELETE FROM elvis__insight_sources WHERE contact_id = 'CNT-Uv1000404'": "missing",
    },
    fill=lambda source: insights.add_many(source, 40),
    check_killed=_check_insights,
)

KINDS = (STATES, FOLDERS, PEOPLE, RECOGNITIONS, INSIGHTS)
