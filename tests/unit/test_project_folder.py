from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from imports.configuration import project_folder as module
from imports.configuration.project_folder import project_folder
from imports.errors import UsageError

PROJECT_FILES = [
    *(".env", ".env.local", ".env.staging", ".env.production"),
    *("work_state.json", "upload_tracker.db", ".importer/"),
]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a project, with a working folder two levels below, and a home above."""
    project = tmp_path / "home" / "project"
    (project / "data" / "today").mkdir(parents=True)
    monkeypatch.chdir(project / "data" / "today")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(module, "_checkout", lambda: None)
    return project


def put(folder: Path, name: str) -> None:
    if name.endswith("/"):
        (folder / name).mkdir()
    else:
        (folder / name).write_text("")


@pytest.mark.parametrize("name", PROJECT_FILES)
def test_it_is_the_nearest_folder_upwards_that_has_a_file_of_a_project(
    project: Path, name: str
) -> None:
    assert project_folder({}) == Path()
    put(project, name)
    assert project_folder({}) == project
    put(project.parent, "work_state.json")
    assert project_folder({}) == project
    put(project / "data", name)
    assert project_folder({}) == project / "data"
    put(Path(), name)
    assert project_folder({}) == Path()


def test_the_variable_goes_before_all(project: Path) -> None:
    put(project, ".env")
    put(Path(), ".env")
    other = project.parent / "other"
    other.mkdir()
    assert project_folder({"IMPORTER_PROJECT": f" {other} "}) == other
    assert project_folder({"IMPORTER_PROJECT": "../../../other"}) == other
    assert project_folder({"IMPORTER_PROJECT": str(Path.cwd())}) == Path()
    assert project_folder({"IMPORTER_PROJECT": "."}) == Path()
    assert project_folder({"IMPORTER_PROJECT": ""}) == Path()
    put(other, "file")
    for name in ("nowhere", str(other / "file")):
        with pytest.raises(
            UsageError, match=f"IMPORTER_PROJECT is {name}: the folder does not exist"
        ):
            project_folder({"IMPORTER_PROJECT": name})


@pytest.mark.parametrize("name", PROJECT_FILES)
def test_a_home_folder_is_one_by_our_own_files_alone(project: Path, name: str) -> None:
    put(project.parent, name)
    own = not name.startswith(".env")
    assert project_folder({}) == (project.parent if own else Path())


def test_in_the_home_folder_itself_its_env_file_counts(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(project.parent, ".env")
    monkeypatch.chdir(project.parent)
    monkeypatch.setattr(module, "_checkout", lambda: project)
    assert project_folder({}) == Path()


def test_a_virtual_environment_is_no_env_file(project: Path) -> None:
    put(project, ".env/")
    put(project / "data", "work_state.json/")
    assert project_folder({}) == Path()


def test_an_env_file_that_leads_nowhere_is_one_all_the_same(project: Path) -> None:
    """A secret that is not mounted: another folder's settings would send the data elsewhere."""
    put(project, ".env")
    (project / "data" / ".env").symlink_to("/nowhere/secret")
    assert project_folder({}) == project / "data"


def test_a_folder_that_cannot_be_searched_is_an_error_that_names_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("pathlib.Path.is_file", refused)
    with pytest.raises(
        UsageError, match=r"today cannot be searched .*: Permission denied\. Make it"
    ):
        project_folder({})


def test_what_everybody_can_write_to_is_not_looked_at_nor_what_is_above(project: Path) -> None:
    put(project, ".env")
    put(project.parent, "work_state.json")
    project.chmod(0o1777)
    assert project_folder({}) == Path()
    put(Path(), ".env")
    Path().chmod(0o1777)
    assert project_folder({}) == Path(), "a working folder is chosen by its user"


def test_what_belongs_to_others_is_not_looked_at_nor_what_is_above(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(project, ".env")
    other = os.geteuid() + 1
    monkeypatch.setattr("os.geteuid", lambda: other)
    assert project_folder({}) == Path()


def test_else_it_is_the_checkout(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = project.parent / "checkout"
    monkeypatch.setattr(module, "_checkout", lambda: checkout)
    assert project_folder({}) == checkout
    put(project, ".env")
    assert project_folder({}) == project


def test_the_checkout_is_that_of_this_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert project_folder({}) == ROOT
    monkeypatch.chdir(ROOT)
    assert project_folder({}) == Path()
    installed = tmp_path / "site-packages" / "imports" / "configuration" / "project_folder.py"
    monkeypatch.setattr(module, "__file__", str(installed))
    monkeypatch.chdir(tmp_path)
    assert project_folder({}) == Path(), "what is installed as a package has no checkout"
