"""A source and a target, imports from one into the other, and their results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from imports import ResilientImporter, Settings, load_settings
from imports.run.report import RunReport, VerifyReport
from tests.support.database import query
from tests.support.proxy import Proxy, api_proxy, database_proxy
from tests.support.source import Source
from tests.support.target import Target

TABLES = ("datasets", "image_assets", "search_results", "device_test")

one_backend = pytest.mark.parametrize("bench", ["postgresql"], indirect=True)
"""For a test of what is decided before a backend is reached: `bench` is one of them only."""


class Bench:
    """Imports from a source of its own into a target. What it needs is below `folder`."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.folder = folder
        # In a folder of its own: images may be read from the folder that holds the source.
        self.source = Source(folder / "trees" / "source")
        self.state_file = folder / "work_state.json"
        self.data_folder = folder / "data"
        self._proxies: list[Proxy] = []

    @property
    def url(self) -> str:
        """The database, for queries of the tests."""
        return self.target.database_url

    def settings(self, **flags: Any) -> Settings:
        """The settings of an import; flags go before. No server is waited for, unless they say."""
        return load_settings(
            environment=self.target.environment,
            folder=self.folder,
            **{
                "source": self.source.folder,
                "tag": "test",
                "state_file": self.state_file,
                "data_folder": self.data_folder,
                "max_wait": 0,
                **flags,
            },
        )

    def run(self, **flags: Any) -> RunReport:
        """Imports."""
        return ResilientImporter(self.settings(**flags)).run()

    def verify(self, *, repair: bool = False, **flags: Any) -> VerifyReport:
        """Verifies the last run."""
        with ResilientImporter(self.settings(**flags)) as importer:
            return importer.verify_again(repair=repair)

    def forget(self) -> None:
        """Uses another ledger and work state from now on, as on another machine."""
        self.state_file = self.state_file.parent / "elsewhere" / "work_state.json"
        self.state_file.parent.mkdir()

    def proxied(self) -> Proxy:
        """Puts a proxy before the target."""
        if self.target.supabase_url is None:
            proxy, url = database_proxy(self.target.database_url)
            self.target = Proxied("postgresql", self.target.database_url, through=url)
        else:
            proxy, url = api_proxy(self.target.supabase_url)
            self.target = replace(self.target, supabase_url=url)
        self._proxies.append(proxy)
        return proxy

    def close(self) -> None:
        """Ends the proxies."""
        for proxy in self._proxies:
            proxy.close()

    # What is in the target

    def rows(
        self, columns: str = "license_number, license_status", order: str = "license_number"
    ) -> list[tuple[Any, ...]]:
        """Some columns of all rows."""
        return query(self.url, f"SELECT {columns} FROM search_results ORDER BY {order}")

    def count(self, table: str = "search_results") -> int:
        """How many rows a table has."""
        return int(query(self.url, f"SELECT count(*) FROM {table}")[0][0])

    def versions(self) -> dict[str, list[tuple[Any, ...]]]:
        """The transaction that wrote each row of each table."""
        return {
            table: query(self.url, f"SELECT ctid::text, xmin::text FROM {table} ORDER BY ctid")
            for table in TABLES
        }

    def images(self) -> dict[str, str]:
        """The places of all images that the target lists, by hash."""
        return dict(query(self.url, "SELECT content_hash, storage_path FROM image_assets"))

    def stored(self, storage_path: str) -> bytes | None:
        """The content of a place in the image store."""
        if self.target.supabase_url is None:
            file = self.data_folder / "imagecache" / storage_path
            return file.read_bytes() if file.exists() else None
        answer = self.api("GET", f"/storage/v1/object/imagecache/{storage_path}")
        return answer.content if answer.status_code == 200 else None

    def store(self, storage_path: str, content: bytes | None) -> None:
        """Replaces or removes a stored image."""
        if self.target.supabase_url is None:
            file = self.data_folder / "imagecache" / storage_path
            file.unlink(missing_ok=True)
            if content is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            return
        bucket = "/storage/v1/object/imagecache"
        assert self.api("DELETE", bucket, json={"prefixes": [storage_path]}).is_success
        if content is not None:
            headers = {"content-type": "image/png"}
            stored = self.api("POST", f"{bucket}/{storage_path}", content=content, headers=headers)
            assert stored.is_success

    def api(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Sends a request to the Supabase, with its secret key."""
        return self.target.api(method, path, **arguments)


class Proxied(Target):
    """A PostgreSQL that the importer reaches over another URL than the tests do."""

    through: str

    def __init__(self, backend: str, database_url: str, *, through: str) -> None:
        super().__init__(backend, database_url)
        object.__setattr__(self, "through", through)

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.through}
