from __future__ import annotations

import os
import socket
from dataclasses import FrozenInstanceError, asdict, fields, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from imports.configuration.choices import Backend, Disposal
from imports.configuration.values import Secret
from imports.errors import SettingsError, UsageError
from imports.loading import load_settings, read_settings
from imports.settings import OPTIONS, Settings

KEY = "service-key-that-nobody-may-see"
PASSWORD = "pa55w0rd-that-nobody-may-see"
DATABASE_URL = f"postgresql://me:{PASSWORD}@db.example:5432/postgres"
SUPABASE = {"SUPABASE_URL": "https://x.supabase.co", "SUPABASE_SERVICE_ROLE_KEY": KEY}


def load(tmp_path: Path, environment: dict[str, str] | None = None, **flags: Any) -> Settings:
    return load_settings(environment=environment or {}, folder=tmp_path, **flags)


def failing(tmp_path: Path, environment: dict[str, str] | None = None, **flags: Any) -> str:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, environment, **flags)
    assert KEY not in repr(caught.value)
    assert PASSWORD not in repr(caught.value)
    assert caught.value.__cause__ is None, "a cause would show its input in a traceback"
    return str(caught.value)


def tag(settings: Settings) -> str | None:
    return settings.tag


def test_flags_go_before_the_environment_and_that_before_the_env_files(tmp_path: Path) -> None:
    environment = {"IMPORTER_TAG": "environment"}
    (tmp_path / ".env").write_text("IMPORTER_TAG=env\nIMPORTER_BATCH_SIZE=7\n")
    assert tag(load(tmp_path)) == "env"
    (tmp_path / ".env.local").write_text("IMPORTER_TAG=local\n")
    (tmp_path / ".env.production").write_text("IMPORTER_TAG=production\n")
    assert tag(load(tmp_path)) == "local"
    assert tag(load(tmp_path, production=True)) == "production"
    assert load(tmp_path, production=True).production
    assert tag(load(tmp_path, environment)) == "environment"
    assert tag(load(tmp_path, environment, production=True)) == "environment"
    assert tag(load(tmp_path, environment, tag="flag")) == "flag"
    assert load(tmp_path, environment, tag="flag").batch_size == 7, "each setting by itself"


def test_the_local_file_is_not_read_in_production_nor_the_other_way_round(tmp_path: Path) -> None:
    (tmp_path / ".env.local").write_text("IMPORTER_TAG=local\n")
    (tmp_path / ".env.production").touch()
    assert tag(load(tmp_path, production=True)) is None
    (tmp_path / ".env.local").unlink()
    (tmp_path / ".env.production").write_text("IMPORTER_TAG=production\n")
    assert tag(load(tmp_path)) is None


def test_staging_has_a_file_of_its_own(tmp_path: Path) -> None:
    for name in ("local", "staging", "production"):
        (tmp_path / f".env.{name}").write_text(f"IMPORTER_TAG={name}\n")
    (tmp_path / ".env").write_text("IMPORTER_BATCH_SIZE=7\n")
    settings = load(tmp_path, staging=True)
    assert (tag(settings), settings.staging, settings.production) == ("staging", True, False)
    assert settings.batch_size == 7, "each setting by itself"
    assert tag(load(tmp_path, {"IMPORTER_TAG": "set"}, staging=True)) == "set"


def test_staging_and_production_exclude_each_other(tmp_path: Path) -> None:
    text = failing(tmp_path, staging=True, production=True)
    assert "--staging" in text
    assert "--production" in text


def test_nothing_becomes_production_unless_it_is_named(tmp_path: Path) -> None:
    """The earlier importer took .env.production when there was no .env.local."""
    for name in ("staging", "production"):
        (tmp_path / f".env.{name}").write_text(f"DATABASE_URL={DATABASE_URL}\n")
    assert load(tmp_path).chosen_backend is Backend.EMBEDDED
    assert load(tmp_path, staging=True).chosen_backend is Backend.POSTGRESQL


