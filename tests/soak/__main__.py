"""A soak: random sources of all kinds, random kills and faults, and what must hold afterwards.

    make soak MINUTES=30            # random rounds for so long
    make soak SEED=7 ARGS="--round 41"  # one round again

Each round makes a source with hostile files in it, imports it into one of the backends, disturbs
the importer a few times, lets it end, and checks rows, images, files, exit codes and counts. It
prints a line for each round; of a broken one what does not hold, and where its folder is. It
exits with 1 if any was broken.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from imports.servers import embedded
from imports.servers.embedded import EmbeddedServer
from imports.servers.hosted_database import prepare_database
from imports.servers.local_supabase import Rest, serve
from imports.servers.schema import apply_schema
from tests.soak.checks import MOST_MEMORY, check_files, check_images, check_rows, demand
from tests.soak.faults import Disturber, faults_for
from tests.soak.told import check_counts, check_status, check_told, check_verify
from tests.soak.trees import random_tree
from tests.support import contents, people
from tests.support.command import MODULE, Workplace
from tests.support.database import copy_of, create_database, drop_database
from tests.support.folder import new_folder
from tests.support.proxy import Proxy, api_proxy, database_proxy
from tests.support.target import Target

KINDS = ("states", "folders", "people")
BACKENDS = ("postgresql", "supabase")
_MOST_RUNS = 6
"""So many undisturbed runs at most come to the end of a source."""


def main() -> int:
    """Runs rounds until the time is over; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--round", type=int, help="only this one")
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--backend", choices=BACKENDS)
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    broken, rounds, faults = [], Counter[str](), Counter[str]()
    peak = 0
    with _servers() as servers:
        number = options.round or 0
        while time.monotonic() < end:
            number = options.round or number + 1
            chance = random.Random(f"{options.seed}/{number}")
            kind, backend = chance.choice(KINDS), chance.choice(BACKENDS)
            if options.kind in (None, kind) and options.backend in (None, backend):
                rounds[f"{kind} into {backend}"] += 1
                outcome = _round(servers, number, kind, backend, chance)
                faults.update(outcome.faults)
                peak = max(peak, outcome.peak)
                if outcome.problem:
                    broken.append(number)
            if options.round:
                break
    print(f"\n{sum(rounds.values())} rounds: {dict(sorted(rounds.items()))}")
    print(f"Faults: {dict(sorted(faults.items()))}")
    print(f"Highest memory of a run: {peak >> 20} MB")
    print(f"Broken: {broken or 'none'} (seed {options.seed})")
    return 1 if broken else 0


@dataclass
class Outcome:
    """How a round ended."""

    faults: list[str]
    peak: int
    problem: str | None = None


@dataclass
class _Servers:
    server: EmbeddedServer
    supabase: Target
    folder: Path


@contextmanager
def _servers() -> Iterator[_Servers]:
    """A PostgreSQL and a local Supabase over it, for all rounds."""
    folder = new_folder("importer-soak-")
    with ExitStack() as opened:
        server = embedded.start(folder / "pg", {"fsync": "off", "full_page_writes": "off"})
        opened.callback(shutil.rmtree, folder, ignore_errors=True)
        opened.callback(embedded.release, server)
        opened.callback(embedded.stop, server.folder, force=True)
        apply_schema(create_database(server.url, "template_postgresql"))
        url = create_database(server.url, "soak_supabase")
        prepare_database(url)
        (folder / "supabase").mkdir()
        local = opened.enter_context(serve(url, folder / "supabase", rest=Rest.POSTGREST))
        yield _Servers(server, Target.of(local), folder)


def _round(
    servers: _Servers, number: int, kind: str, backend: str, chance: random.Random
) -> Outcome:
    began = time.monotonic()
    home = new_folder(f"importer-soak-{number}-")
    outcome = Outcome([], 0)
    with ExitStack() as opened:
        target, through, proxy = _target(servers, number, backend, opened)
        place = Workplace(home / "work", through.environment, MODULE)
        place.folder.mkdir()
        disturber = None
        try:
            tree = random_tree(kind, home / "data" / "source", chance)
            disturber = Disturber(place, target, tree, proxy, chance)
            _import(disturber)
        except Exception as error:  # noqa: BLE001 - the other rounds go on
            outcome.problem = "".join(traceback.format_exception(error)[-3:])
        if disturber is not None:
            outcome.faults, outcome.peak = disturber.done, disturber.peak
    print(
        f"{number:5} {kind:<8} {backend:<11} {time.monotonic() - began:5.1f} s"
        f" {outcome.peak >> 20:4} MB  {'BROKEN' if outcome.problem else 'ok':<7}"
        f" {' '.join(outcome.faults)}",
        flush=True,
    )
    if outcome.problem:
        print(f"{outcome.problem}\n      its folder: {home}", flush=True)
    else:
        shutil.rmtree(home)
    return outcome


