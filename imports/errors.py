"""Every exception that a user can meet. Its message says what happened and what to do now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Self


class ImporterError(Exception):
    """Something ended the run; the command line exits with `exit_code`."""

    exit_code: ClassVar[int] = 1
    has_lines: ClassVar[bool] = False
    """Whether newlines in its message are ours. Otherwise they come from a name and are escaped."""


class UsageError(ImporterError):
    """A flag, a variable or a path is missing or makes no sense."""

    exit_code: ClassVar[int] = 2


class SettingsError(UsageError):
    """Settings that make no sense: `problems` has what is wrong with each, by its name."""

    def __init__(self, problems: Mapping[str, str], origins: Mapping[str, str]) -> None:
        """`origins` says where settings came from, of those that came from somewhere."""
        super().__init__(
            "; ".join(f"{origins.get(name, name)}: {problem}" for name, problem in problems.items())
        )
        self.problems = problems


class StateConflictError(ImporterError):
    """The work state belongs to another unfinished run."""


class LockedError(ImporterError):
    """Another run holds the lock on the ledger, or on the work state."""

    exit_code: ClassVar[int] = 11


class LedgerError(ImporterError):
    """The ledger cannot be opened, or is not one of ours."""


class EmbeddedServerError(ImporterError):
    """The embedded PostgreSQL could not be started or stopped."""

    has_lines: ClassVar[bool] = True


class EmbeddedInUseError(EmbeddedServerError):
    """The embedded PostgreSQL cannot be stopped, since a run or another program uses it."""

    exit_code: ClassVar[int] = 11


class SchemaError(ImporterError):
    """The target lacks our tables or functions, or has others with the same names."""


class NoParentsError(ImporterError):
    """The target has none of the rows that all rows of this kind refer to."""


class BackendError(ImporterError):
    """The target refuses us, e.g. because of a wrong key or a missing right. Never retried."""


class BackendUnavailableError(ImporterError):
    """The target did not answer, or has a temporary error. Retried.

    `retry_after` is the number of seconds that the target asked us to wait, if it did.
    `divisible` says whether a smaller request may succeed; it cannot if the disk is full or the
    server is overloaded. `locked` says that another session holds a lock that the whole request
    needs, and will release it.
    """

    exit_code: ClassVar[int] = 75

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        divisible: bool = True,
        locked: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.divisible = divisible and not locked
        self.locked = locked


class DataRefusedError(ImporterError):
    """The target read the request and refused its data. A smaller request may succeed.

    `sqlstate` is the code by which the database says that a value is the cause. Without it, a
    gateway may be refusing every request.
    """

    def __init__(self, message: str, *, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class StatementCancelledError(DataRefusedError):
    """The target cancelled a statement because of its timeout. A smaller one may succeed."""


class ImageProblemError(ImporterError):
    """One image cannot be read, or the store refuses it. Other images are not affected."""


class UnreadImageError(ImageProblemError):
    """One image exists but could not be read, or changed meanwhile. Another run retries it."""


class RecordError(ImporterError):
    """One work item, or one record of it, cannot be read. Others are not affected.

    `problems` are those of single values, if it is about these: the place and what is wrong.
    """

    problems: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of_values(cls, problems: Iterable[str]) -> Self:
        """The error of an item with wrong values; each text begins with the place of the value."""
        found = tuple(problems)
        error = cls("; ".join(found))
        error.problems = tuple((each.split(" ", 1)[0], each.split(" ", 1)[-1]) for each in found)
        return error


class NotOursError(RecordError):
    """A complete file does not belong to this kind: it fails, and stays where it is."""


class DiskError(ImporterError):
    """The disk of one of our files is full, broken or gone."""


class LimitError(ImporterError):
    """This process has reached a limit of the system: files, threads, memory."""

    @classmethod
    def of_open_files(cls, most: int) -> Self:
        """The limit of open files, `most`, is reached."""
        return cls(
            f"Too many files are open: the system allows this process {most} (ulimit -n). Raise"
            " the limit (ulimit -n 1024), or use fewer at once: --max-workers 4"
            " --max-concurrent-uploads 4. The same command resumes."
        )

    @classmethod
    def of_threads(cls) -> Self:
        """The limit of threads or processes is reached."""
        return cls(
            "The system starts no more threads or processes for this user (ulimit -u; in a"
            " container, its limit of pids). Raise the limit, or use fewer: --max-workers 2"
            " --max-concurrent-uploads 2. The same command resumes."
        )


class InterruptedRunError(ImporterError):
    """The user, or the system, asked the run to stop. The same command resumes it."""

    exit_code: ClassVar[int] = 130
