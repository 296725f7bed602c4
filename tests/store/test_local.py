"""Local artifacts: every regular file, nothing outside, nothing that waits, and everything else named."""

import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.errors import InputError, UsageError
from weighbridge.store import Links, local, open_artifact


def listed(artifact: Artifact) -> dict[str, str]:
    """Path → contents of every member."""
    return {m.path: artifact.files.open(m).read(0, m.size).decode() for m in artifact.members}


def obstacles(artifact: Artifact) -> list[tuple[str, str]]:
    return [(o.path, o.code) for o in artifact.obstacles]


def write(root: Path, **contents: str) -> None:
    for path, text in contents.items():
        file = root / path.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


# What is listed.


def test_a_folder(tmp_path: Path) -> None:
    write(tmp_path, b="1", a__c="22", a__b__x="3", Z="4")
    (tmp_path / "empty").mkdir()
    (tmp_path / ".git").mkdir()
    write(tmp_path / ".git", config="5")
    (tmp_path / "a-b").write_text("6")
    artifact = open_artifact(tmp_path)
    assert artifact.name == tmp_path.name
    assert artifact.location == str(tmp_path)
    assert not artifact.single
    assert [(m.path, m.size, m.link) for m in artifact.members] == [
        (".git/config", 1, None),
        ("Z", 1, None),
        ("a-b", 1, None),
        ("a/b/x", 1, None),
        ("a/c", 2, None),
        ("b", 1, None),
    ]
    assert listed(artifact)["a/c"] == "22"
    assert artifact.obstacles == ()


def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, **{"model.bin": "hello"})
    monkeypatch.chdir(tmp_path)
    for path in ("model.bin", "./model.bin", str(tmp_path / "model.bin"), Path("model.bin")):
        artifact = open_artifact(path)
        assert (artifact.name, artifact.single, artifact.members) == (
            "model.bin",
            True,
            (Member("model.bin", 5),),
        )
        assert listed(artifact) == {"model.bin": "hello"}


def test_the_folder_one_stands_in_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, a="1")
    monkeypatch.chdir(tmp_path)
    assert open_artifact(".").name == tmp_path.name
    assert open_artifact(f"{tmp_path}/").name == tmp_path.name


def test_excluded_paths_and_what_lies_below_them(tmp_path: Path) -> None:
    write(tmp_path, **{"model.sig": "s", "a": "1", "sub__model.sig": "2", "out__x": "3", "out__y__z": "4"})
    artifact = open_artifact(tmp_path, exclude=("model.sig", "out", "nothing"))
    assert sorted(listed(artifact)) == ["a", "sub/model.sig"]


@pytest.mark.parametrize(
    "name", [b"\xff\xfe", "é".encode(), "e\u0301".encode(), b"a\nb", b"a:1:2", b"\xe2\x80\xaegnp", b" "]
)
def test_any_name_that_a_disk_can_have(tmp_path: Path, name: bytes) -> None:
    (tmp_path / os.fsdecode(name)).write_bytes(b"x")
    artifact = open_artifact(tmp_path)
    (member,) = artifact.members
    assert os.fsencode(member.path) == name
    assert listed(artifact) == {member.path: "x"}


def test_members_are_sorted_by_code_point(tmp_path: Path) -> None:
    for name in ("\U0001f600", "\uffee", "z", "a/b", "a-b", "a.b", "A"):
        write(tmp_path, **{name: ""})
    paths = [m.path for m in open_artifact(tmp_path).members]
    assert paths == sorted(paths) == ["A", "a-b", "a.b", "a/b", "z", "\uffee", "\U0001f600"]


def test_folders_deeper_than_any_path_are_named(tmp_path: Path) -> None:
    """Neither Python's stack nor the longest path of the system is a way to hide something."""
    handle = os.open(tmp_path, os.O_RDONLY)
    for _ in range(2100):
        os.mkdir("d", dir_fd=handle)
        handle = step(handle, "d")
    os.mknod("f", dir_fd=handle)
    artifact = open_artifact(tmp_path)
    os.unlink("f", dir_fd=handle)
    for _ in range(2100):  # no tool that is at hand removes a tree this deep
        handle = step(handle, "..")
        os.rmdir("d", dir_fd=handle)
    os.close(handle)
    assert artifact.members == ()
    assert [(len(o.path) > 3500, o.code) for o in artifact.obstacles] == [(True, "unreadable")]


