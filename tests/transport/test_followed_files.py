"""`FollowedFiles`: what is in the files within a second, the last good value while that is unusable, and no waiting."""

import logging
import os
from pathlib import Path
import socket
import threading
import traceback

import pytest

from tokenbind import IdentityError
from tokenbind.transport import followed_files
from tokenbind.transport.followed_files import FollowedFiles, file_name

from .rotating import forked


class Value:
    """Made of files that hold numbers, and END lines for more of them."""

    def __init__(self, contents):
        self.number = int(contents[0].split(b"-")[0])


def make_number(contents, last):
    try:
        return Value(contents)
    except ValueError:
        raise IdentityError("this is no number") from None


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_text("1")
    return path


@pytest.fixture
def followed(file, clock):
    """A file with a number in it; `made` are the contents that were tried, `notes` what was noted."""
    made, notes = [], []

    def make(contents, last):
        made.append(contents[0])
        if contents[0] == b"secret":
            raise RuntimeError("secret")
        return make_number(contents, last)

    def note(value, problem):
        notes.append((value.number, problem))

    followed = FollowedFiles("a number", (file,), make, error=IdentityError, private=file, note=note)
    followed.made, followed.notes = made, notes
    return followed


def test_a_change_is_in_use_within_a_second_of_use(followed, file, clock):
    """At once, if the last look was long ago; and the value is the same object until then."""
    first = followed.current()
    assert first is followed.current()
    for number in range(2, 5):
        file.write_text(str(number))
        clock.now += 1
        assert number == followed.current().number
    assert followed.current() is followed.last
    assert first is not followed.last


def test_a_file_that_rests_is_looked_at_once_a_second_and_not_read(followed, file, clock, monkeypatch):
    """Which is two system calls, whatever the number of requests."""
    clock.now += 5
    value, looks, real = followed.current(), [], followed_files._stamp
    monkeypatch.setattr(followed_files, "_stamp", lambda path: looks.append(1) or real(path))
    monkeypatch.setattr(followed, "_read", None)
    for _ in range(1000):
        clock.now += 0.01
        assert value is followed.current()
    assert 9 <= len(looks) <= 12


def test_a_change_that_shows_in_no_stamp_is_seen(followed, file, clock, monkeypatch):
    """The same size, written within one tick of the file system's clock: contents are compared until that is over."""
    stamp = followed_files._stamp(file)
    monkeypatch.setattr(followed_files, "_stamp", lambda path: stamp)
    file.write_text("2")
    clock.now += 0.1
    assert 2 == followed.current().number
    file.write_text("3")
    clock.now += 3600  # nobody asked meanwhile
    assert 3 == followed.current().number
    file.write_text("4")  # which no file system does
    clock.now += 1
    assert 3 == followed.current().number


def test_what_is_the_same_again_is_the_same_object(followed, file, clock):
    """Touched, replaced by a copy, or changed and changed back while nobody looked."""
    value = followed.current()
    os.utime(file, (1, 1))
    clock.now += 1
    assert value is followed.current()
    file.with_name("copy").write_text("1")
    file.with_name("copy").replace(file)
    clock.now += 1
    assert value is followed.current()
    assert [b"1"] == followed.made


def unlink(file):
    file.unlink()


def make_directory(file):
    file.unlink()
    file.mkdir()


def make_pipe(file):
    file.unlink()
    os.mkfifo(file)


def make_socket(file):
    file.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(file))


def make_loop(file):
    file.unlink()
    file.symlink_to(file)


def make_huge(file):
    with file.open("wb") as stream:
        stream.truncate(10_000_001)


PROBLEMS = [
    (unlink, "No such file"),
    (make_directory, "Is a directory"),
    (make_pipe, "not a regular file"),
    (make_socket, "No such device"),
    (make_loop, "symbolic links"),
    (make_huge, "larger than 10000000 bytes"),
    (lambda file: file.write_text("junk"), "this is no number"),
    (lambda file: file.write_text("secret"), "RuntimeError"),
]


@pytest.mark.parametrize(("breaks", "why"), PROBLEMS)
def test_what_cannot_be_used_changes_nothing_and_is_logged_once(followed, file, clock, caplog, breaks, why):
    """After it has lasted; what is noted says so at once. And what is good again is used."""
    caplog.set_level(logging.INFO, "tokenbind")
    file.chmod(0o600)
    value = followed.current()
    breaks(file)
    clock.now += 1
    assert value is followed.current()
    [(number, problem)] = followed.notes
    assert 1 == number
    assert why in problem
    assert "secret" not in problem
    assert [] == caplog.records  # it may be half of a rewrite
    for _ in range(100):
        clock.now += 0.1
        assert value is followed.current()
    [record] = caplog.records
    assert ("WARNING", "tokenbind") == (record.levelname, record.name)
    assert f"a number in {file}: a change cannot be used, and the last good state goes on: " in record.getMessage()
    assert problem in record.getMessage()

    if file.is_dir():
        file.rmdir()
    file.unlink(missing_ok=True)
    file.write_text("2")
    file.chmod(0o600)
    clock.now += 1
    assert 2 == followed.current().number
    assert (2, None) == followed.notes[-1]
    said = [(record.levelname, record.getMessage()) for record in caplog.records[1:]]
    assert [
        ("INFO", f"a number in {file} can be used again"),
        ("INFO", f"a number in {file}: a change was read"),
    ] == said