@pytest.mark.parametrize("name", ["staging", "production"])
def test_an_option_whose_file_is_missing_does_not_take_another_target(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / ".env").write_text(f"DATABASE_URL={DATABASE_URL}\n")
    text = failing(tmp_path, **{name: True})
    assert f"--{name} reads .env.{name}, which does not exist in {tmp_path}" in text
    # In a container, the environment has the target.
    settings = load(tmp_path, {"DATABASE_URL": DATABASE_URL}, **{name: True})
    assert settings.chosen_backend is Backend.POSTGRESQL
    assert load(tmp_path, backend="embedded", **{name: True}).chosen_backend is Backend.EMBEDDED
    (tmp_path / f".env.{name}").touch()
    assert load(tmp_path, **{name: True}).chosen_backend is Backend.POSTGRESQL


def test_the_variables_of_the_earlier_importers_are_read(tmp_path: Path) -> None:
    (tmp_path / ".env.production").write_text(
        f"NEXT_PUBLIC_SUPABASE_URL=https://x.supabase.co\nSUPABASE_SERVICE_ROLE_KEY={KEY}\n"
        f"DATABASE_URL={DATABASE_URL}\n"
    )
    settings = load(tmp_path, production=True)
    assert settings.chosen_backend is Backend.SUPABASE
    assert (settings.supabase_url, settings.supabase_key) == ("https://x.supabase.co", Secret(KEY))
    assert settings.database_url == Secret(DATABASE_URL)


def test_blanks_around_a_value_of_the_environment_are_cut(tmp_path: Path) -> None:
    environment = {
        "DATABASE_URL": f" {DATABASE_URL}\n",
        "SUPABASE_URL": "\thttps://x.supabase.co ",
        "SUPABASE_SERVICE_ROLE_KEY": f"{KEY}\r\n",
        "IMPORTER_BACKEND": " postgresql ",
        "IMPORTER_STATE_FILE": " state.json ",
    }
    settings = load(tmp_path, environment)
    assert settings.database_url == Secret(DATABASE_URL)
    assert (settings.supabase_url, settings.supabase_key) == ("https://x.supabase.co", Secret(KEY))
    assert (settings.backend, settings.state_file) == (Backend.POSTGRESQL, Path("state.json"))
    assert load(tmp_path, database_url=f"{DATABASE_URL} ").database_url == Secret(DATABASE_URL)


