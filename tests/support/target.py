"""Where a test imports to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """What the settings of an import need for one of the backends, and where its rows end up.

    For Supabase, `database_url` is for looking at rows only. Given to the importer as well, it
    would make it COPY straight into the database.
    """

    backend: str
    database_url: str
    supabase_url: str | None = None
    supabase_key: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment that makes the command line import to this target."""
        if self.supabase_url is None or self.supabase_key is None:
            return {"DATABASE_URL": self.database_url}
        return {"SUPABASE_URL": self.supabase_url, "SUPABASE_SERVICE_ROLE_KEY": self.supabase_key}