def test_what_is_as_before_again_can_be_used_again(followed, file, clock, caplog):
    """Which is said if, and only if, a warning said that it cannot; nothing new was read."""
    caplog.set_level(logging.INFO, "tokenbind")
    file.chmod(0o600)
    for seconds, levels in ((1, []), (3, ["WARNING", "INFO"])):
        file.write_text("junk")
        for _ in range(seconds * 10):
            clock.now += 0.1
            followed.current()
        file.write_text("1")
        for _ in range(30):
            clock.now += 0.1
            followed.current()
        assert levels == [record.levelname for record in caplog.records]
    assert f"a number in {file} can be used again" == caplog.records[-1].getMessage()


def test_each_problem_is_logged_and_again_after_it_was_over(followed, file, clock, caplog):
    """But not each time when two take turns."""

    def last(seconds):
        for _ in range(int(seconds * 10)):
            clock.now += 0.1
            followed.current()
        return len(caplog.records)

    file.chmod(0o600)
    for count in (2, 2, 2):
        file.unlink()
        last(3)
        file.write_text("junk")
        file.chmod(0o600)
        assert count == last(3)
    file.write_text("1")
    assert 2 == last(3)
    file.write_text("junk")
    assert 3 == last(3)


def test_half_a_rewrite_is_looked_at_again_soon(followed, file, clock, caplog):
    """50 ms later it is whole; nothing is logged."""
    file.chmod(0o600)
    file.write_text("")
    clock.now += 1
    assert 1 == followed.current().number
    file.write_text("2")
    assert 1 == followed.current().number
    clock.now += 0.06
    assert 2 == followed.current().number
    assert [] == caplog.records


def test_what_was_refused_is_not_tried_each_time_but_later_again(followed, file, clock):
    """A password may be asked for each time. But a certificate becomes valid by itself."""
    file.write_text("junk")
    for _ in range(15):
        clock.now += 0.1
        followed.current()
    assert [b"1", b"junk"] == followed.made
    clock.now += 5
    followed.current()
    assert [b"1", b"junk", b"junk"] == followed.made


def test_less_than_before_is_believed_when_it_lasts(followed, file, clock, caplog):
    """A chain that was cut between two of its blocks would look like a whole one."""
    file.chmod(0o600)
    file.write_text("2-----END -----END ")
    clock.now += 1
    assert 2 == followed.current().number
    file.write_text("3-----END ")
    clock.now += 1
    assert 2 == followed.current().number
    file.write_text("3-----END -----END ")
    clock.now += 0.06
    assert 3 == followed.current().number
    file.with_name("copy").write_text(file.read_text())
    file.with_name("copy").replace(file)  # the same again, in another file
    clock.now += 1
    assert 3 == followed.current().number
    file.write_text("4-----END ")
    clock.now += 1
    assert 3 == followed.current().number
    for _ in range(30):
        clock.now += 0.1
        followed.current()
    assert 4 == followed.current().number
    assert [] == caplog.records


def test_less_in_another_file_is_believed_at_once(followed, file, clock):
    """Who replaces it has written it before."""
    file.write_text("2-----END -----END ")
    clock.now += 1
    assert 2 == followed.current().number
    file.with_name("new").write_text("3-----END ")
    file.with_name("new").replace(file)
    clock.now += 1
    assert 3 == followed.current().number


def test_files_that_change_while_they_are_read_are_read_again(followed, file, clock, monkeypatch):
    """What may be made of two generations is not taken."""
    real = followed._content

    def content(path):
        result = real(path)
        if result == b"2":
            path.write_text("3")
        return result

    monkeypatch.setattr(followed, "_content", content)
    file.write_text("2")
    clock.now += 1
    assert 1 == followed.current().number
    assert "change while they are read" in followed.notes[-1][1]
    clock.now += 0.06
    assert 3 == followed.current().number


def test_one_looks_and_the_others_do_not_wait(followed, file, clock):
    """They have the last value."""
    file.write_text("2")
    clock.now += 1
    with followed._lock.mine():
        assert 1 == followed.current().number
    assert 2 == followed.current().number