def step(handle: int, name: str) -> int:
    """The folder `name` of an open folder, which is closed."""
    below = os.open(name, os.O_RDONLY, dir_fd=handle)
    os.close(handle)
    return below


# What is not there.


def test_no_such_path_says_what_is_near(tmp_path: Path) -> None:
    write(tmp_path, **{"chat-7b__x": "1"})
    with pytest.raises(UsageError) as caught:
        open_artifact(tmp_path / "chat-7")
    assert caught.value.code == "no-such-path"
    assert caught.value.hints == (f'did you mean "{tmp_path}/chat-7b"?',)


@pytest.mark.parametrize("path", ["/nowhere/at/all", "a\0b", "x" * 5000, ""])
def test_no_such_path(path: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_artifact(path)
    assert caught.value.code == "no-such-path"
    assert caught.value.exit_code == 2


def test_a_model_that_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(UsageError) as caught:
            open_artifact(path)
        assert caught.value.code == "not-a-file"


# What cannot be weighed.


def test_pipes_sockets_and_devices_are_named_and_never_opened(tmp_path: Path) -> None:
    write(tmp_path, a="1", sub__b="2")
    os.mkfifo(tmp_path / "sub" / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "sock"))
        (tmp_path / "null").symlink_to("/dev/null")
        artifact = open_artifact(tmp_path, links=Links.FOLLOW)
    assert sorted(listed(artifact)) == ["a", "sub/b"]
    assert obstacles(artifact) == [("null", "not-a-file"), ("sock", "not-a-file"), ("sub/pipe", "not-a-file")]
    assert "a named pipe" in artifact.obstacles[2].message
    assert "a character device" in artifact.obstacles[0].message


@contextmanager
def as_somebody_else() -> Iterator[Path]:
    """A folder of a person who is not root, and that person."""
    with tempfile.TemporaryDirectory() as folder:
        root = os.geteuid() == 0
        if root:
            os.chown(folder, 65534, -1)
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)


def test_what_may_not_be_read() -> None:
    with as_somebody_else() as root:
        write(root, a="1", locked__x="2")
        (root / "a").chmod(0)
        (root / "locked").chmod(0)
        artifact = open_artifact(root)
        assert [m.path for m in artifact.members] == ["a"]
        assert obstacles(artifact) == [("locked", "unreadable")]
        for opened in (artifact.files.open, artifact.files.read_whole):
            with pytest.raises(InputError) as caught:
                opened(artifact.members[0])
            assert caught.value.code == "unreadable"
        with pytest.raises(InputError) as caught:
            open_artifact(root / "locked")
        assert caught.value.code == "unreadable"
        (root / "locked").chmod(0o700)


@pytest.mark.parametrize("how", ["other", "pipe", "link", "gone", "folder"])
def test_only_the_file_that_was_listed_is_opened(tmp_path: Path, how: str) -> None:
    write(tmp_path, f="hello", g="hello")
    artifact = open_artifact(tmp_path)
    file = tmp_path / "f"
    file.rename(tmp_path / "away")
    match how:
        case "other":
            (tmp_path / "g").rename(file)
        case "pipe":
            os.mkfifo(file)
        case "link":
            file.symlink_to("away")
        case "folder":
            file.mkdir()
    started = time.monotonic()
    for opened in (artifact.files.open, artifact.files.read_whole):
        with pytest.raises(InputError) as caught:
            opened(artifact.members[0])
        assert caught.value.code == ("not-a-file" if how in ("pipe", "folder") else "file-changed")
    assert time.monotonic() - started < 5


def test_a_folder_swapped_for_a_link_leads_nowhere(tmp_path: Path) -> None:
    write(tmp_path, model__sub__f="mine", secret__f="secret")
    artifact = open_artifact(tmp_path / "model")
    (tmp_path / "model/sub").rename(tmp_path / "gone")
    (tmp_path / "model/sub").symlink_to("../secret")
    with pytest.raises(InputError) as caught:
        artifact.files.open(artifact.members[0])
    assert caught.value.code == "file-changed"


