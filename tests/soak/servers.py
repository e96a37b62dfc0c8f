"""The servers behind an import, each of which can be killed, stopped and started under it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from imports.servers import embedded
from imports.servers.embedded import EmbeddedServer
from imports.servers.embedded_host import read_postmaster
from imports.servers.local_program import Program
from imports.servers.local_supabase import LocalSupabase, Rest, serve
from imports.servers.schema import apply_schema
from tests.support.command import wait_until
from tests.support.database import create_database
from tests.support.target import Target


@dataclass(frozen=True)
class Server:
    """One of them. `kill` is `kill -9`; all three return when it is done."""

    name: str
    kill: Callable[[], object]
    stop: Callable[[], object]
    start: Callable[[], object]


@dataclass
class Servers:
    """All of them, with the target that they make together."""

    target: Target
    every: list[Server] = field(default_factory=list)
    supabase: LocalSupabase | None = None

    def revive(self) -> list[str]:
        """Starts programs that ended by themselves, as a host does; their names."""
        programs = self.supabase.programs if self.supabase is not None else []
        ended = [program for program in programs if program.exit_code is not None]
        for program in ended:
            program.launch()
        return [program.name for program in ended]


@contextmanager
def open_servers(backend: str, folder: Path) -> Iterator[Servers]:
    """Servers of a backend with our schema, until the block ends. Their data is in `folder`."""
    data = folder / "pg"
    with ExitStack() as opened:
        uses: list[EmbeddedServer] = [embedded.start(data)]
        opened.callback(lambda: [embedded.release(use) for use in uses])
        opened.callback(lambda: embedded.stop(data, force=True))
        url = create_database(uses[0].url, "soak")
        postgresql = Server(
            "PostgreSQL",
            kill=lambda: _kill_postgresql(data),
            stop=lambda: embedded.stop(data, force=True),
            start=lambda: uses.append(embedded.start(data)),
        )
        if backend == "postgresql":
            apply_schema(url)
            yield Servers(Target("postgresql", url), [postgresql])
            return
        local = opened.enter_context(serve(url, folder / "supabase", rest=Rest.POSTGREST))
        assert local.postgrest is not None
        assert local.gateway is not None
        programs = {
            "PostgREST": local.postgrest,
            "storage": local.lite,
            "gateway": local.gateway,
        }
        every = [postgresql, *(_of(name, program) for name, program in programs.items())]
        yield Servers(Target.of(local), every, local)


def _of(name: str, program: Program) -> Server:
    return Server(name, program.kill, program.stop, program.launch)


def _kill_postgresql(data: Path) -> None:
    postmaster = read_postmaster(data)
    assert postmaster is not None, "there is no PostgreSQL to kill"
    os.kill(postmaster.pid, signal.SIGKILL)
    wait_until(lambda: embedded.running_url(data) is None)
