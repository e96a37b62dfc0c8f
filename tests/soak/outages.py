"""Outages: an import whose servers are killed and restarted under it, which nobody helps.

    python -m tests.soak.outages
    python -m tests.soak.outages --backend postgresql --files 2000 --outages 5 --seed 3

Each server is killed and stopped as often as `--outages` says. That is spread over the whole import
by a plan that the seed decides. It prints a line for each outage, and what came of all; it exits
with 1 if the import did not end with 0, or not all is there, exactly once. Logs are kept then.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import SubprocessError

import psycopg2

from tests.soak.checks import demand
from tests.soak.servers import Server, Servers, open_servers
from tests.soak.whole import Wanted, check_whole
from tests.support.command import MODULE, Running, Workplace
from tests.support.database import query
from tests.support.folder import new_folder
from tests.support.source import Source, png

_PHASES = ("planning", "sha256", "upload", "import", "verify")
_BATCHES = 400
_MERGED_AT_ONCE, _UPLOADED_AT_ONCE = 4, 10
_BETWEEN = 2.0
"""For so many seconds the import works between two outages, were nothing to be done twice."""

# An import of new rows sleeps where it writes some: in a statement, as it would in a slow one.
_SLOW = (
    "CREATE FUNCTION public.soak_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " IF EXISTS (SELECT FROM fresh) THEN PERFORM pg_sleep({seconds}); END IF; RETURN NULL; END $$;"
    "CREATE TRIGGER soak AFTER INSERT ON {table} REFERENCING NEW TABLE AS fresh"
    " FOR EACH STATEMENT EXECUTE FUNCTION public.soak_{name}()"
)


@dataclass(frozen=True)
class Outage:
    """What happens to a server once the import has come so far in a phase."""

    phase: str
    done: float
    server: Server
    killed: bool
    away: float

    @property
    def name(self) -> str:
        """What happens, in two words."""
        return f"{self.server.name} {'killed' if self.killed else 'stopped'}"

    def strike(self) -> None:
        """Makes it happen; returns when the server was started again."""
        (self.server.kill if self.killed else self.server.stop)()
        time.sleep(self.away)
        self.server.start()


def main() -> int:
    """Runs the import and disturbs its servers; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=("postgresql", "supabase"), default="supabase")
    parser.add_argument("--outages", type=int, default=10, help="of each kind, for each server")
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--longest", type=float, default=4.0, help="seconds that a server is away")
    parser.add_argument("--max-wait", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = new_folder("importer-outages-")
    began = time.monotonic()
    with ExitStack() as opened:
        opened.callback(shutil.rmtree, folder, ignore_errors=True)
        servers = opened.enter_context(open_servers(options.backend, folder))
        chance = random.Random(options.seed)
        plan = _plan(servers, options.outages, options.longest, chance)
        _slow_down(servers, plan, options.images)
        wanted = _fill(Source(folder / "trees" / "source"), options.files, options.images)
        place = Workplace(
            folder / "work",
            {**servers.target.environment, "IMPORTER_MAX_WAIT": str(options.max_wait)},
            MODULE,
        )
        place.folder.mkdir()
        left = list(plan)
        problem = None
        try:
            _import_disturbed(place, servers, left, wanted, chance)
            check_whole(place, servers.target, wanted)
        except (AssertionError, OSError, SubprocessError) as error:
            problem = str(error)
        happened = Counter(outage.name for outage in plan[: len(plan) - len(left)])
        print(
            f"Seed {options.seed}, {options.backend}: {options.files:,} files, {options.images:,}"
            f" images; {time.monotonic() - began:.0f} s. Outages: "
            + ", ".join(f"{name} {count}×" for name, count in sorted(happened.items()))
        )
        if problem is None:
            print("Whole: all rows and images, each counted once, exit code 0.")
            return 0
        kept = Path(f"{folder}.kept")
        others = shutil.ignore_patterns("trees", "pg", "imagecache", "*.sock")
        shutil.copytree(folder, kept, ignore=others)
        print(f"BROKEN: {problem}\nLogs are in {kept}.")
        return 1


def _plan(servers: Servers, each: int, longest: float, chance: random.Random) -> list[Outage]:
    """As many kills and restarts of each server, in any order, over all phases."""
    hits = [(server, killed) for server in servers.every for killed in (True, False)] * each
    chance.shuffle(hits)
    in_upload = len(hits) // 4 if servers.supabase is not None else 1
    in_import = len(hits) - in_upload - 2
    timestamps = [
        ("planning", 0.0),
        *(("upload", number / in_upload) for number in range(in_upload)),
        *(("import", number / in_import) for number in range(in_import)),
        ("verify", 0.0),
    ]
    return [
        Outage(phase, done, server, killed, chance.uniform(0.0, longest))
        for (phase, done), (server, killed) in zip(timestamps, hits, strict=True)
    ]


def _slow_down(servers: Servers, plan: list[Outage], images: int) -> None:
    """Makes upload and import last as long as their outages."""
    phases = Counter(outage.phase for outage in plan)
    seconds = {"search_results": _BETWEEN * phases["import"] * _MERGED_AT_ONCE / _BATCHES}
    if servers.supabase is not None:
        seconds["storage.objects"] = _BETWEEN * phases["upload"] * _UPLOADED_AT_ONCE / images
    else:
        # There the store is a folder, and only the list of what it has takes time.
        seconds["image_assets"] = 2 * _BETWEEN
    for number, (table, pause) in enumerate(seconds.items()):
        sql = _SLOW.format(name=number, table=table, seconds=pause)
        query(servers.target.database_url, sql)


def _fill(source: Source, files: int, images: int) -> Wanted:
    source.add_many(files)
    source.add_many(images, images=True)
    return Wanted(source.folder, files, [png(number + 1) for number in range(images)])


def _import_disturbed(
    place: Workplace, servers: Servers, left: list[Outage], wanted: Wanted, chance: random.Random
) -> None:
    """Runs the import, and lets outages happen on its way; those that did are taken from `left`.

    Raises:
        BrokenError: if it does not end with 0, or before all of them have happened.
    """
    watch = _Watch(place, servers, wanted)
    command = ["states", wanted.source, "--tag", "t", "--verify-writes"]
    with place.started(*command, "--batch-size", max(1, wanted.files // _BATCHES)) as running:
        while left and _wait_for(left[0], watch, running):
            outage = left.pop(0)
            watch.say(f"{outage.name}, away {outage.away:.1f} s")
            outage.strike()
            time.sleep(chance.uniform(0.1, 1.0))
        while not running.ended and time.monotonic() < watch.began + 3600:
            watch.look()
            time.sleep(0.1)
        demand(running.ended, "the import does not end", running.err)
        finished = running.finish()
    watch.say(f"ended with {finished.code}")
    print(finished.text)
    demand(finished.code == 0, f"exit code {finished.code}")
    demand("Traceback" not in finished.text, "a traceback")
    demand(not left, f"it ended before {len(left)} of its outages")


def _wait_for(outage: Outage, watch: _Watch, running: Running) -> bool:
    """Waits until it is time for an outage; false if the import ends before."""
    while not running.ended:
        watch.look()
        if (_PHASES.index(watch.phase), watch.done) >= (_PHASES.index(outage.phase), outage.done):
            return True
        time.sleep(0.02)
    return False


class _Watch:
    """How far an import is, seen from outside: its phase, and which part of that is done."""

    def __init__(self, place: Workplace, servers: Servers, wanted: Wanted) -> None:
        self.began = time.monotonic()
        self.phase, self.done = _PHASES[0], -1.0
        self._place, self._servers = place, servers
        table = "storage.objects" if servers.supabase is not None else "image_assets"
        self._all = {
            "upload": (table, len(wanted.images)),
            "import": ("search_results", wanted.files),
        }

    def look(self) -> None:
        """Looks how far it is now; and starts what ended by itself."""
        for name in self._servers.revive():
            self.say(f"{name} ended by itself, and is started again")
        # There is none at the very beginning.
        with suppress(FileNotFoundError):
            phase = self._place.state["current_phase"]
            if phase != self.phase or self.done < 0:
                self.phase, self.done = phase, 0.0
        if self.phase in self._all:
            table, total = self._all[self.phase]
            # A server may be down, by the import's own doing or by what was done to another one.
            with suppress(psycopg2.Error):
                rows = query(self._servers.target.database_url, f"SELECT count(*) FROM {table}")
                self.done = rows[0][0] / total

    def say(self, what: str) -> None:
        """Prints what happens, with the time and how far the import is."""
        seconds = time.monotonic() - self.began
        print(f"{seconds:6.1f} s  {self.phase:<8} {max(self.done, 0):4.0%}  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