def test_a_variable_that_is_empty_is_not_set(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://file/db\n")
    settings = load(tmp_path, {"DATABASE_URL": "", "SUPABASE_URL": ""})
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://file/db"
    assert settings.chosen_backend is Backend.POSTGRESQL


@pytest.mark.parametrize("url", ["SUPABASE_URL", "NEXT_PUBLIC_SUPABASE_URL"])
@pytest.mark.parametrize(
    "key", ["SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SERVICE_KEY"]
)
def test_supabase_is_known_by_all_its_variables(tmp_path: Path, url: str, key: str) -> None:
    settings = load(tmp_path, {url: "https://x.supabase.co", key: KEY})
    assert settings.supabase_url == "https://x.supabase.co"
    assert settings.supabase_key is not None
    assert settings.supabase_key.get_secret_value() == KEY
    assert settings.chosen_backend is Backend.SUPABASE


def test_of_two_names_for_one_thing_the_first_is_taken(tmp_path: Path) -> None:
    environment = SUPABASE | {"NEXT_PUBLIC_SUPABASE_URL": "https://public.supabase.co"}
    assert load(tmp_path, environment).supabase_url == "https://x.supabase.co"


def test_of_several_keys_the_newest_kind_is_taken_and_which_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load(tmp_path, SUPABASE | {"SUPABASE_SECRET_KEY": KEY})
    assert caplog.messages == []
    settings = load(tmp_path, SUPABASE | {"SUPABASE_SECRET_KEY": "sb_secret_new"})
    assert settings.supabase_key is not None
    assert settings.supabase_key.get_secret_value() == "sb_secret_new"
    (said,) = caplog.messages
    assert said == "Using the key in SUPABASE_SECRET_KEY; SUPABASE_SERVICE_ROLE_KEY differs."


def test_another_name_in_the_environment_goes_before_the_first_name_in_a_file(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_text("SUPABASE_URL=https://file.supabase.co\n")
    environment = {
        "NEXT_PUBLIC_SUPABASE_URL": "https://environment.supabase.co",
        "SUPABASE_SERVICE_KEY": KEY,
    }
    assert load(tmp_path, environment).supabase_url == "https://environment.supabase.co"


@pytest.mark.parametrize(
    ("environment", "backend"),
    [
        ({}, Backend.EMBEDDED),
        ({"DATABASE_URL": DATABASE_URL}, Backend.POSTGRESQL),
        (SUPABASE, Backend.SUPABASE),
        (SUPABASE | {"DATABASE_URL": DATABASE_URL}, Backend.SUPABASE),
    ],
)
def test_auto_takes_what_is_configured(
    tmp_path: Path, environment: dict[str, str], backend: Backend
) -> None:
    assert load(tmp_path, environment).chosen_backend is backend
    assert load(tmp_path, environment, backend="auto").chosen_backend is backend


def test_the_backend_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    configured = SUPABASE | {"DATABASE_URL": DATABASE_URL}
    for backend in (Backend.SUPABASE, Backend.POSTGRESQL, Backend.EMBEDDED):
        assert load(tmp_path, configured, backend=backend.value).chosen_backend is backend


def test_the_embedded_database_has_no_other_url(tmp_path: Path) -> None:
    message = failing(tmp_path, backend="embedded", database_url=DATABASE_URL)
    assert message.startswith("--database-url and the backend embedded exclude each other.")
    assert load(tmp_path, {"DATABASE_URL": "nonsense"}, backend="embedded").database_url is not None


def test_supabase_without_credentials_is_an_error_that_names_the_variables(tmp_path: Path) -> None:
    message = failing(tmp_path, {"DATABASE_URL": DATABASE_URL}, backend="supabase")
    assert "SUPABASE_URL" in message
    assert "SUPABASE_SERVICE_ROLE_KEY" in message


def test_supabase_without_its_key_is_an_error_that_names_the_key_alone(tmp_path: Path) -> None:
    message = failing(tmp_path, {"SUPABASE_URL": "https://x.supabase.co"})
    assert "SUPABASE_SECRET_KEY or SUPABASE_SERVICE_ROLE_KEY or SUPABASE_SERVICE_KEY" in message
    assert "NEXT_PUBLIC_SUPABASE_URL" not in message


def test_a_public_key_does_not_stand_in_for_the_service_key(tmp_path: Path) -> None:
    environment = {"SUPABASE_URL": "https://x.supabase.co", "SUPABASE_ANON_KEY": KEY}
    assert "SUPABASE_SERVICE_ROLE_KEY" in failing(tmp_path, environment)


def test_what_supabase_lacks_does_not_matter_to_postgresql(tmp_path: Path) -> None:
    settings = load(tmp_path, {"SUPABASE_URL": "https://x.supabase.co"}, backend="postgresql")
    assert settings.chosen_backend is Backend.EMBEDDED


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        (SUPABASE | {"SUPABASE_URL": "x.supabase.co"}, "SUPABASE_URL"),
        ({"DATABASE_URL": f"mysql://me:{PASSWORD}@host/db"}, "DATABASE_URL"),
        ({"DATABASE_URL": f"host=db password={PASSWORD}"}, "DATABASE_URL"),
        ({"DATABASE_URL": f"postgresql://me:{PASSWORD}/x@host/db"}, "DATABASE_URL"),
        ({"IMPORTER_BATCH_SIZE": "many"}, "IMPORTER_BATCH_SIZE"),
        ({"IMPORTER_BATCH_SIZE": "0"}, "IMPORTER_BATCH_SIZE"),
        ({"IMPORTER_MAX_RETRIES": "-1"}, "IMPORTER_MAX_RETRIES"),
        ({"IMPORTER_BACKEND": "mysql"}, "IMPORTER_BACKEND"),
        ({"IMPORTER_TAG": "  "}, "IMPORTER_TAG"),
    ],
)
def test_an_error_names_the_variable(
    tmp_path: Path, environment: dict[str, str], named: str
) -> None:
    assert named in failing(tmp_path, environment)


