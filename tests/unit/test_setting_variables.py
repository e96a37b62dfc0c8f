from __future__ import annotations

import pytest

from imports.configuration.option import Option
from imports.configuration.variables import unknown_variables
from imports.settings import OPTIONS


def problem(name: str, place: str = "") -> list[tuple[str, str]]:
    return list(unknown_variables([(place, {name: "x"})], OPTIONS.values()))


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda each: each.name)
def test_the_variable_of_a_setting_is_known(option: Option) -> None:
    for variable in option.variables:
        assert problem(variable) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("IMPORTER_BACHSIZE", "IMPORTER_BATCH_SIZE"),
        ("IMPORTER_BATCHSIZE", "IMPORTER_BATCH_SIZE"),
        ("IMPORTER_STATEFILE", "IMPORTER_STATE_FILE"),
        ("IMPORTER_BACKENT", "IMPORTER_BACKEND"),
        ("IMPORTER_IMAGE_ROOT", "IMPORTER_IMAGE_ROOTS"),
        ("IMPORTER_PATTERN", "IMPORTER_PATTERNS"),
        ("IMPORTER_STATES_DIR", "IMPORTER_SOURCE"),
        ("IMPORTER_WORKERS", "IMPORTER_MAX_WORKERS"),
        ("IMPORTER_PRODUCTION", "--production"),
        ("IMPORTER_STAGING", "--staging"),
        ("IMPORTER_DATABASE_URL", "DATABASE_URL"),
        ("IMPORTER_SUPABASE_URL", "SUPABASE_URL"),
    ],
)
def test_one_that_is_misspelt_is_told_with_what_is_meant(name: str, meant: str) -> None:
    assert problem(name) == [(name, f"there is no such variable; did you mean {meant}?")]


def test_one_that_is_like_no_other_is_told_too() -> None:
    assert problem("IMPORTER_XYZZY") == [("IMPORTER_XYZZY", "there is no such variable")]
    assert problem("IMPORTER_") == [("IMPORTER_", "there is no such variable")]


def test_in_a_file_it_is_told_with_the_file() -> None:
    told = [("IMPORTER_XYZZY in .env", "there is no such variable")]
    assert problem("IMPORTER_XYZZY", ".env") == told


def test_the_project_folder_is_not_named_in_a_file_that_is_found_by_it() -> None:
    assert problem("IMPORTER_PROJECT") == []
    ((name, _),) = problem("IMPORTER_PROJECT", ".env")
    assert name == "IMPORTER_PROJECT in .env"


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "IMPORT_TAG", "MY_IMPORTER_X", "SUPABASE_ANON_KEY"),
        *("IMPORTER_SERVICE_HOST", "IMPORTER_SERVICE_PORT", "IMPORTER_SERVICE_PORT_HTTP"),
        *("IMPORTER_PORT", "IMPORTER_PORT_80_TCP_ADDR"),
    ],
)
def test_variables_of_others_are_no_matter(name: str) -> None:
    assert problem(name) == []
