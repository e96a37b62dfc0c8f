"""The command lines of earlier importers work when only the name of the program is changed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from tests.support.command import ROOT, Workplace
from tests.support.contents import count
from tests.support.recognitions import add

DOCUMENT = ROOT / "docs" / "earlier-commands.md"
EARLIER, OURS = "python scripts/ingest/cli.py ", "resilient-importer "
SOURCE = "RRS_Dataset 2"
QUESTION = b"type the batch id: "


def rows() -> list[tuple[str, str]]:
    """The command lines of the document: then, and now."""
    found = re.findall(rf"^\| `(.+?)` \| `{OURS}(.+?)` \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert len(found) > 10
    return found


def test_only_the_name_of_the_program_is_changed() -> None:
    for then, now in rows():
        assert not then.startswith(EARLIER) or then.removeprefix(EARLIER) == now


def test_every_command_line_of_the_document_works(
    folder: Path, database_url: str, empty_database_url: str
) -> None:
    place = Workplace(folder, {"HOME": str(folder.parent)})
    for name, url in (("local", empty_database_url), ("production", database_url)):
        text = f"DATABASE_URL={url}\nIMPORTER_DATA_FOLDER=data-{name}\n"
        (folder / f".env.{name}").write_text(text)
    (folder / ".env.staging").write_text((folder / ".env.local").read_text())
    for number in (1, 2):
        add(folder / SOURCE / "export_20251024_121255", number)
    boxes = {"qwen_detections": [{"bbox_2d": [1, 1, 4, 4], "label": "plate"}]}
    annotations = {"recognition_1/photos/recognition_1_2025-10-11_Main.jpg": {"plates": boxes}}
    (folder / "qwen_annotations.json").write_text(json.dumps(annotations))
    for _, now in rows():
        words = shlex.split(now)
        if now == "load --limit 100":
            # So the reset of the document finds it.
            words += ["--batch-id", "batch_20251118_120000"]
        if "reset" in words and "--confirm" not in words:
            answer = f"{words[words.index('--batch-id') + 1]}\n".encode()
            ended = place.on_terminal(*words, answer=answer, question=QUESTION)
            assert "Deleted: 2 " in ended.text or "Deleted: 4 " in ended.text, ended.text
        else:
            ended = place.run(*words)
        url = database_url if "--production" in words else empty_database_url
        if "load" in words or "load-qwen" in words:
            assert count(url, "recognitions") == 2
            assert place.state["tag"] == "recognitions"
        if "--with-qwen" in words or "load-qwen" in words:
            assert count(url, "initial_annotations") == 1
        if "reset" in words:
            assert count(url, "recognitions") == 0
        if "--verbose" in words:
            assert "Performance:" in ended.out
            assert "database.identify: " in ended.out
            assert (folder / "resilient_import_debug.log").exists()
    assert count(database_url, "recognitions") == 0


def test_the_alias_takes_the_tag_of_its_environment(pg_place: Workplace) -> None:
    add(pg_place.folder / SOURCE, 1)
    environment = {"IMPORTER_TAG": "october"}
    pg_place.run("load", "--source", SOURCE, environment=environment)
    assert (pg_place.state["tag"], pg_place.state["kind"]) == ("october", "recognitions")


def test_a_verbose_load_tells_bytes_and_rates(pg_place: Workplace) -> None:
    folder = add(pg_place.folder / SOURCE, 1)
    size = sum(path.stat().st_size for path in folder.rglob("*.jpg"))
    out = pg_place.run("--verbose", "load", "--source", SOURCE).out
    assert f"bytes uploaded: {size:,} (" in out
    assert "images uploaded: 2 (" in out
    assert "store.put_at: 2 calls" in out


def test_annotations_that_fail_are_a_warning(pg_place: Workplace) -> None:
    add(pg_place.folder / SOURCE, 1)
    home = {"HOME": str(pg_place.folder.parent)}
    for content in (None, "{"):
        if content is not None:
            (pg_place.folder / "qwen_annotations.json").write_text(content)
        ended = pg_place.run("load", "--with-qwen", environment=home)
        assert "but not all annotations" in ended.err
        pg_place.run("load", "--with-qwen", "--scan-only", environment=home)
        assert pg_place.state["kind"] == "recognitions"
    pg_place.run("load-qwen", exit_code=3, environment=home)
    pg_place.run("load-qwen", "--file", "other.json", exit_code=2, environment=home)


def test_a_recognition_that_fails_is_told_by_the_exit_code(pg_place: Workplace) -> None:
    """The earlier importer ended with 0."""
    add(pg_place.folder / SOURCE, 1)
    add(pg_place.folder / SOURCE, 2, photos=[])
    pg_place.run("load", "--source", SOURCE, exit_code=3)
