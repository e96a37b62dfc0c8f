"""Nights: three days of an importer that cron starts, five times a day, with what goes wrong there.

    python -m tests.soak.nights
    python -m tests.soak.nights --backend supabase
    python -m tests.soak.nights --write docs/operating.md

Each day one drop of files is broken and one run is interrupted. After each run its exit code, what
cron would mail, and the rows of the target are compared with what was dropped. It prints the
transcript, or writes it into a document; it exits with 1 if anything was not as it should be.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg2

from tests.soak.checks import demand
from tests.soak.cron import Cron, Ended, Job
from tests.soak.drops import Drops, Key, Pages
from tests.soak.servers import Server, open_servers
from tests.soak.transcript import Transcript, with_transcript
from tests.support import contents
from tests.support.command import CONSOLE_SCRIPT, wait_until
from tests.support.contents import held, until_somebody_waits
from tests.support.folder import new_folder
from tests.support.target import Target

_PROGRAM = CONSOLE_SCRIPT[0]
_FILES, _IMAGES = 24, 2
_SETTINGS = {"IMPORTER_BATCH_SIZE": "2", "IMPORTER_MAX_WAIT": "10"}
"""That a run of few files has a middle, and a transcript takes no night."""


class Nights:
    """An importer under cron, with the sources that it imports each night."""

    def __init__(self, folder: Path, target: Target, servers: list[Server] | None = None) -> None:
        self._target, self._servers = target, servers or []
        self._url = target.database_url
        self.transcript = Transcript(
            {
                str(Path(_PROGRAM).parent): "/opt/resilient-importer/.venv/bin",
                str(folder): "",
                str(folder.with_name("servers") / "pg"): "/var/run/postgresql",
            }
        )
        self._drops = Drops(folder / "data" / "licences", _FILES, _IMAGES)
        self._pages = Pages(folder / "data" / "people")
        self._there: set[Key] = set()
        for project in ("licences", "people"):
            self._set_up(folder / "srv" / project)
        self._project = folder / "srv" / "licences"
        self._cron = Cron(folder / "home" / "ops", {"MAILTO": "ops@example.com"})
        begin = f"IMPORTER_PROJECT={folder}/srv"
        self._states = (
            f"{begin}/licences {_PROGRAM} states {self._drops.source.folder} --tag licences"
        )
        self._people = f"{begin}/people {_PROGRAM} people {folder}/data/people --tag people"
        self._typed = f"{begin}/licences {_PROGRAM}"

    def _set_up(self, project: Path) -> None:
        project.mkdir(parents=True)
        settings = {
            "IMPORTER_BACKEND": self._target.backend,
            **self._target.environment,
            **_SETTINGS,
        }
        env = project / ".env"
        env.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        env.chmod(0o600)

    # The days

    def monday(self) -> None:
        """A file that is no JSON, and a machine that is shut down in the middle of a run."""
        self.transcript.day("Monday: a file that is cut off, and a shutdown")
        self._drop("01:00", "2026-03-02/01")
        self._run(0)
        self._drop("06:00", "2026-03-02/06", "one more is cut off")
        self._drops.cut_off("2026-03-02/06/cut")
        self._run(3, "cut_parse.json: is not JSON")
        self._drop("11:00", "2026-03-02/11", "systemd sends SIGTERM in the middle of the run")
        with self._in_the_middle() as job:
            self.transcript.event("11:01", "Somebody types the command, too, while it runs")
            self._type(f"{self._states} >/dev/null", 11, "process")
            job.signal(signal.SIGTERM)
            wait_until(lambda: "Stopping" in job.mail)
        self.transcript.event("11:02", "The run that was told to stop ends")
        self._ended(job.end(), 130, "Nothing is lost")
        self._drop("16:00", "2026-03-02/16", "the run goes on, and takes this drop in, too")
        self._run(3, "tried 2 times")
        self._drop("21:00", "2026-03-02/21")
        self._run(3, "tried 3 times")
        self._work_off("21:30", "founders_p1")

    def tuesday(self) -> None:
        """Monday's file is mended; a value that the database refuses, and a kill -9."""
        self.transcript.day("Tuesday: the file is mended; a value is refused, and a run is killed")
        self._drop("01:00", "2026-03-03/01")
        self._run(3, "acknowledge")
        self._drop("06:00", "2026-03-03/06")
        self._run(3, "acknowledge")
        self.transcript.event("08:30", "Somebody mends Monday's file")
        self._drops.mended("2026-03-02/06/cut")
        self._drop("11:00", "2026-03-03/11")
        self._run(0)
        self._drop("16:00", "2026-03-03/16", "one more has a value that no index takes")
        self._drops.refused("2026-03-03/16/long")
        self._run(3, "long_parse.json")
        self._drop("21:00", "2026-03-03/21", "the run is killed in its middle (kill -9)")
        with self._in_the_middle() as job:
            job.signal(signal.SIGKILL)
        self._ended(job.end(), 137)
        self._work_off("21:30", "founders_p2")

    def wednesday(self) -> None:
        """Tuesday's file is acknowledged; a database that is away, a missing picture, a reboot."""
        database = self._servers[0]
        self.transcript.day(
            "Wednesday: the file is acknowledged; the database is away, and everything reboots"
        )
        self._drop("01:00", "2026-03-04/01", "the run goes on where it was killed")
        self._run(3, "long_parse.json")
        self._drop("06:00", "2026-03-04/06", "the database is away, for longer than --max-wait")
        database.stop()
        self._ended(self._cron.run(self._crontab), 75, "Gave up after")
        database.start()
        self.transcript.event("08:30", "Somebody acknowledges Tuesday's file")
        self._type(
            f"{self._typed} acknowledge 2026-03-03/16/long_parse.json --note 'the board has it so'",
            0,
            "Acknowledged: 1",
        )
        self._drop(
            "11:00", "2026-03-04/11", "the run takes in both drops; one file's picture is missing"
        )
        self._drops.without_picture("2026-03-04/11/bare")
        self._run(0)
        self._drop("16:00", "2026-03-04/16", "the machine loses its power in the middle of the run")
        with self._in_the_middle() as job:
            job.signal(signal.SIGKILL)
            for server in self._servers:
                server.kill()
        _check(job.end(), 137)
        for server in self._servers:
            server.start()
        self._drop("21:00", "2026-03-04/21")
        self._run(0, "Resuming the run")
        self._work_off("21:30", "founders_p3")

    def verify(self) -> None:
        """At the end everything is in the target, as the files say."""
        self.transcript.event("22:00", "Is all there?")
        self._type(f"{self._typed} verify --deep", 0, "match their files")
        self._type(f"{self._typed} status --warnings", 0, "bare_parse.json")
        stored = sorted(contents.stored_images(self._target, self._project).values())
        demand(stored == self._drops.images, "images", len(stored), len(self._drops.images))

    # What happens in them

    @property
    def _crontab(self) -> str:
        return f"{self._states} >/dev/null"

    def _drop(self, time: str, drop: str, happens: str = "") -> None:
        """Files arrive."""
        self._drops.good(drop)
        more = f"; {happens}" if happens else ""
        self.transcript.event(time, f"{_FILES} files in {drop}{more}")

    def _run(self, code: int, says: str = "") -> None:
        """Cron starts the import; afterwards all is there that can be."""
        self._ended(self._cron.run(self._crontab), code, says)

    def _ended(self, ended: Ended, code: int, says: str = "") -> None:
        self.transcript.ended(ended)
        _check(ended, code, says)
        if code != 75:
            done = code in (0, 3)
            self._there = self._drops.check(self._url, None if done else self._there)

    @contextmanager
    def _in_the_middle(self) -> Iterator[Job]:
        """Cron starts the import, and it stands in the middle of its batches for the block."""
        with self._cron.started(self._crontab) as job:
            # The server that holds it may be killed in the block.
            with suppress(psycopg2.OperationalError), held(self._url):
                until_somebody_waits(self._url)
                yield job
            job.end()

    def _work_off(self, time: str, page: str) -> None:
        """Cron starts the import of what is deleted when it is in."""
        self._pages.add(page)
        self.transcript.event(time, f"{page}.json in /data/people, which is consumed")
        ended = self._cron.run(f"{self._people} >/dev/null")
        self.transcript.ended(ended)
        _check(ended, 0)
        self._pages.check(self._url)

    def _type(self, line: str, code: int, says: str) -> None:
        """Somebody types a command."""
        self.transcript.command(line)
        ended = self._cron.run(line)
        self.transcript.ended(ended, mailed=False)
        _check(ended, code, says)


