"""A run over people in a temporary folder, with a real ledger and a database in memory."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from imports.backends.database import Comparison, MergeAnswer, Rows, TableComparison
from imports.backends.retry import RetryPolicy
from imports.backends.target import Target
from imports.backends.target_config import opened
from imports.kinds import kind_named
from imports.ledger import KnownLedger, PlacementLedger
from imports.resilient_importer import ResilientImporter
from imports.run.consuming.disposal_plan import disposal_plan
from imports.run.consuming.progress_log import progress_log
from imports.run.display import SilentDisplay
from imports.run.report import RunReport
from imports.run.session import RunSession
from imports.run.source import source_of
from imports.run.spool import Spool
from imports.settings import Settings
from imports.workers.executors import Workers
from tests.support.book import Book
from tests.support.folder import files_below
from tests.support.memory import MemoryDatabase, target_config
from tests.support.reports import work_state


class PeopleDatabase(MemoryDatabase):
    """Answers all requests of a run. `compared` are the rows that verification compared."""

    def __init__(self, poison: set[str] | None = None, down: set[str] | None = None) -> None:
        super().__init__(poison, down)
        self.compared = 0
        self.wrong: set[str] = set()
        self.remembered: set[str] = set()

    def dataset_id(self, *_: object) -> int:
        return 1

    def forget_merges(self, run_name: str) -> None:
        self.remembered.discard(run_name)

    def compare(self, rows: Rows) -> dict[int, TableComparison]:
        answer = {index: TableComparison([], []) for index, _ in rows.compared()}
        for index, _, some in rows.tables():
            self.compared += len(some)
            found = [any(each in row.decode() for each in self.wrong) for row in some]
            answer[index].rows.extend(
                Comparison("missing" if each else "same", None, {}) for each in found
            )
        return answer

    def rows(self, *_: object) -> list[Any]:
        return []

    @property
    def people(self) -> list[str]:
        """The profile ids of the imported persons, in order."""
        found = (row.get("neuron360_profile_id") for row in self.stored)
        return [each for each in cast(Iterable[str | None], found) if each is not None]

    def merge(self, request_id: UUID, rows: Rows) -> MergeAnswer:
        self.before_merge()
        self.remembered.add(rows.run["batch_id"])
        return super().merge(request_id, rows)

    def before_merge(self) -> None:
        """A hook for tests that act during a run."""


def person(profile_id: str | None, **more: Any) -> dict[str, Any]:
    """A record of results; without an id it is one that fails."""
    return {"profile_data": {"profile_id": profile_id, "profile_full_name": "X", **more}}


class PeopleBench:
    """A source of people, `source/`, and runs over it."""

    def __init__(self, folder: Path) -> None:
        self.base = folder
        self.folder = folder / "source"
        self.failed = folder / "failed_uploads"
        self.done = folder / "done_uploads"
        self.folder.mkdir()
        self.database = PeopleDatabase()
        self.display = SilentDisplay()
        self.said: list[str] = []
        self.display.say = self.said.append  # type: ignore[method-assign]
        self._open: list[RunSession] = []

    def write(self, name: str, content: bytes, *, age: float = 60.0) -> Path:
        """A file that was last changed `age` seconds ago; negative for a time to come."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        moment = time.time() - age
        os.utime(path, (moment, moment))
        return path

    def add(self, name: str, *profile_ids: str | None, age: float = 60.0) -> Path:
        """A file with these persons."""
        content = {"results": [person(each) for each in profile_ids]}
        return self.write(name, json.dumps(content).encode(), age=age)

    def session(self, run_name: str = "batch", only: str | None = None, **flags: Any) -> RunSession:
        """The session of a run, opened as by a run, except for the target."""
        settings = Settings(
            kind="people",
            tag="t",
            source=self.folder,
            state_file=self.base / "work_state.json",
            data_folder=self.base / ".importer",
            **{"no_progress_csv": "progress_csv" not in flags, "max_retries": 0, **flags},
        )
        kind = kind_named("people")
        book = Book(
            settings.ledger_file,
            kind="people",
            source=str(self.folder),
            run_name=run_name,
            only=only,
        )
        source = source_of(settings, kind, self.folder)
        workers = Workers(min(2, settings.max_workers))
        workers.process_count = 1  # starting processes takes longer than all of a small run
        resources = contextlib.ExitStack()
        resources.callback(book.file.close)
        resources.callback(workers.close)
        progress = progress_log(settings, kind, book.scope, source)
        if progress is not None:
            resources.callback(progress.close)
        policy = RetryPolicy(settings.max_retries)
        config = target_config(self.database, SimpleNamespace(storage_type="memory"), policy)
        target = SimpleNamespace(
            **opened(config)._asdict(),
            config=config,
            key="target",
            backend="postgresql",
            location="mem",
        )
        session = RunSession(
            settings=settings,
            kind=kind,
            source=source,
            single_item=only,
            target=cast(Target, target),
            policy=policy,
            display=self.display,
            workers=workers,
            ledger=book.file,
            runs=book.runs,
            scope=book.scope,
            listing=book.listing,
            items=book.items,
            growing=book.growing,
            queue=book.queue,
            images=book.images,
            placements=PlacementLedger(book.scope, target.key),
            known=KnownLedger(book.scope, target.key),
            lacking=book.lacking,
            exempt=book.exempt,
            spool=Spool(self.base / ".importer" / "spool" / run_name, self.database.row_format),
            status_files=None,
            backups=None,
            disposal=disposal_plan(settings, kind, self.folder, only),
            disposals=book.disposals,
            progress=progress,
            state=work_state(
                run_name=run_name, kind="people", source=str(self.folder), tag="t", phases={}
            ),
            resumed=False,
            began_at=time.monotonic(),
            _resources=resources,
        )
        self._open.append(session)
        return session

    def run(
        self,
        run_name: str = "batch",
        tell: Callable[[RunReport], None] | None = None,
        **flags: Any,
    ) -> RunReport:
        """A whole run."""
        return self.go(self.session(run_name, **flags), tell)

    def go(self, session: RunSession, tell: Callable[[RunReport], None] | None = None) -> RunReport:
        """A whole run in a session."""
        importer = ResilientImporter(session.settings, self.display, session.policy.stop)
        importer._session = session
        return importer.run(tell)

    def left(self) -> list[str]:
        """The paths of the files in the source."""
        return files_below(self.folder)

    def close(self) -> None:
        for session in self._open:
            session.close()
