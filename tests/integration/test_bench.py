"""The benchmarks, with so little that it says nothing of speed: that they measure at all."""

from __future__ import annotations

import os
import shutil
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from bench import chosen, run_rounds
from delay import delayed
from goals import goals_of
from lines import sections_of
from measurement import CommandFailedError, measure
from results import Results
from scale import SCALES
from table import as_text
from tasks import tasks_of
from workshop import Sample, Workshop, environment

from imports.servers.embedded import EmbeddedServer
from tests.support.folder import new_folder

FILES = Sample("states", 40)
SCALE = replace(SCALES["tiny"], states=(FILES,), batches=FILES)


@pytest.fixture
def workshop(
    embedded_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workshop]:
    # What other programs have to write is no matter here.
    monkeypatch.setattr(os, "sync", lambda: None)
    folder = new_folder("importer-bench-")
    (folder / "data").mkdir()
    workshop = Workshop(folder, embedded_server.url)
    yield workshop
    workshop.close()
    shutil.rmtree(folder)


def test_a_client_is_measured_as_it_reads_insights(workshop: Workshop) -> None:
    results = Results()
    tasks = chosen(tasks_of(SCALE, None), ["reading"])
    assert run_rounds(workshop, tasks, 1, results, lambda: None) == []
    (section,) = sections_of(SCALE, results)
    assert {line.key for line in section.lines} == {*results.keys("insights-")}
    assert all(each.value for each in goals_of(SCALE, results) if each.name.startswith("insights"))


@pytest.mark.slow
def test_a_round_measures_ours_and_the_limit(workshop: Workshop) -> None:
    results = Results()

    tasks = chosen(tasks_of(SCALE, None), ["start", "postgresql", "overhead"])
    failures = run_rounds(workshop, tasks, 1, results, lambda: None)

    assert failures == []
    first = f"first/postgresql/{FILES.name}"
    assert results.all(first)[0].parts.keys() >= {"planning", "upload", "import"}
    assert results.all(first)[0].first_row is not None
    assert f"limit-streamed/postgresql/{FILES.name}" in results
    text = as_text(sections_of(SCALE, results), results, goals_of(SCALE, results))
    assert "one file in a thousand changed" in text
    assert "not measured" in text  # what has to do with Supabase
    # What was changed is as it was.
    assert workshop.source_folder(FILES).with_suffix(".whole").exists()


@pytest.mark.slow
def test_recognitions_are_measured_with_their_limits(workshop: Workshop) -> None:
    results = Results()
    few = Sample("recognitions", 10, 20)

    tasks = chosen(tasks_of(SCALE, None), ["recognitions"], [few.name])
    failures = run_rounds(workshop, tasks[:2], 1, results, lambda: None)

    assert failures == []
    assert {f"limit/postgresql/{few.name}", f"sha256sum/{few.name}"} <= {*results.keys("")}
    assert f"second/postgresql/{few.name}" in results
    text = as_text(sections_of(SCALE, results), results, goals_of(SCALE, results))
    assert "10 recognitions: sha256sum, cp and rows" in text


def test_memory_of_a_process_and_its_children_is_added(tmp_path: Path) -> None:
    hold = "import time; held = b'x' * 60_000_000; time.sleep(1)"
    both = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {hold!r}]); {hold}"

    measurement, _ = measure([sys.executable, "-c", both], tmp_path, environment())

    assert measurement.seconds > 1
    assert measurement.peak_mb > 120


def test_a_command_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match="no such thing"):
        measure([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path, {})


class Answering(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while line := self.rfile.readline():
            if line == b"\r\n":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def test_a_delayed_server_is_a_round_trip_away() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answering) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        with delayed(url, 0.1) as far, httpx.Client(base_url=far) as client:
            took = []
            for _ in range(2):
                began = time.perf_counter()
                assert client.get("/").text == "ok"
                took.append(time.perf_counter() - began)
        server.shutdown()

    assert took[0] >= 0.2  # with the handshake
    assert took[1] >= 0.1