def _check(ended: Ended, code: int, says: str = "") -> None:
    """Raises BrokenError unless a job ended so, and its mail says this, or nothing at all."""
    demand(ended.code == code, f"exit code {ended.code}, not {code}", ended.mail)
    right = says in ended.mail if says else not ended.mail
    demand(right, f"the mail does not say {says!r}", ended.mail)
    demand("Traceback" not in ended.mail, "a traceback", ended.mail)


def main() -> int:
    """Plays the three days; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=("postgresql", "supabase"), default="postgresql")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the document to renew")
    options = parser.parse_args()
    if options.write is not None and options.backend != "postgresql":
        parser.error("The document's transcript is that of PostgreSQL.")
    folder = new_folder("importer-nights-")
    try:
        with open_servers(options.backend, folder / "servers") as servers:
            nights = Nights(folder / "machine", servers.target, servers.every)
            days: list[Callable[[], None]] = [nights.monday, nights.tuesday, nights.wednesday]
            problem = None
            try:
                for happens in [*days, nights.verify]:
                    happens()
            except AssertionError as error:
                problem = error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    markdown = nights.transcript.markdown()
    if problem is not None or options.write is None:
        print(markdown)
    if problem is not None:
        print(f"BROKEN: {problem}")
        return 1
    if options.write is not None:
        document = options.write.read_text()
        options.write.write_text(with_transcript(document, markdown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
