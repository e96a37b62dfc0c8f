"""Working folders, and sources that many tests import."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from imports.servers import embedded
from tests.support.command import Workplace
from tests.support.folder import new_folder
from tests.support.searches import generate
from tests.support.target import Target

FILES = 800
"""More than a run takes on without worker processes."""
IMAGES = 60
MEDIUM_FILES = 60
MEDIUM_IMAGES = 6


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that may hold an embedded PostgreSQL."""
    parent = new_folder("importer-acceptance-")
    folder = parent / "work"
    folder.mkdir()
    yield folder
    embedded.stop(folder / ".importer" / "postgresql", force=True)
    shutil.rmtree(parent)


@pytest.fixture
def place(folder: Path, target: Target) -> Workplace:
    """A working folder with each of the backends configured in turn."""
    return Workplace(folder, target.environment)


@pytest.fixture
def pg_place(folder: Path, postgresql: Target) -> Workplace:
    """A working folder with DATABASE_URL set."""
    return Workplace(folder, postgresql.environment)


@pytest.fixture
def bare_place(folder: Path) -> Workplace:
    """A working folder with nothing configured: the embedded PostgreSQL is used."""
    return Workplace(folder, {})


@pytest.fixture(scope="session")
def large_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough files for worker processes, and for many transactions in small batches."""
    source = tmp_path_factory.mktemp("large") / "states"
    generate(source, FILES, images=IMAGES, image_bytes=20_000)
    return source


@pytest.fixture(scope="session")
def medium_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough files for more batches of five than are merged at once."""
    source = tmp_path_factory.mktemp("medium") / "states"
    generate(source, MEDIUM_FILES, images=MEDIUM_IMAGES, image_bytes=2_000)
    return source


@pytest.fixture(scope="session")
def small_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few files with images."""
    source = tmp_path_factory.mktemp("small") / "states"
    generate(source, 12, images=4, image_bytes=2_000)
    return source
