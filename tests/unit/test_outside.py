from __future__ import annotations

import os

import pytest

from tests.support import outside
from tests.support.command import ROOT
from tests.support.outside import OutsideError


def test_what_lies_beside_the_repository_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    # Also where the repository is in the system's folder for temporary files.
    monkeypatch.setattr(outside, "_ALLOWED", (os.path.join(ROOT, ""),))
    beside = ROOT.parent / "shared" / "examples"
    for read in (beside.read_bytes, lambda: [*beside.iterdir()], lambda: os.scandir(beside)):
        with pytest.raises(OutsideError, match="outside the repository"):
            read()
    assert (ROOT / "README.md").read_bytes()
    assert [*ROOT.iterdir()]
