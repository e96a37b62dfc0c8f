from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from imports.errors import UsageError
from imports.items.source import Signature
from imports.source import moving as disposal
from imports.source.drafts import part_of
from imports.source.moving import Fate, Outcome, check_writable
from imports.source.problem_list import Problem, write_errors
from imports.source.set_aside import BEGINNING, AsideFolders, aside_folders_in, bring_home
from imports.source.tree import signature_of_file

MTIME_NS = 1_700_000_000_123_456_000
CONTENT = b'{"results": []}'


def write(path: Path, content: bytes = CONTENT, mtime_ns: int = MTIME_NS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def signature(path: Path) -> Signature:
    return signature_of_file(str(path))


def delete(path: str, signature: Signature) -> Fate:
    with AsideFolders() as private:
        return disposal.delete(path, signature, private).fate


def move(path: str, signature: Signature, folder: str, relative: str) -> Outcome:
    with AsideFolders() as private:
        return disposal.move(path, signature, folder, relative, private)


def moved(path: Path, folder: Path, relative: str | None = None) -> Outcome:
    return move(str(path), signature(path), str(folder), relative or path.name)


def files_in(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by their paths in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    folder = tmp_path / "failed"
    folder.mkdir()
    return folder


def refuse(code: int) -> Callable[..., None]:
    def call(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return call


def no_links(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(os, "link", refuse(errno.EPERM))


def other_file_system(patch: pytest.MonkeyPatch) -> None:
    """Makes the source another file system than all other folders."""
    for name in ("link", "rename"):
        plain = getattr(os, name)

        def call(one: Any, other: Any, plain: Any = plain, **more: Any) -> None:
            if ("source" in Path(one).parts) != ("source" in Path(other).parts):
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            plain(one, other, **more)

        patch.setattr(os, name, call)


def other_file_system_without_links(patch: pytest.MonkeyPatch) -> None:
    other_file_system(patch)
    crossing = os.link

    def link(one: Any, other: Any, **more: Any) -> None:
        if "source" not in Path(one).parts:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        crossing(one, other, **more)

    patch.setattr(os, "link", link)


WAYS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "same file system": lambda patch: None,
    "no hard links": no_links,
    "another file system": other_file_system,
    "another file system, no hard links": other_file_system_without_links,
}


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    request.param(monkeypatch)


def visible(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in files_in(folder).items() if name != ".moving.lock"}


# Whether folders can be written to


def test_folders_that_can_be_written_to_pass_and_are_left_as_they_were(
    source: Path, tmp_path: Path
) -> None:
    write(source / "a.json")
    check_writable([str(source), str(tmp_path / "x" / "failed_uploads")])
    assert files_in(source) == {"a.json": CONTENT}
    assert list((tmp_path / "x" / "failed_uploads").iterdir()) == []


@pytest.mark.parametrize("call", ["open", "rename", "unlink", "mkdir"])
def test_a_folder_where_something_is_not_allowed_is_named(
    source: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    target = source / "new" if call == "mkdir" else source
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse(errno.EACCES))
        with pytest.raises(UsageError) as caught:
            check_writable([str(target)])
    assert f"in the folder {target}: Permission denied. Make it writable" in str(caught.value)
    if call != "unlink":
        assert list(source.iterdir()) == []


def test_a_file_where_a_folder_belongs_is_named(source: Path) -> None:
    with pytest.raises(UsageError, match="failed_uploads"):
        check_writable([str(write(source / "failed_uploads"))])


# Deleting


def test_a_file_that_is_the_same_is_deleted(source: Path) -> None:
    path = write(source / "a.json")
    mark = signature(path)
    assert delete(str(path), mark) is Fate.DONE
    assert delete(str(path), mark) is Fate.GONE
    assert files_in(source) == {}


def change_size(path: Path) -> None:
    write(path, CONTENT + b" ")


def change_mtime(path: Path) -> None:
    write(path, mtime_ns=MTIME_NS + 1_000)


@pytest.mark.parametrize("change", [change_size, change_mtime])
def test_a_file_that_changed_stays(
    source: Path, failed: Path, change: Callable[[Path], None]
) -> None:
    path = write(source / "a.json")
    mark = signature(path)
    change(path)
    assert delete(str(path), mark) is Fate.CHANGED
    assert move(str(path), mark, str(failed), "a.json") == Outcome(Fate.CHANGED, None)
    assert path.exists()
    assert files_in(failed) == {}


def test_of_a_link_only_the_link_is_deleted(source: Path, tmp_path: Path) -> None:
    original = write(tmp_path / "original.json")
    (source / "a.json").symlink_to(original)
    assert delete(str(source / "a.json"), signature(original)) is Fate.DONE
    assert original.exists()


def test_a_failed_deletion_is_reported(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(source / "a.json")
    monkeypatch.setattr(os, "unlink", refuse(errno.EACCES))
    with pytest.raises(PermissionError):
        delete(str(path), signature(path))


# Moving


@pytest.mark.usefixtures("way")
def test_a_file_is_moved_with_its_sub_folders_and_its_mtime(source: Path, failed: Path) -> None:
    path = write(source / "x" / "y" / "a.json")
    path.chmod(0o640)
    found = moved(path, failed, "x/y/a.json")
    assert found == Outcome(Fate.DONE, str(failed / "x" / "y" / "a.json"))
    assert files_in(source) == {}
    status = (failed / "x" / "y" / "a.json").stat()
    assert (status.st_mtime_ns, status.st_mode & 0o777) == (MTIME_NS, 0o640)
    assert (failed / "x" / "y" / "a.json").read_bytes() == CONTENT


@pytest.mark.usefixtures("way")
def test_a_clash_gets_a_name_of_its_own(source: Path, failed: Path) -> None:
    for number in range(3):
        found = moved(write(source / "a.b.json", b"%d" % number), failed)
        name = "a.b.json" if number == 0 else f"a.b.{number}.json"
        assert found == Outcome(Fate.DONE, str(failed / name))
    assert visible(failed) == {"a.b.json": b"0", "a.b.1.json": b"1", "a.b.2.json": b"2"}


@pytest.mark.usefixtures("way")
def test_the_same_content_is_not_kept_twice(source: Path, failed: Path) -> None:
    write(failed / "a.json", b"other")
    write(failed / "a.1.json")
    assert moved(write(source / "a.json"), failed) == Outcome(Fate.DONE, str(failed / "a.1.json"))
    assert visible(failed) == {"a.json": b"other", "a.1.json": CONTENT}
    assert files_in(source) == {}


@pytest.mark.usefixtures("way")
def test_content_of_the_same_length_is_distinguished(source: Path, failed: Path) -> None:
    write(failed / "a.json", b"x" * 2_000_000 + b"1")
    moved(write(source / "a.json", b"x" * 2_000_000 + b"2"), failed)
    assert set(visible(failed)) == {"a.json", "a.1.json"}


def put_folder(path: Path) -> None:
    path.mkdir()


def put_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("put", [put_folder, put_dangling_link])
@pytest.mark.usefixtures("way")
def test_what_is_no_file_is_not_overwritten_either(
    source: Path, failed: Path, put: Callable[[Path], None]
) -> None:
    put(failed / "a.json")
    assert moved(write(source / "a.json"), failed).path == str(failed / "a.1.json")
    assert os.path.lexists(failed / "a.json")


def test_a_file_that_is_gone_is_looked_for_where_a_killed_run_moved_it(
    source: Path, failed: Path
) -> None:
    path = write(source / "a.json")
    mark = signature(path)
    path.unlink()
    assert move(str(path), mark, str(failed), "a.json") == Outcome(Fate.GONE, None)
    write(failed / "a.json", b"other")
    write(failed / "a.1.json")
    assert move(str(path), mark, str(failed), "a.json") == Outcome(
        Fate.GONE, str(failed / "a.1.json")
    )


@pytest.mark.usefixtures("way")
def test_a_file_that_is_moved_to_where_it_is_stays(source: Path) -> None:
    path = write(source / "a.json")
    (source.parent / "alias").symlink_to(source)
    for folder in (source, source.parent / "alias", source / ".." / "source"):
        assert moved(path, folder).fate is Fate.DONE
        assert files_in(source) == {"a.json": CONTENT}


@pytest.mark.usefixtures("way")
def test_of_a_link_the_content_is_moved_and_the_original_stays(
    source: Path, failed: Path, tmp_path: Path
) -> None:
    original = write(tmp_path / "original.json")
    (source / "a.json").symlink_to("../original.json")
    assert moved(source / "a.json", failed).path == str(failed / "a.json")
    assert not (failed / "a.json").is_symlink()
    assert (failed / "a.json").stat().st_mtime_ns == MTIME_NS
    assert original.exists()
    assert not os.path.lexists(source / "a.json")


@pytest.mark.usefixtures("way")
def test_a_name_of_the_greatest_length_is_moved_beside_another(source: Path, failed: Path) -> None:
    name = "ä" * 125 + ".json"
    write(failed / name, b"other")
    found = moved(write(source / name), failed)
    assert found.path is not None
    assert Path(found.path).name == "ä" * 124 + ".1.json"
    lists = [write_errors(each, []) for each in (found.path, str(failed / name))]
    assert len(set(lists)) == 2, "one list for each"
    assert all(Path(each).name.startswith("ä" * 100) for each in lists)


@pytest.mark.usefixtures("way")
def test_two_that_race_for_a_name_both_arrive(source: Path, failed: Path) -> None:
    racers = [write(source / f"{number}" / "a.json", b"%d" % number) for number in range(8)]
    barrier = threading.Barrier(len(racers))

    def race(path: Path) -> None:
        barrier.wait()
        moved(path, failed, "a.json")

    threads = [threading.Thread(target=race, args=(path,)) for path in racers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files_in(source) == {}
    assert sorted(visible(failed).values()) == [b"%d" % number for number in range(8)]


def test_a_name_that_somebody_takes_at_the_last_moment_is_left_to_them(
    source: Path, failed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def late(one: Any, other: Any, **more: Any) -> None:
        if not os.path.lexists(failed / "a.json"):
            write(failed / "a.json", b"quicker")
        link(one, other, **more)

    monkeypatch.setattr(os, "link", late)
    assert moved(write(source / "a.json"), failed).path == str(failed / "a.1.json")
    assert files_in(failed) == {"a.json": b"quicker", "a.1.json": CONTENT}


@pytest.mark.parametrize("seen", [False, True])
def test_a_file_that_grows_while_it_is_copied_stays(
    source: Path, failed: Path, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    """Also where nobody can tell that somebody has it open."""
    other_file_system(monkeypatch)
    if not seen:
        monkeypatch.setattr(disposal, "is_open_for_writing", lambda _: None)
    path = write(source / "a.json")
    mark = signature_of_file(str(path), exact=True)
    made = os.open
    with path.open("ab", buffering=0) as file:

        def growing(name: Any, *more: Any, **options: Any) -> int:
            if str(name).endswith(".part"):
                file.write(b" ")
            return made(name, *more, **options)

        monkeypatch.setattr(os, "open", growing)
        fate = Fate.IN_USE if seen else Fate.CHANGED
        assert move(str(path), mark, str(failed), "a.json") == Outcome(fate)
    assert files_in(failed) == {}
    assert files_in(source) == {"a.json": CONTENT + (b"" if seen else b" ")}


def test_between_two_real_file_systems(
    source: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    here = source.stat().st_dev
    others = [tmp_path_factory.getbasetemp(), Path("/dev/shm")]
    other = next((each for each in others if each.is_dir() and each.stat().st_dev != here), None)
    if other is None:
        pytest.skip("there is no second file system")
    folder = other / f"importer-test-{os.getpid()}"
    request.addfinalizer(lambda: shutil.rmtree(folder, ignore_errors=True))
    path = write(source / "a.json", b"x" * 3_000_000)
    found = moved(path, folder, "x/a.json")
    assert found == Outcome(Fate.DONE, str(folder / "x" / "a.json"))
    assert files_in(folder) == {"x/a.json": b"x" * 3_000_000}
    assert (folder / "x" / "a.json").stat().st_mtime_ns == MTIME_NS
    assert not path.exists()


@pytest.mark.parametrize("call", ["fsync", "utime", "write"])
def test_a_copy_that_fails_leaves_the_source_and_no_part(
    source: Path, failed: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = write(source / "a.json")
    with monkeypatch.context() as patch:
        other_file_system(patch)
        if call == "write":
            patch.setattr(os, "fdopen", refuse(errno.ENOSPC))
        else:
            patch.setattr(os, call, refuse(errno.ENOSPC))
        with pytest.raises(OSError, match="No space left"):
            moved(path, failed)
    assert (files_in(source), files_in(failed)) == ({"a.json": CONTENT}, {})


def test_the_copy_and_its_name_are_on_disk_before_the_source_goes(
    source: Path, failed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_file_system(monkeypatch)
    done: list[str] = []
    fsync, link, unlink = os.fsync, os.link, os.unlink

    def synced(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        done.append(f"fsync {kind}")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", lambda *two, **more: (link(*two, **more), done.append("link")))
    monkeypatch.setattr(
        os, "unlink", lambda path, **_: (unlink(path), done.append(f"unlink {Path(path).name}"))
    )
    path = write(source / "a.json")
    moved(path, failed)
    kept = [each for each in done if not each.endswith(".part")]
    assert kept == ["fsync file", "link", "fsync folder", "unlink a.json"]


# Killed


class KilledError(BaseException):
    """Nothing that the code catches."""


SYSTEM_CALLS = (
    "open",
    "close",
    "link",
    "unlink",
    "rename",
    "replace",
    "mkdir",
    "rmdir",
    "lstat",
    "fsync",
    "utime",
    "chmod",
    "fdopen",
)


def kill_at(patch: pytest.MonkeyPatch, moment: int) -> Callable[[], int]:
    """Raises before the system call of this number, and after it for odd ones; counts them."""
    calls = 0

    def tick() -> None:
        nonlocal calls
        if calls == moment:
            calls += 1
            raise KilledError
        calls += 1

    for name in SYSTEM_CALLS:
        plain = getattr(os, name)

        def call(*arguments: Any, plain: Any = plain, **more: Any) -> Any:
            if calls > moment:
                # Dead: nothing has any effect. `close` is done by the system.
                if plain.__name__ == "close":
                    return plain(*arguments)
                raise KilledError
            tick()
            result = plain(*arguments, **more)
            try:
                tick()
            except KilledError:
                if plain.__name__ == "open":
                    close(result)
                elif plain.__name__ == "fdopen":
                    result.close()
                raise
            return result

        patch.setattr(os, name, call)
    close = os.close
    return lambda: calls


def killed_moments(act: Callable[[], object], prepare: Callable[[], None]) -> Iterator[int]:
    """Does something again and again, killed a moment later each time, until it comes through."""
    for moment in range(1_000):
        prepare()
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, moment)
            try:
                act()
            except KilledError:
                killed = True
            else:
                killed = False
        yield moment
        if not killed:
            assert moment > 6, "system calls were seen"
            return
    raise AssertionError("it never came to its end")


def finish_leftover(path: Path, mark: Signature, end: Callable[[Path, Path], Outcome]) -> None:
    """What the next run does first: it ends what is left of this file, and puts back the rest."""

    def finish(aside: Path, home: Path) -> bool:
        left = home == path and disposal.is_left_of(aside, mark)
        return left and end(aside, home).fate is Fate.DONE

    for private in aside_folders_in(path.parent):
        bring_home(private, finish)
    assert aside_folders_in(path.parent) == []


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("clash", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_a_move_killed_at_any_system_call_is_finished_by_the_next(
    tmp_path: Path, source: Path, clash: bool, known: bool
) -> None:
    """Also by one that does not know of it: that puts it back, as a file that is new."""
    content = b"x" * 10_000
    path = source / "x" / "a.json"
    folder = tmp_path
    expected: dict[str, bytes] = {}
    mark = Signature(0, 0)
    tries = 0

    def prepare() -> None:
        nonlocal folder, tries, mark
        folder = tmp_path / f"failed-{tries}"
        tries += 1
        mark = signature_of_file(str(write(path, content)), exact=True)
        if clash:
            write(folder / "x" / "a.json", b"other")

    name = "x/a.1.json" if clash else "x/a.json"
    expected = {"x/a.json": b"other"} if clash else {}

    def act() -> Outcome:
        return move(str(path), mark, str(folder), "x/a.json")

    def end(aside: Path, home: Path) -> Outcome:
        return disposal.finish_move(aside, home, str(folder), "x/a.json")

    for _ in killed_moments(act, prepare):
        found = {k: v for k, v in files_in(folder).items() if not Path(k).name.startswith(".")}
        assert found in (expected, {**expected, name: content}), "never torn"
        at_source = files_in(source)
        assert at_source or name in found, "never neither"
        assert set(at_source.values()) <= {content}
        if known:
            finish_leftover(path, mark, end)
        else:
            finish_leftover(path, Signature(0, 0), end)
            if path.exists():
                assert files_in(source) == {"x/a.json": content}
                mark = signature_of_file(str(path), exact=True)
        again = act()
        assert again.path == str(folder / name)
        assert again.fate in (Fate.DONE, Fate.GONE)
        assert (folder / name).stat().st_mtime_ns == MTIME_NS
        left = {k: v for k, v in files_in(folder).items() if Path(k).name != ".moving.lock"}
        assert left == {**expected, name: content}, "no second copy, no part"
        assert files_in(source) == {}


@pytest.mark.parametrize("known", [False, True])
def test_a_deletion_killed_at_any_system_call_is_finished_by_the_next(
    source: Path, known: bool
) -> None:
    path = source / "x" / "a.json"
    mark = Signature(0, 0)

    def prepare() -> None:
        nonlocal mark
        mark = signature_of_file(str(write(path)), exact=True)

    def act() -> Fate:
        return delete(str(path), mark)

    for _ in killed_moments(act, prepare):
        assert set(files_in(source).values()) <= {CONTENT}
        left = bool(files_in(source))
        wanted = mark if known else Signature(0, 0)
        finish_leftover(path, wanted, lambda aside, home: disposal.finish_delete(aside))
        if not known:
            assert path.exists() is left, "it is put back, as a file that is new"
        if path.exists() and not known:
            mark = signature_of_file(str(path), exact=True)
        assert act() in (Fate.DONE, Fate.GONE)
        assert files_in(source) == {}


@pytest.mark.usefixtures("way")
def test_putting_back_killed_at_any_system_call_leaves_both_files(source: Path) -> None:
    """Another version had come in place of the file, and a third one under its name since."""
    path = source / "a.json"
    private = source / f"{BEGINNING}elsewhere.1.0"

    def prepare() -> None:
        for each in source.iterdir():
            each.unlink()
        write(private / "a.json", b"second")
        write(path, b"third")

    def act() -> object:
        return bring_home(private, lambda aside, home: False)

    for _ in killed_moments(act, prepare):
        assert set(files_in(source).values()) == {b"second", b"third"}
        if private.exists():
            act()
        assert visible(source) == {"a.json": b"third", "a.1.json": b"second"}
        assert not private.exists()
        (source / ".moving.lock").unlink(missing_ok=True)


# Others who are at work


def replaced_in_between(
    monkeypatch: pytest.MonkeyPatch, path: Path, then: Callable[[], object] = lambda: None
) -> None:
    """Somebody renames another version, alike by size and mtime, over a file just after the look;
    `then` happens once it is set aside."""
    look, take = disposal._entry_of, AsideFolders.take
    version = write(path.parent.parent / "stage" / path.name, b"V" * len(CONTENT))

    def slow(source: Path, mark: Signature) -> os.stat_result | None:
        found = look(source, mark)
        version.replace(path)
        return found

    def taken(self: AsideFolders, source: Path) -> Path:
        place = take(self, source)
        then()
        return place

    monkeypatch.setattr(disposal, "_entry_of", slow)
    monkeypatch.setattr(AsideFolders, "take", taken)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("act", ["delete", "move"])
def test_a_file_renamed_over_another_after_the_look_is_put_back(
    source: Path, failed: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    path = write(source / "a.json")
    mark = signature_of_file(str(path), exact=True)
    replaced_in_between(monkeypatch, path)
    if act == "delete":
        assert delete(str(path), mark) is Fate.CHANGED
    else:
        assert move(str(path), mark, str(failed), "a.json") == Outcome(Fate.CHANGED)
    assert visible(source) == {"a.json": b"V" * len(CONTENT)}
    assert visible(failed) == {}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("act", ["delete", "move"])
def test_a_file_whose_name_is_taken_meanwhile_is_kept_beside_it(
    source: Path, failed: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    path = write(source / "a.json")
    mark = signature_of_file(str(path), exact=True)
    replaced_in_between(monkeypatch, path, lambda: write(path, b"third"))
    with AsideFolders() as private:
        if act == "delete":
            found = disposal.delete(str(path), mark, private)
        else:
            found = disposal.move(str(path), mark, str(failed), "a.json", private)
    assert found == Outcome(Fate.CHANGED, kept_as=str(source / "a.1.json"))
    assert visible(source) == {"a.json": b"third", "a.1.json": b"V" * len(CONTENT)}
    assert visible(failed) == {}


def test_a_file_that_a_program_writes_to_is_neither_deleted_nor_moved(
    source: Path, failed: Path
) -> None:
    path = write(source / "a.json")
    mark = signature(path)
    with path.open("ab"):
        if disposal.is_open_for_writing(str(path)) is None:
            pytest.skip("nobody can tell here")
        assert delete(str(path), mark) is Fate.IN_USE
        assert move(str(path), mark, str(failed), "a.json") == Outcome(Fate.IN_USE)
    assert files_in(source) == {"a.json": CONTENT}
    assert delete(str(path), mark) is Fate.DONE


def test_what_a_living_process_has_set_aside_is_left_alone(source: Path) -> None:
    path = write(source / "a.json")
    with AsideFolders() as private:
        aside = private.take(path)
        (folder,) = aside_folders_in(source)
        assert bring_home(folder, lambda *_: False) == []
        assert aside.read_bytes() == CONTENT
    assert [each.place for each in bring_home(folder, lambda *_: False)] == [path]
    assert files_in(source) == {"a.json": CONTENT}
    assert list(source.iterdir()) == [path]


def test_a_private_folder_that_somebody_removed_is_made_again(source: Path) -> None:
    first, second = write(source / "a.json"), write(source / "b.json")
    with AsideFolders() as private:
        private.take(first).unlink()
        (folder,) = aside_folders_in(source)
        folder.rmdir()
        assert private.take(second).read_bytes() == CONTENT
        with pytest.raises(FileNotFoundError):
            private.take(first)
        private.take(write(source / "c.json")).unlink()


def test_whoever_may_work_in_a_source_may_bring_home_what_is_left_in_it(source: Path) -> None:
    source.chmod(0o2777)
    with AsideFolders() as private:
        aside = private.take(write(source / "a.json"))
        assert stat.S_IMODE(aside.parent.stat().st_mode) == 0o2777


@pytest.mark.usefixtures("way")
def test_a_file_that_cannot_be_moved_is_put_back(
    source: Path, failed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(source / "a.json")
    monkeypatch.setattr(disposal, "publish", refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        moved(path, failed)
    assert files_in(source) == {"a.json": CONTENT}
    assert [each for each in source.iterdir() if each.is_dir()] == []


def test_a_list_of_errors_killed_at_any_system_call_is_the_old_or_the_new(failed: Path) -> None:
    path = failed / "a.errors.json"
    old = [{"index": 0, "id": "a", "reason": "old"}]
    new = [{"index": 1, "id": None, "reason": "new"}]

    def prepare() -> None:
        write_errors(str(failed / "a.json"), [Problem(0, "a", "old")])

    def act() -> str:
        return write_errors(str(failed / "a.json"), [Problem(1, None, "new")])

    for _ in killed_moments(act, prepare):
        assert orjson.loads(path.read_bytes()) in (old, new)
        act()
        assert orjson.loads(path.read_bytes()) == new
        assert list(failed.iterdir()) == [path]


# The list of errors


def test_the_problems_are_listed_beside_the_file(failed: Path) -> None:
    problems = [Problem(0, "n360-1", "no profile_data"), Problem(7, None, "wörse")]
    path = write_errors(str(write(failed / "x" / "a.json")), iter(problems))
    assert path == str(failed / "x" / "a.errors.json")
    assert orjson.loads(Path(path).read_bytes()) == [
        {"index": 0, "id": "n360-1", "reason": "no profile_data"},
        {"index": 7, "id": None, "reason": "wörse"},
    ]
    assert write_errors(str(failed / "x" / "a.json"), []) == path
    assert orjson.loads(Path(path).read_bytes()) == []


def test_a_list_of_errors_that_cannot_be_written_leaves_the_old_one(
    failed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(write_errors(str(failed / "a.json"), []))
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse(errno.ENOSPC))
        with pytest.raises(OSError, match="No space left"):
            write_errors(str(failed / "a.json"), [Problem(0, None, "x")])
    assert files_in(failed) == {path.name: b"[]"}


def test_a_list_of_errors_never_overwrites_a_source_file_of_that_name(
    source: Path, failed: Path
) -> None:
    moved(write(source / "a.errors.json"), failed)
    found = moved(write(source / "a.json", b"{}"), failed)
    assert found.path == str(failed / "a.1.json")
    assert write_errors(str(found.path), []) == str(failed / "a.1.errors.json")
    assert (failed / "a.errors.json").read_bytes() == CONTENT


@pytest.mark.parametrize("problems", [[], [Problem(0, None, "x")]])
def test_an_old_list_of_errors_does_not_prevent_a_move(
    source: Path, failed: Path, problems: list[Problem]
) -> None:
    write_errors(str(failed / "a.json"), problems)
    assert moved(write(source / "a.json"), failed).path == str(failed / "a.json")


def test_parts_are_a_process_s_own_and_those_of_dead_ones_go(tmp_path: Path) -> None:
    """Another run may be copying the same file to the same place."""
    mine = part_of(tmp_path / "a.json", tmp_path)
    living = mine.with_name(mine.name.replace(str(os.getpid()), "1"))
    dead = mine.with_name(mine.name.replace(str(os.getpid()), str(2**22 + 1)))
    for path in (mine, living, dead):
        path.touch()
    assert part_of(tmp_path / "a.json", tmp_path) == mine
    assert sorted(tmp_path.iterdir()) == [living]


@pytest.mark.parametrize("linked", [False, True])
def test_an_exact_signature_distinguishes_files_of_the_same_size_and_mtime(
    tmp_path: Path, linked: bool
) -> None:
    path, other = tmp_path / "in/a.json", tmp_path / "other"
    path.parent.mkdir()
    path.write_bytes(b"one")
    exact = signature_of_file(str(path), exact=True)
    if linked:
        # A killed run had linked it: it is the same file by another name.
        (tmp_path / "out").mkdir()
        os.link(path, tmp_path / "out/a.json")
        assert delete(str(path), exact) is Fate.CHANGED
        assert move(str(path), exact, str(tmp_path / "out"), "a.json").fate is Fate.DONE
        assert not path.exists()
        return
    other.write_bytes(b"two")
    os.utime(other, ns=(exact.mtime_ns, exact.mtime_ns))
    other.rename(path)
    assert delete(str(path), exact) is Fate.CHANGED
    assert move(str(path), exact, str(tmp_path / "out"), "a.json").fate is Fate.CHANGED
    assert path.read_bytes() == b"two"