def test_an_error_names_the_flag_or_the_file(tmp_path: Path) -> None:
    assert "--batch-size" in failing(tmp_path, batch_size=0)
    (tmp_path / ".env.local").write_text("IMPORTER_MAX_WORKERS=none\n")
    assert "IMPORTER_MAX_WORKERS in .env.local" in failing(tmp_path)


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    message = failing(tmp_path, {"IMPORTER_BATCH_SIZE": "0"}, max_workers=0)
    assert "IMPORTER_BATCH_SIZE" in message
    assert "--max-workers" in message


def test_an_unknown_setting_is_an_error(tmp_path: Path) -> None:
    assert "batchsize" in failing(tmp_path, batchsize=5)


def test_an_unknown_setting_is_told_with_the_others(tmp_path: Path) -> None:
    message = failing(tmp_path, batchsize=5, max_workers=0)
    assert message == (
        "--max-workers: must be a whole number, 1 or more; batchsize: there is no such setting"
    )


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("kind", 5, "must be a string"),
        ("tag", " ", "must not be empty"),
        ("source", 5, "must be a path"),
        ("image_roots", "/a", "must be a list"),
        ("batch_size", "1.5", "must be a whole number, 1 or more"),
        ("batch_size", [1], "must be a whole number, 1 or more"),
        ("max_retries", "-1", "must be a whole number, 0 or more"),
        ("max_wait", "-1", "must be a number from 0 to 86400"),
        ("max_wait", "two minutes", "must be a number from 0 to 86400"),
        ("batch_delay", "1e400", "must be a number from 0 to 3600"),
        ("batch_delay", 10**400, "must be a number from 0 to 3600"),
        ("backend", "mysql", "must be auto, supabase, postgresql or embedded"),
        ("on_failure", "delete", "must be move or keep"),
        ("force", "2", "must be true or false"),
        ("force", None, "must be true or false"),
        ("database_url", 5, "must be a string"),
    ],
)
def test_a_program_is_told_what_a_value_must_be(name: str, value: Any, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings(**{name: value})
    assert str(caught.value) == f"{name}: {problem}"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_copy_is_checked_too() -> None:
    with pytest.raises(SettingsError, match="batch_size"):
        replace(Settings(), batch_size=0)


def test_every_setting_can_be_given_as_it_stands_in_json() -> None:
    settings = Settings(tag=" t ", limit="5", patterns=["*.a "], progress_csv="a.csv")  # type: ignore[arg-type]
    assert (settings.tag, settings.limit, settings.patterns) == ("t", 5, ("*.a",))
    assert Settings(**settings.as_json()) == settings
    shown = settings.as_json()
    assert list(shown) == [each.name for each in fields(Settings)]
    assert orjson.loads(orjson.dumps(shown)) == shown
    # No setting is without a reader.
    nothing = object()
    for name in shown:
        with pytest.raises(SettingsError, match=name):
            Settings(**{name: nothing})  # type: ignore[arg-type]


def test_no_secret_shows_when_settings_are_printed_or_dumped(tmp_path: Path) -> None:
    settings = load(tmp_path, SUPABASE | {"DATABASE_URL": DATABASE_URL})
    dumped = f"{asdict(settings)} {settings.as_json()}"
    for shown in (repr(settings), str(settings), f"{settings}", dumped):
        assert KEY not in shown
        assert PASSWORD not in shown


def test_the_defaults_are_those_of_the_documentation(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.state_file == tmp_path / "work_state.json"
    assert settings.ledger_file == tmp_path / "upload_tracker.db"
    assert settings.max_workers == 16
    assert settings.max_concurrent_uploads == 10
    assert settings.max_retries == 3
    assert settings.max_wait == 120.0
    assert settings.batch_delay == 0
    assert settings.patterns == ()
    assert settings.db_path is None
    for switch in (
        "force",
        "restart",
        "verify_writes",
        "debug_log",
        "retry_failed",
        "scan_only",
        "no_status_files",
    ):
        assert getattr(settings, switch) is False


def test_the_ledger_lies_beside_the_work_state(tmp_path: Path) -> None:
    settings = load(tmp_path, state_file=Path("/data/runs/a.json"))
    assert settings.ledger_file == Path("/data/runs/upload_tracker.db")


def test_image_roots_come_as_a_list_like_the_path(tmp_path: Path) -> None:
    settings = load(tmp_path, {"IMPORTER_IMAGE_ROOTS": os.pathsep.join(["/a", "/b c"])})
    assert settings.image_roots == (Path("/a"), Path("/b c"))
    assert load(tmp_path, image_roots=(Path("/d"),)).image_roots == (Path("/d"),)


def test_an_empty_entry_among_image_roots_is_not_the_working_folder(tmp_path: Path) -> None:
    for text in ("/a:", ":/a", "/a: :"):
        settings = load(tmp_path, {"IMPORTER_IMAGE_ROOTS": text})
        assert settings.image_roots == (Path("/a"),)


@pytest.mark.parametrize("name", ["state_file", "data_folder", "done_dir"])
def test_a_path_of_blanks_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"IMPORTER_{name.upper()}.* is empty"):
        load(tmp_path, {f"IMPORTER_{name.upper()}": "  "})


@pytest.mark.parametrize(("text", "value"), [("1", True), ("true", True), ("0", False)])
def test_a_switch_can_be_a_variable(tmp_path: Path, text: str, value: bool) -> None:
    assert load(tmp_path, {"IMPORTER_FORCE": text}).force is value


def test_settings_do_not_change(tmp_path: Path) -> None:
    settings = load(tmp_path)
    with pytest.raises(FrozenInstanceError):
        settings.tag = "other"  # type: ignore[misc]


def test_the_processs_environment_is_read_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMPORTER_TAG", "mine")
    assert load_settings(folder=tmp_path).tag == "mine"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres:my%secret@host/db",
        "postgresql://postgres:s3cr@secret@host/db",
        "postgresql://u:/se@secret@h/db",
        "postgresql://u:12/secret@h/db",
    ],
)
def test_a_database_url_that_would_be_misread_is_refused_without_a_part_of_it(url: str) -> None:
    with pytest.raises(UsageError, match="percent-encoded") as caught:
        load_settings(environment={"DATABASE_URL": url})
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


