#!/usr/bin/env python3
"""One check from end to end, as a user would do it: `make system_test`.

Imports the examples into a new database on each backend (the embedded PostgreSQL, and a local
Supabase over it), interrupts and resumes larger imports, verifies, and compares the backends.
All of it happens in a temporary folder: your own database and work state are not touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
EXAMPLES = ROOT / "examples" / "states"
OWN_PYTHON = ROOT / ".venv" / "bin" / "python"

try:
    import psycopg2

    from benchmarks.generate import generate
    from imports.errors import ImporterError
    from imports.servers import embedded
    from imports.servers.local_supabase import serve
except ModuleNotFoundError as missing:
    if OWN_PYTHON.exists() and Path(sys.prefix) != ROOT / ".venv":
        os.execv(OWN_PYTHON, [str(OWN_PYTHON), *sys.argv])
    sys.exit(f"❌ FAIL: {missing}. Run `make setup`, then `make system_test`.")

FILES = 700
IMAGES = 20
PATIENCE = 60.0
ENOUGH_ROWS = 50
EXIT_INTERRUPTED = 130

_ROWS = (
    "SELECT to_jsonb(r) - '{id,dataset_id,batch_id,inserted_by,created_at,updated_at}'::text[]"
    " FROM public.search_results r JOIN public.datasets d ON d.id = r.dataset_id"
    " WHERE d.tag = %s ORDER BY search_name, search_state, license_number"
)
_IMAGES = (
    "SELECT to_jsonb(a) - '{first_seen,storage_type}'::text[]"
    " FROM public.image_assets a ORDER BY content_hash"
)
_COUNT = (
    "SELECT count(*) FROM public.search_results r JOIN public.datasets d ON d.id = r.dataset_id"
    " WHERE d.tag = %s"
)


class FailedError(Exception):
    """A check failed; the message names it."""


@dataclass(frozen=True)
class Backend:
    """A backend under test: its name, a working folder, its variables, and its database."""

    name: str
    folder: Path
    environment: dict[str, str]
    database_url: str

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Starts a command of the importer in a process group of its own."""
        misleading = ("SUPABASE_", "NEXT_PUBLIC_", "IMPORTER_", "DATABASE_URL", "PG")
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(misleading)
        }
        return subprocess.Popen(
            [sys.executable, "-m", "imports", *map(str, arguments)],
            cwd=self.folder,
            env={**inherited, "IMPORTER_PROJECT": ".", "PYTHONPATH": str(ROOT), **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )

    def run(self, *arguments: object, exit_code: int = 0) -> str:
        """Runs a command to its end; returns its output."""
        with self.start(*arguments) as process:
            return self.finish(process, exit_code, *arguments)

    def finish(self, process: subprocess.Popen[str], exit_code: int, *arguments: object) -> str:
        """Waits for the end of a command, and checks its exit code."""
        try:
            printed, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise FailedError(f"{self.name}: {_words(arguments)} does not end") from None
        if process.returncode != exit_code:
            raise FailedError(
                f"{self.name}: {_words(arguments)} ended with exit code {process.returncode},"
                f" expected was {exit_code}. It printed:\n{_indent(printed)}"
            )
        return printed

    def query(self, sql: str, *values: object) -> list[Any]:
        """The first column of the result of a query."""
        with contextlib.closing(psycopg2.connect(self.database_url)) as connection:
            cursor = connection.cursor()
            cursor.execute(sql, values)
            return [row[0] for row in cursor.fetchall()]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Blocks all writes of rows until the block ends, so that a run stops where it is."""
        with contextlib.closing(psycopg2.connect(self.database_url)) as connection:
            connection.cursor().execute("LOCK TABLE public.search_results IN SHARE MODE")
            yield
            connection.rollback()


def main() -> int:
    """Runs all steps; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    began = time.monotonic()
    try:
        with _workplace() as folder, contextlib.ExitStack() as resources:
            backends = [_embedded_postgresql(folder, resources)]
            _check_backend(backends[0], _kill)
            backends.append(_local_supabase(folder, backends[0], resources))
            _check_backend(backends[1], _interrupt)
            _compare(*backends)
    except (FailedError, ImporterError) as failure:
        print(f"❌ FAIL: {failure}")
        return 1
    except KeyboardInterrupt:
        print("Stopped. Nothing is left behind.")
        return EXIT_INTERRUPTED
    print(f"✅ PASS ({time.monotonic() - began:.1f} s)")
    return 0


# --- the steps -------------------------------------------------------------------------------


def _check_backend(backend: Backend, stop: Callable[[Backend, subprocess.Popen[str]], str]) -> None:
    _import_examples(backend)
    _import_examples_again(backend)
    _interrupt_and_resume(backend, stop)


def _import_examples(backend: Backend) -> None:
    files, keys = _expected(EXAMPLES)
    backend.run("states", EXAMPLES, "--tag", "examples", "--verify-writes", "--deep")
    rows = backend.query(_ROWS, "examples")
    found = {_key(row["search_name"], row["search_state"], row["license_number"]) for row in rows}
    if found != keys or len(rows) != len(keys):
        differing = ", ".join(map(str, sorted(found ^ keys, key=str)[:5]))
        raise FailedError(
            f"{backend.name}: the examples make {len(keys)} rows, {len(rows)} are there."
            f" Differing: {differing}"
        )
    stored = {image["content_hash"] for image in backend.query(_IMAGES)}
    named = {row["image_hash"] for row in rows if row["image_hash"]}
    if not named or not named <= stored:
        raise FailedError(
            f"{backend.name}: rows name {len(named)} images, {len(stored)} are stored"
        )
    _passed(
        f"{backend.name}: {files} example files imported, {len(rows)} rows and"
        f" {len(stored)} images verified"
    )


def _import_examples_again(backend: Backend) -> None:
    printed = backend.run("states", EXAMPLES, "--tag", "examples")
    if "Nothing to do" not in printed:
        raise FailedError(
            f"{backend.name}: the second import found something to do:\n{_indent(printed)}"
        )
    _passed(f"{backend.name}: the same command again has nothing to do")


def _interrupt_and_resume(
    backend: Backend, stop: Callable[[Backend, subprocess.Popen[str]], str]
) -> None:
    source = backend.folder / "source"
    generate(source, FILES, images=IMAGES, image_bytes=20_000)
    command = ("states", source, "--tag", "interrupted", "--batch-size", 5)
    with backend.start(*command) as process:
        try:
            _await(
                lambda: process.poll() is not None or _rows_of_run(backend) >= ENOUGH_ROWS,
                f"{backend.name}: the import writes no rows",
            )
            how = stop(backend, process)
        finally:
            if process.poll() is None:
                process.kill()
    rows = _rows_of_run(backend)
    if not 0 < rows < FILES:
        raise FailedError(f"{backend.name}: {how} left {rows} of {FILES} rows: not in the middle")
    backend.run(*command)
    inserted = _work_state(backend)["phases"]["import"]["inserted"]
    if (_rows_of_run(backend), inserted) != (FILES, FILES):
        raise FailedError(
            f"{backend.name}: after {how} and the same command again, {_rows_of_run(backend)} of"
            f" {FILES} rows are there, and {inserted} were counted"
        )
    backend.run("verify", "--deep")
    _passed(f"{backend.name}: {how} after {rows} of {FILES} rows, resumed, verified")


def _kill(backend: Backend, process: subprocess.Popen[str]) -> str:
    with backend.held():
        process.kill()
        process.wait()
    return "kill -9"


def _interrupt(backend: Backend, process: subprocess.Popen[str]) -> str:
    with backend.held():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            for line in process.stdout or ():
                if line.startswith("Stopping"):
                    break
    backend.finish(process, EXIT_INTERRUPTED, "the interrupted import")
    return "Ctrl-C"


def _compare(first: Backend, second: Backend) -> None:
    for what, sql, values in (
        ("rows of the examples", _ROWS, ["examples"]),
        ("rows of the interrupted import", _ROWS, ["interrupted"]),
        ("images", _IMAGES, []),
    ):
        one, other = first.query(sql, *values), second.query(sql, *values)
        if one != other:
            differing = next(
                (pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]), ""
            )
            raise FailedError(
                f"the {what} differ: {len(one)} in {first.name}, {len(other)} in {second.name}."
                f" {differing}"
            )
    _passed("both hold the same rows and images")


