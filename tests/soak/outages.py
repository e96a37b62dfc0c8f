"""Outages: an import whose servers are killed and restarted under it, which nobody helps.

    python -m tests.soak.outages --backend supabase --outages 20 --files 2000 --images 500

It prints what was done and what is in the target at the end; it exits with 1 if the import did
not end with 0, or not all is there.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from imports.backends import embedded
from imports.backends.embedded_host import read_postmaster
from imports.local_supabase import LocalSupabase, serve
from imports.schema import apply_schema
from tests.support.command import MODULE, Workplace, wait_until
from tests.support.database import create_database, query
from tests.support.folder import new_folder
from tests.support.source import Source
from tests.support.target import Target

_SLOW = (
    # So that the import lasts as long as its outages.
    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " PERFORM pg_sleep({seconds}); RETURN NULL; END $$;"
    "CREATE TRIGGER slow AFTER INSERT ON search_results FOR EACH STATEMENT"
    " EXECUTE FUNCTION slow()"
)


def main() -> int:
    """Runs the import and disturbs its servers; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=("postgresql", "supabase"), default="postgresql")
    parser.add_argument("--outages", type=int, default=10)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--longest", type=float, default=8.0, help="seconds that a server is away")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    folder = new_folder("importer-outages-")
    with ExitStack() as opened:
        opened.callback(shutil.rmtree, folder, ignore_errors=True)
        data = folder / "pg"
        server = embedded.start(data)
        opened.callback(embedded.stop, data)
        url = create_database(server.url, "soak")
        target, local = Target("postgresql", url), None
        servers = {"PostgreSQL": _database(data)}
        if options.backend == "supabase":
            local = opened.enter_context(serve(url, folder / "supabase"))
            target = Target.of(local)
            servers["Supabase"] = _supabase(local)
        else:
            apply_schema(url)
        batches = options.files / 50 / 4
        query(url, _SLOW.format(seconds=options.outages * 2.5 / batches))
        source = Source(folder / "trees" / "source")
        source.add_many(options.files)
        source.add_many(options.images, images=True)
        place = Workplace(
            folder / "work", {**target.environment, "IMPORTER_MAX_WAIT": "60"}, MODULE
        )
        place.folder.mkdir()
        began = time.monotonic()
        with place.started("states", source.folder, "--tag", "t", "--batch-size", 50) as running:
            done = 0
            while done < options.outages and not running.ended:
                time.sleep(chance.uniform(0.5, 4.0))
                name = chance.choice(list(servers))
                number = chance.choice((signal.SIGKILL, signal.SIGINT, signal.SIGTERM))
                away = chance.uniform(0.0, options.longest)
                if running.ended:
                    break
                done += 1
                print(
                    f"{time.monotonic() - began:6.1f} s  {name}: {number.name}, away {away:.1f} s"
                )
                servers[name](number, away)
                if local is not None:
                    _revive(local)
            finished = running.finish(timeout=600)
        print(finished.text)
        rows = query(url, "SELECT count(*) FROM search_results")[0][0]
        images = query(url, "SELECT count(*) FROM image_assets")[0][0]
        whole = (rows, images, finished.code) == (options.files, options.images, 0)
        print(f"{done} outages; {rows:,} rows, {images:,} images, exit code {finished.code}")
        if not whole:
            kept = Path(f"{folder}.kept")
            shutil.copytree(place.folder, kept, ignore=shutil.ignore_patterns(".importer"))
            print(f"BROKEN: logs are in {kept}")
        return 0 if whole else 1


def _database(folder: Path) -> Callable[[signal.Signals, float], None]:
    def disturb(number: signal.Signals, away: float) -> None:
        postmaster = read_postmaster(folder)
        if postmaster is not None:
            os.kill(postmaster.pid, number)
        if number is signal.SIGTERM:
            # A "smart shutdown", which waits for all clients to go; then a fast one.
            time.sleep(min(away, 1.0))
            if postmaster is not None:
                os.kill(postmaster.pid, signal.SIGINT)
        wait_until(lambda: embedded.running_url(folder) is None)
        time.sleep(away)
        embedded.start(folder)

    return disturb


def _revive(local: LocalSupabase) -> None:
    """Starts the local Supabase again if it ended: the emulation may, when its database goes."""
    process = local._process
    if process is None or process.poll() is not None:
        local.stop()
        local.start()


def _supabase(local: LocalSupabase) -> Callable[[signal.Signals, float], None]:
    def disturb(number: signal.Signals, away: float) -> None:
        process = local._process
        if process is not None:
            process.send_signal(number)
        local.stop()
        time.sleep(away)
        local.start()

    return disturb


if __name__ == "__main__":
    sys.exit(main())