# Folders


def test_the_ledger_may_lie_elsewhere(tmp_path: Path) -> None:
    settings = load(tmp_path, state_file=Path("/data/runs/a.json"), db_path=Path("/db/mine.db"))
    assert settings.ledger_file == Path("/db/mine.db")
    assert load(tmp_path, {"IMPORTER_DB_PATH": "/db/x.db"}).ledger_file == Path("/db/x.db")


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("*.png", ("*.png",)),
        ("stats.json, *.png ,*.tif", ("stats.json", "*.png", "*.tif")),
        ("a b.json", ("a b.json",)),
        (",*.png,,", ("*.png",)),
        (" , ", ()),
    ],
)
def test_patterns_come_with_commas_between_them(
    tmp_path: Path, text: str, patterns: tuple[str, ...]
) -> None:
    assert load(tmp_path, patterns=OPTIONS["patterns"].read.split(text)).patterns == patterns
    assert load(tmp_path, {"IMPORTER_PATTERNS": text}).patterns == patterns
    (tmp_path / ".env").write_text(f"IMPORTER_PATTERNS='{text}'\n")
    assert load(tmp_path).patterns == patterns


def test_patterns_that_are_given_go_before_a_variable(tmp_path: Path) -> None:
    environment = {"IMPORTER_PATTERNS": "*.tif"}
    assert load(tmp_path, environment, patterns=("*.png", "*.gif")).patterns == ("*.png", "*.gif")


def test_an_empty_pattern_is_refused(tmp_path: Path) -> None:
    assert "--patterns" in failing(tmp_path, patterns=("*.png", " "))


@pytest.mark.parametrize("delay", ["0", "0.5", "3600"])
def test_a_delay_may_be_any_time_up_to_an_hour(tmp_path: Path, delay: str) -> None:
    assert load(tmp_path, {"IMPORTER_BATCH_DELAY": delay}).batch_delay == float(delay)


