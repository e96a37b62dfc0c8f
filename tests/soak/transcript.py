"""A transcript of what happened, as Markdown that a second time says the same."""

from __future__ import annotations

import re

from tests.soak.cron import Ended

BEGIN = "<!-- The rest is written by: python -m tests.soak.nights --write docs/operating.md -->"
END = "<!-- The end of what is written. -->"

_INDENT = " " * 7
_STABLE = (
    # How far a run is when a signal comes, and for how long it waited, differs from time to time.
    (re.compile(r"; [\d,]+ (\w+) are left\."), r"; some \1 are left."),
    (re.compile(r"Gave up after [^(]+\("), "Gave up after 10 s ("),
    (re.compile(r"process \d+"), "process 4711"),
    (re.compile(r"([0-9a-f]{8})[0-9a-f]{40,}…"), r"\1…"),
    (re.compile(r"run of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "run of 2026-03-02 11:00:00 UTC"),
)


class Transcript:
    """Events by day and time. `places` are paths of this machine, and those to tell instead."""

    def __init__(self, places: dict[str, str]) -> None:
        self._places = places
        self._lines: list[str] = []

    def day(self, title: str) -> None:
        """A day begins."""
        self._lines += [*(["```", ""] if self._lines else []), f"### {title}", "", "```text"]

    def event(self, time: str, what: str) -> None:
        """Something happens."""
        self._lines.append(f"{time}  {what}")

    def command(self, line: str) -> None:
        """Somebody types a command."""
        self._lines.append(f"{_INDENT}$ {self._stable(line)}")

    def ended(self, ended: Ended, *, mailed: bool = True) -> None:
        """It ends; what it writes is a mail, or on a terminal."""
        lines = self._stable(ended.mail).splitlines()
        what = ("a mail:" if lines else "no mail") if mailed else "and says:" if lines else ""
        self._lines.append(f"{_INDENT}exit code {ended.code}{', ' if what else ''}{what}")
        self._lines += [f"{_INDENT}| {line}".rstrip() for line in lines]

    def markdown(self) -> str:
        """All of it."""
        return "\n".join([*self._lines, "```", ""])

    def _stable(self, text: str) -> str:
        for place, name in self._places.items():
            text = text.replace(place, name)
        for pattern, instead in _STABLE:
            text = pattern.sub(instead, text)
        return text


def with_transcript(document: str, markdown: str) -> str:
    """A document with another transcript in place of its own."""
    beginning, rest = document.split(BEGIN)
    return f"{beginning}{BEGIN}\n\n{markdown}\n{END}{rest.split(END)[1]}"
