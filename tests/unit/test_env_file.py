from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from imports.configuration.env_file import read_env_file
from imports.errors import UsageError

SECRET = "pa55w0rd-that-nobody-may-see"


def written(tmp_path: Path, content: bytes) -> Path:
    file = tmp_path / ".env"
    file.write_bytes(content)
    return file


def refusal(tmp_path: Path, content: bytes) -> str:
    file = written(tmp_path, content)
    with pytest.raises(UsageError) as caught:
        read_env_file(file)
    message = str(caught.value)
    assert message.startswith(f"{file}, line ")
    assert SECRET not in message
    assert caught.value.__cause__ is None
    return message.removeprefix(f"{file}, ")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_editors_and_shells_write_is_read(tmp_path: Path, encoding: str, newline: str) -> None:
    text = newline.join(["# schlüssel 🔑", "A=1", "export B='zwölf'", "C", ""])
    assert read_env_file(written(tmp_path, text.encode(encoding))) == {
        "A": "1",
        "B": "zwölf",
        "C": None,
    }


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_utf_16_of_either_order_is_read(tmp_path: Path, mark: bytes) -> None:
    encoding = "utf-16-le" if mark == b"\xff\xfe" else "utf-16-be"
    assert read_env_file(written(tmp_path, mark + "A=ü\r\n".encode(encoding))) == {"A": "ü"}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("A=1\n# schlüssel\n".encode("latin-1"), 2),
        ("# schlüssel\n".encode("latin-1"), 1),
        (f"A=1\r\n\r\nB={SECRET}ü\r\n".encode("latin-1"), 3),
        (f"A={SECRET}\n".encode("utf-16-le"), 1),
        (f"A={SECRET}\n".encode("utf-16-be"), 1),
        (f"A={SECRET}\n".encode("utf-32"), 1),
        (f"A={SECRET}\nB=\0\n".encode(), 2),
        ("A=1\n".encode("utf-16") + b"x", 2),
    ],
)
def test_what_is_no_utf_8_is_refused_with_its_line(
    tmp_path: Path, content: bytes, line: int
) -> None:
    assert refusal(tmp_path, content) == (
        f"line {line}: this is not UTF-8 text. Save the file as UTF-8."
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"A=1\nDATABASE_URL: {SECRET}\nB=2\n", 2),
        (f'A="{SECRET}\n', 1),
        (f"\n\n# x\n\n  A='{SECRET}\n", 5),
        ("A=1\r\n\r\nB C\r\n", 3),
        ("A=1\n<<<<<<< HEAD\nB=2\n", 2),
        ("A=1\n=======\nB=2\n", 2),
        (f"A='1' {SECRET}\n", 1),
    ],
)
def test_a_line_that_is_no_assignment_is_refused_with_its_number(
    tmp_path: Path, text: str, line: int
) -> None:
    assert refusal(tmp_path, text.encode()) == (
        f"line {line}: this is not NAME=value, or a quotation mark is not closed."
        " Correct the line, or begin it with #."
    )


def test_no_file_is_no_variables(tmp_path: Path) -> None:
    assert read_env_file(tmp_path / ".env") == {}
    assert read_env_file(written(tmp_path, b"")) == {}


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(UsageError, match="is not a regular file"):
        read_env_file(tmp_path / ".env")


@pytest.mark.parametrize(
    ("target", "why"), [("/nowhere/secret", "No such file"), (".env", "Too many levels")]
)
def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path, target: str, why: str) -> None:
    file = tmp_path / ".env"
    file.symlink_to(target)
    with pytest.raises(UsageError, match=f"cannot be read: {why}"):
        read_env_file(file)


def test_a_file_in_a_folder_that_may_not_be_searched_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> os.stat_result:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("pathlib.Path.stat", refused)
    with pytest.raises(UsageError, match="cannot be read: Permission denied"):
        read_env_file(tmp_path / ".env")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, b"A=1\n")
    file.chmod(stat.S_IWUSR)
    with pytest.raises(UsageError, match="cannot be read: Permission denied"):
        read_env_file(file)