@pytest.mark.parametrize("delay", ["-1", "3600.1", "inf", "nan", "soon"])
def test_any_other_delay_is_refused(tmp_path: Path, delay: str) -> None:
    message = failing(tmp_path, {"IMPORTER_BATCH_DELAY": delay})
    assert "IMPORTER_BATCH_DELAY" in message
    assert delay not in message.split(), "no message shows what was given"


@pytest.mark.parametrize("name", ["retry_failed", "scan_only", "no_status_files"])
def test_the_switches_for_folders_can_be_variables(tmp_path: Path, name: str) -> None:
    assert getattr(load(tmp_path, {f"IMPORTER_{name.upper()}": "1"}), name) is True


def test_settings_can_be_read_without_a_backend(tmp_path: Path) -> None:
    environment = {"IMPORTER_BACKEND": "supabase", "IMPORTER_DB_PATH": "x.db"}
    assert "SUPABASE_URL" in failing(tmp_path, environment)
    settings = read_settings(environment=environment, folder=tmp_path)
    assert settings.ledger_file == Path("x.db")
    with pytest.raises(UsageError, match="IMPORTER_BATCH_SIZE"):
        read_settings(environment={"IMPORTER_BATCH_SIZE": "0"}, folder=tmp_path)


# Sources that are consumed


