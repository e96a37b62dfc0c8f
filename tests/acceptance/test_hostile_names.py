"""What a name says, a terminal and a log show; what it commands, neither obeys."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from tests.support.command import Workplace

FORGED = "2026-01-01 00:00:00,000 - INFO - import completed after 0.000 s"
NAMES = [
    "\x1b]0;OWNED\x07\x1b[31mred",
    f"a\n{FORGED}\n",
    "\u202egnp.exe",
    "[red]rich[bold] [link=https:||example.com]:smile:",
    "\x9b31m\u2028薬局 é 👩\u200d💻",
]
KINDS = ["states", "people", "folders"]


def make(folder: Path, kind: str) -> list[str]:
    """A source of which every item fails; the names of the items."""
    folder.mkdir()
    ends = {"states": "_parse.json", "people": ".json", "folders": ""}
    for name in NAMES:
        path = folder / f"{name}{ends[kind]}"
        if kind == "folders":
            path.mkdir()
            path /= "stats.json"
        path.write_text("{")
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return [f"{name}{ends[kind]}" for name in NAMES]


def on_a_terminal(place: Workplace, *arguments: object) -> str:
    """What a command writes to a terminal, errors with it."""
    leader, follower = pty.openpty()
    environment = {"TERM": "xterm-256color", "COLUMNS": "400"}
    with (
        open(os.devnull, "rb") as nothing,
        place.launch(arguments, (nothing.fileno(), follower, follower), environment=environment),
    ):
        os.close(follower)
        said = b""
        while True:
            try:
                block = os.read(leader, 65_536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not block:
                break
            said += block
    os.close(leader)
    return said.decode()


def check(text: str) -> None:
    for command in ("\x1b]0;", "\x07", "\x1b[31mred", "\u202e", "\u2028", "\x9b", f"\n{FORGED}"):
        assert command not in text
    assert f"\r\n{FORGED}" not in text


def check_readable(text: str) -> None:
    check(text)
    assert r"\x1b]0;OWNED\x07\x1b[31mred" in text
    assert rf"a\n{FORGED}\n" in text
    assert r"\u202egnp.exe" in text
    assert "[red]rich[bold] [link=https:||example.com]:smile:" in text
    assert "\\u009b31m\\u2028薬局 é 👩\u200d💻" in text


@pytest.mark.skipif(sys.platform == "win32", reason="has no pty")
@pytest.mark.parametrize("kind", KINDS)
def test_names_are_escaped_on_the_terminal_and_in_the_logs(pg_place: Workplace, kind: str) -> None:
    names = make(pg_place.folder / "source", kind)
    check_readable(on_a_terminal(pg_place, kind, "source", "--tag", "t", "--debug-log"))
    for log in pg_place.folder.glob("resilient_import*.log"):
        lines = log.read_text().split("\n")
        check_readable(log.read_text())
        assert not any(line.startswith(FORGED) for line in lines)
    check_readable(on_a_terminal(pg_place, "status"))
    check(on_a_terminal(pg_place, "verify"))
    check(on_a_terminal(pg_place, "verify", "--state-file", NAMES[0]))
    check(on_a_terminal(pg_place, f"--{NAMES[0]}"))
    found = on_a_terminal(pg_place, "status", "--json")
    check(found)
    (scope,) = json.loads(found)["scopes"]
    assert {cause["path"] for cause in scope["causes"]} <= set(names), "exact for programs"
    state = json.loads((pg_place.folder / "work_state.json").read_bytes())
    assert {each["path"] for each in state["failed_items"]} == set(names)
    if kind == "people":
        text = (pg_place.folder / "data" / "supabase_upload_progress.csv").read_text()
        check_readable(text)
        assert not any(
            unicodedata.category(sign) in {"Cc", "Zl", "Zp"} for sign in text.replace("\n", "")
        )


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_are_no_utf8_are_told_escaped(pg_place: Workplace, kind: str) -> None:
    source = pg_place.folder / "source"
    make(source, kind)
    name = os.fsdecode(b"b\xe9\x1b[31m")
    odd = source / (name if kind == "folders" else f"{name}_parse.json")
    if kind == "folders":
        odd.mkdir()
        odd /= "stats.json"
    odd.write_text("{")
    os.utime(odd, (1_700_000_000, 1_700_000_000))
    finished = pg_place.run(kind, source, "--tag", "t", exit_code=3)
    assert r"b\xe9\x1b[31m" in finished.out
    check(finished.text)
    json.loads(pg_place.run("status", "--json").out)


def test_the_story_of_a_single_item_is_escaped(pg_place: Workplace) -> None:
    folder = pg_place.folder / "source" / NAMES[0]
    folder.mkdir(parents=True)
    (folder / "stats.json").write_text(json.dumps({"name": NAMES[1], "n\x1b[31m": 1}))
    (folder / f"{NAMES[2]}.png").write_text("none")
    check(on_a_terminal(pg_place, "folder", folder, "--tag", "t"))


def test_what_to_type_next_can_be_typed(pg_place: Workplace) -> None:
    source = pg_place.folder / "it's\\x\x1b[31m\né"
    make(source, "states")
    finished = pg_place.run("states", source, "--tag", "t", exit_code=3)
    command = finished.out.rstrip().split("\n")[-1].strip()
    assert r"$'" in command
    arguments = command.partition(" states ")[2]
    said = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {arguments}"],
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(source) in said.stdout.split("\0")
