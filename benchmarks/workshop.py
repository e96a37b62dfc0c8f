"""The folder of the benchmarks: a PostgreSQL server, generated sources and results."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from filelock import FileLock, Timeout
from generate import change, generate, generate_folders
from generate_insights import generate_insights
from generate_people import generate_people

from imports.servers import embedded
from imports.servers.hosted_database import prepare_database
from imports.servers.local_supabase import serve
from imports.servers.schema import apply_schema

ROOT = Path(__file__).resolve().parent.parent

_PLAIN, _POSTGRESQL, _SUPABASE = "template1", "bench_postgresql", "bench_supabase"
_NOT_OURS = ("DATABASE_URL", "PYTHONDONTWRITEBYTECODE", "SUPABASE_", "IMPORTER_", "PG", "VIRTUAL_")


@dataclass(frozen=True, slots=True)
class Target:
    """A target: a database of its own, and a Supabase over it if `url` is set."""

    database_url: str
    url: str = ""
    key: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that name it."""
        if self.url:
            return {"SUPABASE_URL": self.url, "SUPABASE_SERVICE_ROLE_KEY": self.key}
        return {"DATABASE_URL": self.database_url}


@dataclass(frozen=True, slots=True)
class Sample:
    """A generated source: `items` of a kind; the first `images` of them have an image."""

    kind: str
    items: int
    images: int = 0

    @property
    def name(self) -> str:
        """The name of its folder and of its results."""
        return f"{self.kind}-{self.items}" + (f"-{self.images}" if self.images else "")


class Workshop:
    """The folder of the benchmarks, while its server runs; see `open_workshop`."""

    def __init__(self, folder: Path, server_url: str) -> None:
        """Takes a folder whose server runs already."""
        self.folder = folder
        self._server_url = server_url
        self._number = 0

    # Sources

    def source(self, sample: Sample) -> Path:
        """The folder of a source, which is generated if it is missing or incomplete."""
        folder = self.folder / "data" / sample.name
        if not self._whole(sample).exists():
            shutil.rmtree(folder, ignore_errors=True)
            say(f"generating {sample.name} …")
            if sample.kind == "states":
                generate(folder, sample.items, images=sample.images)
            elif sample.kind == "folders":
                generate_folders(folder, sample.items, images=sample.images)
            elif sample.kind == "people":
                generate_people(folder, sample.items)
            elif sample.kind == "insights":
                generate_insights(folder, sample.items)
            else:
                raise ValueError(f"There is no generator for the kind {sample.kind}.")
            self._whole(sample).touch()
        return folder

    @contextmanager
    def changed(self, sample: Sample, every: int = 1_000) -> Iterator[None]:
        """Changes one in `every` files of a source until the block ends."""
        # If the bench is killed meanwhile, the source is generated again.
        self._whole(sample).unlink()
        before = change(self.source_folder(sample), sample.items, every=every)
        yield
        for path, content in before.items():
            path.write_bytes(content)
        self._whole(sample).touch()

    def source_folder(self, sample: Sample) -> Path:
        """The path of a source, existing or not."""
        return self.folder / "data" / sample.name

    def _whole(self, sample: Sample) -> Path:
        return self.folder / "data" / f"{sample.name}.whole"

    def warm(self, sample: Sample) -> None:
        """Reads all files once, so that they are in memory in the first round too."""
        folder = self.source(sample)
        for parent, _, files in os.walk(folder):
            for name in files:
                with open(f"{parent}/{name}", "rb") as file:
                    while file.read(1 << 20):
                        pass

    # Targets

    @contextmanager
    def postgresql(self) -> Iterator[Target]:
        """A new database with our schema."""
        with self._database(_POSTGRESQL) as url:
            yield Target(url)

    @contextmanager
    def empty_database(self) -> Iterator[Target]:
        """A new, empty database."""
        with self._database(_PLAIN) as url:
            yield Target(url)

    @contextmanager
    def supabase(self) -> Iterator[Target]:
        """A new database with our schema, and a local Supabase over it."""
        with (
            self._database(_SUPABASE) as url,
            self.working_folder() as folder,
            serve(url, folder) as local,
        ):
            yield Target(url, local.url, local.secret_key)

    @contextmanager
    def _database(self, template: str) -> Iterator[str]:
        if template != _PLAIN and not self._exists(template):
            url = embedded.create_database(self._server_url, template)
            (apply_schema if template == _POSTGRESQL else prepare_database)(url)
        self._number += 1
        name = f"bench_{os.getpid()}_{self._number}"
        url = embedded.create_database(self._server_url, name, template)
        try:
            self.settle()
            yield url
        finally:
            self._execute(f'drop database "{name}" with (force)')

    def settle(self) -> None:
        """Writes the data of earlier measurements to disk, so that later ones are not slower."""
        self._execute("checkpoint")
        os.sync()

    def _exists(self, database: str) -> bool:
        statement = f"select 1 from pg_database where datname = '{database}'"
        return bool(query(self._server_url, statement))

    def _execute(self, statement: str) -> None:
        with closing(psycopg2.connect(self._server_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)

    # Working folders

    @contextmanager
    def working_folder(self) -> Iterator[Path]:
        """An empty folder for a run: its work state, ledger and images."""
        parent = self.folder / "work"
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Drops all databases: those of killed benches, and templates, whose schema may change."""
        left = query(self._server_url, r"select datname from pg_database where datname ~ '^bench_'")
        for (name,) in left:
            self._execute(f'drop database "{name}" with (force)')


@contextmanager
def open_workshop(folder: Path) -> Iterator[Workshop]:
    """Starts the server of a folder, and stops it at the end.

    Raises:
        SystemExit: if another program works there.
    """
    folder = folder.absolute()
    (folder / "data").mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield from _opened(folder)
    except Timeout:
        raise SystemExit(
            f"Another bench works in {folder}. Wait for it, or name another with --folder."
        ) from None


def _opened(folder: Path) -> Iterator[Workshop]:
    shutil.rmtree(folder / "work", ignore_errors=True)
    server = embedded.start(folder / "postgresql")
    try:
        workshop = Workshop(folder, server.url)
        workshop.close()
        try:
            yield workshop
        finally:
            workshop.close()
    finally:
        embedded.release(server)


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    """The result of a statement."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def environment(target: Target | None = None) -> dict[str, str]:
    """The environment of a user's commands, with the variables of the target."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(_NOT_OURS)}
    # The checkout that this program belongs to, not another one that may be installed.
    pinned = {"IMPORTER_PROJECT": ".", "PYTHONPATH": str(ROOT)}
    return {**kept, **pinned, **(target.environment if target else {})}


def say(text: str) -> None:
    """Prints progress on standard error."""
    print(text, file=sys.stderr, flush=True)
