"""What the container runs. The image itself cannot be built here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def health_check(folder: Path, database_url: str) -> int:
    """The exit code of the health check with this database."""
    found = re.search(r"HEALTHCHECK.*?CMD (\[.*?\])$", DOCKERFILE, re.DOTALL | re.MULTILINE)
    assert found is not None
    programs = str(Path(sys.executable).parent)
    return subprocess.run(
        json.loads(found[1]),
        cwd=folder,
        env={
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "DATABASE_URL": database_url,
            "IMPORTER_PROJECT": str(folder),
        },
        stdout=subprocess.DEVNULL,
        check=False,
    ).returncode


def test_the_health_check_tells_whether_the_target_is_ready(
    database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    assert health_check(tmp_path, database_url) == 0
    # Docker knows no codes but 0 and 1.
    assert health_check(tmp_path, empty_database_url) == 1
    assert health_check(tmp_path, "postgresql://postgres@localhost:1/away") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_image_gets_all_files_that_the_package_is_built_from() -> None:
    copied = {
        name
        for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE)
        for name in line.split()
    }
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {built["project"]["readme"], "pyproject.toml", "constraints.txt"}
    assert copied == needed | set(
        built["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    )
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    assert kept == copied


def test_services_have_limits_and_a_health_check() -> None:
    services = COMPOSE["services"]
    assert all(each["deploy"]["resources"]["limits"]["memory"] for each in services.values())
    assert services["importer"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert services["database"]["healthcheck"]["test"][1] == "pg_isready"