def test_reading_past_the_end_and_after_closing(tmp_path: Path) -> None:
    write(tmp_path, f="hello")
    artifact = open_artifact(tmp_path)
    source = artifact.files.open(artifact.members[0])
    assert (source.read(0, 99), source.read(3, 1), source.read(5, 1), source.read(99, 1)) == (
        b"hello",
        b"l",
        b"",
        b"",
    )
    with pytest.raises(InputError, match="bad-offset"):
        source.read(-1, 1)
    source.close()
    source.close()
    with pytest.raises(InputError, match="unreadable"):
        source.read(0, 1)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    write(tmp_path, f="hello")
    artifact = open_artifact(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        artifact.files.open(artifact.members[0])
        artifact.files.read_whole(artifact.members[0])
    (tmp_path / "f").write_text("other!")
    for _ in range(5):
        with pytest.raises(InputError):
            artifact.files.read_whole(artifact.members[0])
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# Links.


def test_links_inside_are_followed_and_noted(tmp_path: Path) -> None:
    write(tmp_path, real__a="1", b="2")
    (tmp_path / "to-b").symlink_to("b")
    (tmp_path / "chain").symlink_to("to-b")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "absolute").symlink_to(tmp_path / "b")
    artifact = open_artifact(tmp_path)
    assert listed(artifact) == {
        "absolute": "2",
        "b": "2",
        "chain": "2",
        "folder/a": "1",
        "real/a": "1",
        "to-b": "2",
    }
    assert {m.path: m.link for m in artifact.members if m.link} == {
        "absolute": str(tmp_path / "b"),
        "chain": "to-b",
        "folder/a": "real",
        "to-b": "b",
    }
    assert artifact.obstacles == ()


def test_links_outside_broken_and_round_are_obstacles(tmp_path: Path) -> None:
    write(tmp_path, secret="s", model__a="1", modelx__b="2")
    model = tmp_path / "model"
    for name, target in {
        "out": "../secret",
        "outside-folder": "..",
        "near": "../modelx",
        "gone": "nothing",
        "self": "self",
        "here": ".",
        "through": "a/x",
    }.items():
        (model / name).symlink_to(target)
    artifact = open_artifact(model)
    assert listed(artifact) == {"a": "1"}
    assert obstacles(artifact) == [
        ("gone", "link-broken"),
        ("here", "link-cycle"),
        ("near", "link-outside"),
        ("out", "link-outside"),
        ("outside-folder", "link-outside"),
        ("self", "link-cycle"),
        ("through", "link-broken"),
    ]


def test_links_can_be_refused_or_all_followed(tmp_path: Path) -> None:
    write(tmp_path, secret="s", model__a="1")
    (tmp_path / "model/out").symlink_to("../secret")
    (tmp_path / "model/in").symlink_to("a")
    assert obstacles(open_artifact(tmp_path / "model", links=Links.REFUSE)) == [
        ("in", "link-refused"),
        ("out", "link-refused"),
    ]
    assert listed(open_artifact(tmp_path / "model", links=Links.FOLLOW)) == {"a": "1", "in": "1", "out": "s"}


@pytest.mark.parametrize("links", [Links.INSIDE, Links.FOLLOW])
def test_circles_of_folders_end(tmp_path: Path, links: Links) -> None:
    write(tmp_path, a__x="1", b__y="2")
    (tmp_path / "a/to-b").symlink_to("../b")
    (tmp_path / "b/to-a").symlink_to("../a")
    artifact = open_artifact(tmp_path, links=links)
    assert sorted(listed(artifact)) == ["a/to-b/y", "a/x", "b/to-a/x", "b/y"]
    assert obstacles(artifact) == [("a/to-b/to-a", "link-cycle"), ("b/to-a/to-b", "link-cycle")]