def test_what_becomes_of_files_is_left_to_the_kind_where_nothing_is_said(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert (settings.on_success, settings.on_failure) == (None, None)
    assert (settings.failed_dir, settings.done_dir, settings.progress_csv) == (None, None, None)
    assert (settings.if_exists, settings.watch, settings.no_progress_csv) == ("newer", False, False)


@pytest.mark.parametrize("on_success", ["delete", "move", "keep"])
@pytest.mark.parametrize("on_failure", ["move", "keep"])
@pytest.mark.parametrize("way", ["flag", "variable", "file"])
def test_what_becomes_of_files_can_be_said_in_any_way(
    tmp_path: Path, on_success: str, on_failure: str, way: str
) -> None:
    values = {"on_success": on_success, "on_failure": on_failure}
    variables = {f"IMPORTER_{name.upper()}": value for name, value in values.items()}
    if way == "flag":
        settings = load(tmp_path, **values)
    elif way == "variable":
        settings = load(tmp_path, variables)
    else:
        lines = [f"{name}={value}" for name, value in variables.items()]
        (tmp_path / ".env").write_text("\n".join(lines))
        settings = load(tmp_path)
    assert settings.on_success is Disposal(on_success)
    assert settings.on_failure == Disposal(on_failure)
    written = settings.as_json()
    assert (written["on_success"], written["on_failure"]) == (on_success, on_failure)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("on_success", "burn"),
        ("on_failure", "delete"),
        ("on_failure", "burn"),
        ("if_exists", "older"),
        ("if_exists", "NEWER"),
        ("watch", "sometimes"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(tmp_path: Path, name: str, value: str) -> None:
    assert f"--{name.replace('_', '-')}" in failing(tmp_path, **{name: value})
    assert f"IMPORTER_{name.upper()}" in failing(tmp_path, {f"IMPORTER_{name.upper()}": value})


@pytest.mark.parametrize("name", ["watch", "no_progress_csv"])
def test_the_switches_for_such_sources_can_be_variables(tmp_path: Path, name: str) -> None:
    assert getattr(load(tmp_path, {f"IMPORTER_{name.upper()}": "1"}), name) is True


@pytest.mark.parametrize("name", ["failed_dir", "done_dir", "progress_csv"])
def test_their_folders_and_the_log_can_be_variables(tmp_path: Path, name: str) -> None:
    settings = load(tmp_path, {f"IMPORTER_{name.upper()}": "/a b/c"})
    assert getattr(settings, name) == Path("/a b/c")


@pytest.mark.parametrize("name", ["state_file", "db_path", "source", "image_roots", "tag"])
def test_a_text_that_json_and_the_ledger_cannot_have_is_refused(tmp_path: Path, name: str) -> None:
    odd = os.fsdecode(b"b\xe9")
    message = failing(tmp_path, **{name: [odd] if name == "image_roots" else odd})
    assert "valid UTF-8" in message


@pytest.mark.parametrize(
    "url",
    [
        f"https://me:{PASSWORD}@x.supabase.co",
        f"https://{PASSWORD}@x.supabase.co",
        f"https://x.supabase.co/?apikey={PASSWORD}",
        f"https://x.supabase.co/#{PASSWORD}",
    ],
)
@pytest.mark.parametrize("backend", ["auto", "postgresql"])
def test_a_supabase_url_with_a_secret_is_refused_and_never_shown(
    tmp_path: Path, url: str, backend: str
) -> None:
    message = failing(tmp_path, SUPABASE | {"SUPABASE_URL": url}, backend=backend)
    assert message.startswith("SUPABASE_URL: ")


def test_a_value_in_an_env_file_stands_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        f"SECRET={PASSWORD}\nSUPABASE_SERVICE_ROLE_KEY={KEY}\n"
        "SUPABASE_URL=https://${SECRET}.supabase.co\nIMPORTER_TAG=$SECRET ${HOME}\n"
    )
    settings = load(tmp_path, {"HOME": "/home/me"})
    assert settings.supabase_url == "https://${SECRET}.supabase.co"
    assert settings.tag == "$SECRET ${HOME}"


def test_a_variable_that_gives_no_setting_is_refused_with_where_it_stands(tmp_path: Path) -> None:
    environment = {"IMPORTER_BACHSIZE": "5", "IMPORTER_MAX_WORKERS": "none"}
    (tmp_path / ".env").write_text("IMPORTER_DBPATH=\nOTHER=1\n")
    (tmp_path / ".env.production").write_text("IMPORTER_XYZZY=1\n")
    message = failing(tmp_path, environment)
    assert (
        "IMPORTER_BACHSIZE: there is no such variable; did you mean IMPORTER_BATCH_SIZE?" in message
    )
    assert (
        "IMPORTER_DBPATH in .env: there is no such variable; did you mean IMPORTER_DB_PATH"
        in message
    )
    assert "IMPORTER_MAX_WORKERS: must be" in message
    assert "IMPORTER_XYZZY" not in message
    assert "IMPORTER_XYZZY in .env.production" in failing(tmp_path, production=True)
    with pytest.raises(UsageError, match="IMPORTER_BACHSIZE"):
        read_settings(environment=environment, folder=tmp_path)


# The project folder


@pytest.fixture
def below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder below a project folder."""
    (tmp_path / ".env").write_text("IMPORTER_TAG=mine\n")
    below = tmp_path / "data" / "today"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    return below


@pytest.mark.usefixtures("below")
def test_what_a_run_leaves_is_in_the_project_folder(tmp_path: Path) -> None:
    settings = load_settings(environment={})
    assert (settings.tag, settings.project) == ("mine", tmp_path)
    assert settings.state_file == tmp_path / "work_state.json"
    assert settings.ledger_file == tmp_path / "upload_tracker.db"
    assert settings.data_folder == tmp_path / ".importer"


def test_in_the_project_folder_itself_paths_are_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work_state.json").touch()
    monkeypatch.chdir(tmp_path)
    assert load_settings(environment={}) == Settings()


@pytest.mark.usefixtures("below")
def test_paths_are_of_where_they_are_written(tmp_path: Path) -> None:
    """An .env file's are the same from wherever the project is found."""
    (tmp_path / ".env").write_text(
        "IMPORTER_SOURCE=tree\nIMPORTER_DB_PATH=x.db\n"
        f"IMPORTER_IMAGE_ROOTS=a{os.pathsep}/b\nIMPORTER_DONE_DIR=/done\n"
    )
    settings = load_settings(
        environment={"IMPORTER_FAILED_DIR": "failed"}, state_file=Path("s.json"), db_path=None
    )
    assert (settings.source, settings.db_path) == (tmp_path / "tree", tmp_path / "x.db")
    assert settings.image_roots == (tmp_path / "a", Path("/b"))
    assert settings.done_dir == Path("/done")
    assert (settings.failed_dir, settings.state_file) == (Path("failed"), Path("s.json"))
    assert load_settings(environment={}, source=Path("tree")).source == Path("tree")


def test_a_project_folder_that_is_imported_is_refused(tmp_path: Path, below: Path) -> None:
    """From a folder in it, too: what is found above may have come with the data."""
    with pytest.raises(UsageError, match=f".env in {tmp_path} would choose the target"):
        load_settings(environment={}, source=tmp_path)
    settings = load_settings(environment={"IMPORTER_PROJECT": str(below)}, source=tmp_path)
    assert settings.tag is None


def test_absolute_paths_hold_wherever_they_are_read(below: Path) -> None:
    settings = Settings(db_path="x.db", image_roots=("a",), done_dir="/done", tag="x").absolute()
    assert (settings.db_path, settings.image_roots) == (below / "x.db", (below / "a",))
    assert (settings.state_file, settings.source) == (below / "work_state.json", None)
    assert (settings.done_dir, settings.tag) == (Path("/done"), "x")


# A folder of data is not a place for settings


@pytest.mark.parametrize("name", [".env", ".env.local"])
@pytest.mark.parametrize("place", [".", "FL"])
def test_env_files_that_came_with_the_data_are_not_read(
    tmp_path: Path, name: str, place: str
) -> None:
    folder = tmp_path / place
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("DATABASE_URL=postgresql://attacker/db\n")
    with pytest.raises(UsageError, match=f"{name} in {folder}.*may have come with the data"):
        load_settings(environment={}, folder=folder, source=tmp_path)
    (folder / name).unlink()
    load_settings(environment={}, folder=folder, source=tmp_path)


def test_an_env_file_that_names_its_own_folder_as_the_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"IMPORTER_SOURCE={tmp_path}\n")
    with pytest.raises(UsageError, match="may have come with the data"):
        load(tmp_path)