def test_a_child_does_not_wait_for_a_lock_that_was_held_at_the_fork(followed, file, clock):
    """The thread that held it is not there."""
    file.write_text("2")
    clock.now += 1
    with followed._lock.mine():
        assert forked(lambda: followed.current().number == 2)
    assert 2 == followed.current().number


def test_a_start_in_the_midst_of_a_rewrite_waits_a_little(file, clock, monkeypatch):
    """Until the file is there, and whole."""
    file.unlink()
    steps = iter([lambda: None, lambda: file.write_text("junk"), lambda: None, lambda: file.write_text("7")])
    monkeypatch.setattr(followed_files, "sleep", lambda seconds: (clock.sleep(seconds), next(steps)()))

    assert 7 == FollowedFiles("a number", (file,), make_number, error=IdentityError).current().number
    assert clock.now < 1001


def test_a_start_without_a_good_file_is_an_error(file, clock):
    """After a second; the same content is tried once."""
    made = []
    file.write_text("junk")
    with pytest.raises(IdentityError, match="this is no number") as caught:
        FollowedFiles("a number", (file,), lambda *given: made.append(1) or make_number(*given), error=IdentityError)
    assert [1] == made
    assert len(traceback.extract_tb(caught.value.__traceback__)) < 10
    assert 1000.9 < clock.now < 1001.1
    file.unlink()
    with pytest.raises(IdentityError, match=f"cannot read '{file}': No such file or directory"):
        FollowedFiles("a number", (file,), make_number, error=IdentityError)


def test_without_files_nothing_changes(clock):
    """Nor is it tried twice."""
    fixed = FollowedFiles("nothing", (), lambda contents, last: Value([b"5"]), error=IdentityError)
    value = fixed.current()
    for _ in range(5):
        clock.now += 1
        assert value is fixed.current()
    with pytest.raises(IdentityError, match="no number"):
        FollowedFiles("nothing", (), lambda contents, last: make_number([b"junk"], last), error=IdentityError)
    assert clock.now == 1005


@pytest.mark.parametrize(("mode", "warned"), [(0o600, 0), (0o640, 0), (0o440, 0), (0o644, 1), (0o606, 1)])
def test_a_key_that_is_open_to_others_is_warned_of_once(file, clock, caplog, mode, warned):
    """With the mode, and what to do; through the link of a Kubernetes volume, too. The group may be fsGroup's."""
    link = file.with_name("link")
    link.symlink_to(file)
    file.chmod(mode)
    files = FollowedFiles("a number", (link,), make_number, error=IdentityError, private=link)
    for number in range(5):
        file.write_text(str(number))
        clock.now += 1
        files.current()
    assert warned == len(caplog.records)
    if warned:
        text = caplog.text
        assert f"{str(link)!r} is open to every user of this machine (mode {mode:04o})" in text
        assert "chmod 600" in text
        assert "defaultMode: 0400" in text


def test_a_file_that_is_not_private_may_be_open(file, clock, caplog):
    """A certificate is public."""
    file.chmod(0o644)
    FollowedFiles("a number", (file,), make_number, error=IdentityError)
    assert [] == caplog.records


@pytest.mark.parametrize("name", [None, 5, b"file", "", "a\0b", "\ud800", ["file"], object(), Path])
def test_what_is_no_file_name_is_our_error(name):
    """Whatever its type."""
    with pytest.raises(IdentityError, match="no file name"):
        file_name(name, IdentityError, "")


@pytest.mark.parametrize("kind", [str, Path])
def test_text_instead_of_a_name_is_not_shown(kind):
    """It may be the key."""
    with pytest.raises(IdentityError, match="PEM text.*use another") as caught:
        file_name(kind("-----BEGIN secret"), IdentityError, "use another")
    assert "secret" not in str(caught.value)


def test_a_relative_name_stays_that_of_the_folder_where_it_was_given(tmp_path, monkeypatch):
    """A daemon goes to / after it has read its settings."""
    monkeypatch.chdir(tmp_path)
    name = file_name("file", IdentityError, "")
    monkeypatch.chdir("/")
    assert tmp_path / "file" == name


def test_a_relative_name_in_a_folder_that_is_gone_is_our_error(tmp_path, monkeypatch):
    """There is no saying where it leads."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(IdentityError, match="no file name"):
        file_name("file", IdentityError, "")


def test_threads_see_a_value_at_any_time(file):
    """In real time: eight threads, and a file that is rewritten in place."""
    files = FollowedFiles("a number", (file,), make_number, error=IdentityError)
    seen, failed, done = set(), [], threading.Event()

    def use():
        while not done.is_set():
            try:
                seen.add(files.current().number)
            except Exception as error:  # noqa: BLE001 - whatever it is
                failed.append(error)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    file.write_text("2")
    try:
        for _ in range(500):
            if 2 in seen:
                break
            threading.Event().wait(0.01)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert ({1, 2}, []) == (seen, failed)
