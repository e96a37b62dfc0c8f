"""Every exception that a user can meet. Its message says what happened and what to do now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self


class ImporterError(Exception):
    """Something ended the run. `exit_code` is what the command line exits with."""

    exit_code: ClassVar[int] = 1
    has_lines: ClassVar[bool] = False
    """Whether newlines in its message are ours, and not those of a name in it."""


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
    """The work state belongs to other, unfinished work."""


class LockedError(ImporterError):
    """Another run holds the lock on the ledger, or on the work state."""

    exit_code: ClassVar[int] = 11


class LedgerError(ImporterError):
    """The ledger cannot be opened, or is not one of ours."""


class EmbeddedServerError(ImporterError):
    """The embedded PostgreSQL could not be started or stopped."""

    has_lines: ClassVar[bool] = True


class EmbeddedInUseError(EmbeddedServerError):
    """The embedded PostgreSQL was to be stopped under somebody who uses it."""

    exit_code: ClassVar[int] = 11


class SchemaError(ImporterError):
    """The target lacks our tables or functions, or has other ones under their names."""


class BackendError(ImporterError):
    """The target refuses to work with us: a wrong key, a missing right. Trying again is no use."""


class BackendUnavailableError(ImporterError):
    """The target did not answer, or said that it cannot just now. Trying again may help.

    `retry_after` is the number of seconds that the target asked us to wait, where it did.
    `divisible` says whether a part of the request may pass where the whole did not: not when the
    disk is full or there is too much to do. `locked` says that another session holds a lock that
    the request needs, all of it, and will let go of it.
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
    """The target took the request, and refused what is in it. A smaller one may pass.

    `sqlstate` is the code by which the database itself says that values are the matter. Without
    one it may be a gateway that refuses whatever comes.
    """

    def __init__(self, message: str, *, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class StatementCancelledError(DataRefusedError):
    """The target cut a statement short for its time. A smaller one may pass."""


class ImageProblemError(ImporterError):
    """One image cannot be read, or the store refuses it. The others are not concerned."""


class UnreadImageError(ImageProblemError):
    """One image is there and could not be read, or changed meanwhile. Another run tries again."""


class RecordError(ImporterError):
    """One work item, or one record of it, cannot be read. The others are not concerned."""


class NotOursError(RecordError):
    """A file is whole, but not of this kind: it fails, and stays where it is."""


class DiskError(ImporterError):
    """The disk that one of our files is on is full, broken or away."""


class LimitError(ImporterError):
    """The system gives this process no more of something: files, threads, memory."""

    @classmethod
    def of_open_files(cls, most: int) -> Self:
        """It is open files, of which it gives `most`."""
        return cls(
            f"Too many files are open: the system allows this process {most} (ulimit -n). Raise"
            " that (ulimit -n 1024), or use less at once: --max-workers 4"
            " --max-concurrent-uploads 4. The same command resumes."
        )

    @classmethod
    def of_threads(cls) -> Self:
        """It is threads, or processes."""
        return cls(
            "The system starts no more threads or processes for this user (ulimit -u; in a"
            " container, its limit of pids). Raise that, or use fewer: --max-workers 2"
            " --max-concurrent-uploads 2. The same command resumes."
        )


class InterruptedRunError(ImporterError):
    """The user, or the system, asked the run to stop. The same command resumes it."""

    exit_code: ClassVar[int] = 130