def _target(
    servers: _Servers, number: int, backend: str, opened: ExitStack
) -> tuple[Target, Target, Proxy]:
    """A target with nothing in it, the same through a proxy, and the proxy."""
    if backend == "postgresql":
        name = f"soak_{number}"
        url = copy_of(servers.server.url, "template_postgresql", name)
        opened.callback(drop_database, servers.server.url, name)
        proxy, other = database_proxy(url)
        opened.callback(proxy.close)
        return Target(backend, url), Target(backend, other), proxy
    target = servers.supabase
    target.empty()
    people.empty_people(target.database_url)
    assert target.supabase_url is not None
    proxy, other = api_proxy(target.supabase_url)
    opened.callback(proxy.close)
    return target, replace(target, supabase_url=other), proxy


def _import(disturber: Disturber) -> None:
    """Imports a source with some disturbances, then without; and checks what must hold."""
    chance, tree = disturber.chance, disturber.tree
    batch_size, workers = chance.choice([1, 7, 50, 500]), chance.choice([1, 4, 16])
    command = [
        *(tree.kind, tree.folder, "--tag", "soak", *tree.options),
        *("--batch-size", batch_size, "--max-workers", workers),
    ]
    possible = faults_for(tree, disturber.target)
    faults = [chance.choice(possible) for _ in range(chance.randint(0, 4))]
    for fault in faults:
        disturber.run(*command, fault=fault)
    _undisturbed(disturber, command)
    check_rows(tree, disturber.target.database_url)
    if tree.kind == "folders" and "touch" in faults:
        # A row has the times of its images.
        tree.updates = True
    exactly = not {"touch", "torn_state", "two_at_once"} & set(faults)
    check_counts(tree, disturber.runs, exactly=exactly)
    _check_all(disturber)
    _check_again(disturber, command)
    _verify(disturber)
    if tree.later:
        _let_it_come(disturber, command)
    if tree.kind == "people" and tree.keeps and not tree.fails:
        _work_off(disturber)
    demand(disturber.peak < MOST_MEMORY, "memory", disturber.peak)


def _check_all(disturber: Disturber) -> None:
    """What must hold whenever an import has come to its end."""
    tree, target = disturber.tree, disturber.target
    check_rows(tree, target.database_url)
    check_images(tree, target, disturber.place.folder)
    check_files(tree, disturber.places)
    check_told(tree, disturber.runs)
    check_status(tree, disturber.places)


def _undisturbed(disturber: Disturber, command: list[object]) -> None:
    """Runs a command until nothing is left to do."""
    for _ in range(_MOST_RUNS):
        ended = disturber.run(*command)
        demand(ended.code in {0, 3}, "an undisturbed run ended with", ended.code, ended.text)
        if disturber.runs[-1].completed:
            return
    raise AssertionError(f"no end after {_MOST_RUNS} runs: {ended.text[-1500:]}")


def _check_again(disturber: Disturber, command: list[object]) -> None:
    """The same once more writes nothing."""
    url = disturber.target.database_url
    versions = people.versions if disturber.tree.kind == "people" else contents.versions
    before = versions(url)
    for _ in range(disturber.chance.randint(1, 3)):
        ended = disturber.run(*command)
        demand(ended.code in {0, 3}, "the same again", ended.code, ended.text)
    demand(before == versions(url), "the same again wrote rows", ended.text)
    check_told(disturber.tree, disturber.runs)


def _verify(disturber: Disturber) -> None:
    ended = disturber.run("verify", "--deep")
    check_verify(disturber.tree, ended, alone=len(disturber.places) == 1)


def _let_it_come(disturber: Disturber, command: list[object]) -> None:
    """What was missing is there; verification says so, and the same command takes it in."""
    tree = disturber.tree
    for come in tree.later:
        come()
    ended = disturber.run("verify")
    demand(ended.code == 3, "verify where a picture has come", ended.code, ended.text)
    demand("different" in ended.text, "verify where a picture has come", ended.text)
    tree.updates = True
    fault = disturber.chance.choice([None, "kill", "kill_at_request", "interrupt"])
    disturber.run(*command, fault=fault)
    _undisturbed(disturber, command)
    _check_all(disturber)
    _verify(disturber)


def _work_off(disturber: Disturber) -> None:
    """What was kept is deleted by a run that may, which writes no row."""
    tree, url = disturber.tree, disturber.target.database_url
    tree.to_be_consumed()
    before = people.versions(url)
    command = [tree.kind, tree.folder, "--tag", "soak", *tree.options]
    disturber.run(*command, fault=disturber.chance.choice([None, "kill", "kill_aside"]))
    _undisturbed(disturber, command)
    demand(before == people.versions(url), "to consume what was kept wrote rows")
    _check_all(disturber)
    _verify(disturber)


if __name__ == "__main__":
    sys.exit(main())