def test_links_that_fan_out_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten folders with eight links each to the next would be a thousand million paths."""
    monkeypatch.setattr(local, "MAX_LINKED", 500)
    for depth in range(10):
        (tmp_path / f"d{depth}").mkdir()
        for i in range(8):
            (tmp_path / f"d{depth}" / f"l{i}").symlink_to(f"../d{depth + 1}")
    write(tmp_path, d10__f="1")
    artifact = open_artifact(tmp_path)
    assert len(artifact.members) < 1000
    assert len(artifact.obstacles) < 1000
    assert {code for _, code in obstacles(artifact)} == {"limit-members"}


def test_a_hub_cache_snapshot(tmp_path: Path) -> None:
    cache = tmp_path / "models--acme--tiny"
    snapshot = cache / "snapshots" / "0123abc"
    write(cache, blobs__aa="weights", blobs__bb="config")
    write(tmp_path, outside="secret")
    snapshot.mkdir(parents=True)
    (snapshot / "sub").mkdir()
    (snapshot / "model.safetensors").symlink_to("../../blobs/aa")
    (snapshot / "sub/config.json").symlink_to("../../../blobs/bb")
    (snapshot / "evil").symlink_to("../../../outside")
    artifact = open_artifact(snapshot)
    assert listed(artifact) == {"model.safetensors": "weights", "sub/config.json": "config"}
    assert obstacles(artifact) == [("evil", "link-outside")]
    assert artifact.members[0].link == "../../blobs/aa"
    assert listed(open_artifact(snapshot / "sub")) == {"config.json": "config"}
    assert listed(open_artifact(snapshot / "model.safetensors")) == {"model.safetensors": "weights"}


def test_a_model_cannot_widen_what_its_links_may_reach(tmp_path: Path) -> None:
    """A folder inside the model that is called like a Hub cache is nothing special."""
    write(tmp_path, secret="s")
    snapshot = tmp_path / "model/models--x/snapshots/rev"
    snapshot.mkdir(parents=True)
    (snapshot / "f").symlink_to("../../../../secret")
    assert obstacles(open_artifact(tmp_path / "model")) == [("models--x/snapshots/rev/f", "link-outside")]


def test_the_model_itself_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path, real__a="1", f="2")
    (tmp_path / "model").symlink_to("real")
    (tmp_path / "file").symlink_to("f")
    (tmp_path / "real/up").symlink_to("../f")
    artifact = open_artifact(tmp_path / "model")
    assert (artifact.name, listed(artifact), obstacles(artifact)) == (
        "model",
        {"a": "1"},
        [("up", "link-outside")],
    )
    single = open_artifact(tmp_path / "file")
    assert (single.name, listed(single)) == ("file", {"file": "2"})


def test_files_behind_linked_folders_are_held_to_their_inode(tmp_path: Path) -> None:
    write(tmp_path, real__a="1", other__a="2")
    (tmp_path / "to").symlink_to("real")
    artifact = open_artifact(tmp_path)
    (tmp_path / "to").unlink()
    (tmp_path / "to").symlink_to("other")
    assert listed(artifact) == {"other/a": "2", "real/a": "1", "to/a": "1"}


def test_listing_is_linear(tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / f"{number}").touch()
    started = time.process_time()
    assert len(open_artifact(tmp_path).members) == 2000
    assert time.process_time() - started < 1


def test_a_folder_exchanged_while_it_is_listed_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between meeting a folder and listing it, somebody puts a link in its place."""
    write(tmp_path, model__sub__f="mine", model__z="1", secret__f="secret")
    real = local._Walk._list
    done = []

    def exchange(walk: local._Walk, folder: local._Folder) -> list[local._Folder]:
        if folder.prefix == "sub/" and not done:
            (tmp_path / "model/sub").rename(tmp_path / "gone")
            if how == "link":
                (tmp_path / "model/sub").symlink_to("../secret")
            else:
                (tmp_path / "secret").rename(tmp_path / "model/sub")
            done.append(folder)
        return real(walk, folder)

    monkeypatch.setattr(local._Walk, "_list", exchange)
    for how, code in (("link", "unreadable"), ("folder", "file-changed")):
        artifact = open_artifact(tmp_path / "model")
        assert listed(artifact) == {"z": "1"}
        assert obstacles(artifact) == [("sub", code)]
        if how == "link":
            (tmp_path / "model/sub").unlink()
            (tmp_path / "gone").rename(tmp_path / "model/sub")
            done.clear()


def test_a_root_with_a_slash_and_one_that_is_the_system() -> None:
    assert local._allowed_root("/") == "/"
    assert local._within("/etc/x", "/")