# --- the backends ----------------------------------------------------------------------------


@contextlib.contextmanager
def _workplace() -> Iterator[Path]:
    if not EXAMPLES.is_dir():
        raise FailedError(f"{EXAMPLES} is missing. Get it again: git checkout examples")
    folder = Path(tempfile.mkdtemp(prefix="importer-system-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _embedded_postgresql(folder: Path, resources: contextlib.ExitStack) -> Backend:
    place = folder / "postgresql"
    place.mkdir()
    # An import in that folder uses this path. The server stays in use here, for queries.
    server = embedded.start(place / ".importer" / "postgresql")
    resources.callback(embedded.stop, server.folder, force=True)
    return Backend("PostgreSQL", place, {}, server.url)


def _local_supabase(folder: Path, other: Backend, resources: contextlib.ExitStack) -> Backend:
    place = folder / "supabase"
    place.mkdir()
    url = embedded.create_database(other.database_url, "supabase")
    local = resources.enter_context(serve(url, place / "server"))
    environment = {"SUPABASE_URL": local.url, "SUPABASE_SERVICE_ROLE_KEY": local.secret_key}
    return Backend("Supabase", place, environment, url)


# --- small things ----------------------------------------------------------------------------


def _expected(source: Path) -> tuple[int, set[tuple[str | None, ...]]]:
    """The number of files of the source, and the keys of their rows."""
    keys = set()
    paths = list(source.rglob("*_parse.json"))
    for path in paths:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        about = document["metadata"]
        for license_ in document["search_result"].get("licenses") or [{}]:
            number = license_.get("license_number")
            keys.add(_key(about["pharmacy_name"], about["state"], number))
    return len(paths), keys


def _key(*values: str | None) -> tuple[str | None, ...]:
    return tuple((value or "").strip() or None for value in values)


def _rows_of_run(backend: Backend) -> int:
    return int(backend.query(_COUNT, "interrupted")[0])


def _work_state(backend: Backend) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((backend.folder / "work_state.json").read_bytes())
    return state


def _await(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise FailedError(otherwise)
        time.sleep(0.002)


def _passed(what: str) -> None:
    print(f"  ✓ {what}", flush=True)


def _words(arguments: tuple[object, ...]) -> str:
    return " ".join(map(str, arguments))


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-30:])


if __name__ == "__main__":
    sys.exit(main())