def test_an_env_file_beside_or_above_the_data_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("IMPORTER_TAG=mine\n")
    (tmp_path / "data").mkdir()
    assert load(tmp_path, source=tmp_path / "data").tag == "mine"
    # Of a single item only that counts: its source may well be the working folder.
    assert load(tmp_path, source=tmp_path, single_file=tmp_path / "data").tag == "mine"


FILES = ["state_file", "db_path", "progress_csv"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", ["/dev/full", "/dev/null", "/dev/none", "/dev/stdout", "/proc/x"])
def test_a_device_is_no_place_for_a_file(tmp_path: Path, name: str, place: str) -> None:
    said = failing(tmp_path, **{name: place})
    assert said.startswith(f"--{name.replace('_', '-')}: {place} is in a system folder")
    assert place in failing(tmp_path, {f"IMPORTER_{name.upper()}": place})


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("what", ["pipe", "socket", "folder", "link to a device", "link to /dev"])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, name: str, what: str) -> None:
    place = tmp_path / "place"
    if what == "pipe":
        os.mkfifo(place)
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(place))
    elif what == "folder":
        place.mkdir()
    elif what == "link to a device":
        place.symlink_to("/dev/zero")
    else:
        place.symlink_to("/dev")
        place = place / "none"
    assert str(place) in failing(tmp_path, **{name: place})


@pytest.mark.parametrize("name", FILES)
def test_a_file_may_be_there_or_not_and_be_a_link(tmp_path: Path, name: str) -> None:
    for what in ("file", "nothing", "link", "link to nothing"):
        place = tmp_path / what
        if what != "nothing":
            (tmp_path / "end").touch()
        if what == "file":
            place.touch()
        elif what.startswith("link"):
            place.symlink_to("end" if what == "link" else "nowhere")
        assert getattr(load(tmp_path, **{name: place}), name) == place
    assert getattr(load(tmp_path, **{name: "/dev/shm/a"}), name) == Path("/dev/shm/a")


def test_something_else_in_the_place_of_the_usual_work_state_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("work_state.json")
    assert "work_state.json is not a regular file" in failing(tmp_path)
