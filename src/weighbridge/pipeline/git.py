"""What git knows of the code: the commit, whether files differ from it, where it was fetched from.

`git` is asked with nothing of the repository's own configuration: hooks, file system monitors and filters of a repository
are programs of whoever made it. So the state of the files is asked through a git folder of our own, which borrows
the objects and a copy of the index. Where git then cannot tell, the code counts as changed.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from weighbridge.attest.predicates.training import Git
from weighbridge.core.pattern import late
from weighbridge.core.value import dataclass
from weighbridge.pipeline.redact import text as redacted

SECONDS = 20.0
MAX_DEPTH = 8
"""Repositories inside repositories."""
MAX_POINTER = 4096
_COMMIT = late(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
SAFE = (
    "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.untrackedCache=false",
    "-c", "core.pager=cat", "-c", "core.sshCommand=false", "-c", "protocol.allow=never", "-c", "diff.external=",
    "-c", "core.attributesFile=/dev/null", "--no-pager", "--no-optional-locks", "--literal-pathspecs",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The repository that a run was started in."""

    top: Path
    git: Git


def look(folder: Path, ignored: Sequence[Path] = (), *, untracked: bool = True) -> Code | None:
    """The repository around `folder`; None where there is none or git is not installed. Never raises.

    `ignored`: what may differ, since it is measured as a material or product. Files that git does not know count as a
    difference, but for those that it is told to ignore.
    """
    found = _repository(folder)
    program = shutil.which("git")
    if found is None or program is None:
        return None
    top, repository = found
    commit = _ask(program, repository, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if commit is None or not _COMMIT.match(commit):
        commit = _ask(program, repository, "rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None or not _COMMIT.match(commit):
        return None
    remote = _ask(program, repository, "config", "--get", "remote.origin.url") or ""
    inside = tuple(place.relative_to(top) for place in map(_real, ignored) if place.is_relative_to(top))
    dirty = Path() in inside or _differs(program, top, repository, commit, inside, untracked)
    return Code(top=top, git=Git(commit=commit, dirty=dirty, remote=redacted(remote)[:1000]))


def knows(code: Code, file: Path) -> bool:
    """Whether a file is one that the commit holds: not ignored, not new."""
    program, found = shutil.which("git"), _repository(code.top)
    place = _real(file)
    if program is None or found is None or not place.is_relative_to(code.top):
        return False
    name = place.relative_to(code.top).as_posix()
    listed = _ask(
        program, found[1], "ls-tree", "--name-only", "-z", code.git.commit, "--", name, top=code.top
    )
    return bool(listed) and listed == name + "\0"


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _repository(folder: Path) -> tuple[Path, Path] | None:
    """(top of the working tree, git folder), looked for upward without asking git, which would read configurations."""
    place = _real(folder)
    for top in (place, *place.parents):
        dot = top / ".git"
        if dot.is_dir():
            return top, dot
        if dot.is_file():
            with dot.open("rb") as file:
                pointer = os.fsdecode(file.read(MAX_POINTER)).strip()
            target = _real(top / pointer.removeprefix("gitdir:").strip())
            return (top, target) if pointer.startswith("gitdir:") and target.is_dir() else None
    return None


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C",
    }  # fmt: skip


def _ask(program: str, repository: Path, *words: str, top: Path | None = None, **more: str) -> str | None:
    """One question to git; None where it has no answer."""
    command = [program, *SAFE, f"--git-dir={repository}", *([f"--work-tree={top}"] if top else []), *words]
    try:
        done = subprocess.run(
            command, env=_environment() | more, cwd=top or "/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, timeout=SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    answer = os.fsdecode(done.stdout)
    return answer if "-z" in words else answer.strip()


def _differs(
    program: str,
    top: Path,
    repository: Path,
    commit: str,
    inside: Sequence[Path],
    untracked: bool,
    depth: int = 0,
) -> bool:
    """Whether the files differ from the commit, asked through a git folder without anybody's configuration."""
    objects = _ask(program, repository, "rev-parse", "--path-format=absolute", "--git-path", "objects")
    index = repository / "index"
    if objects is None or not index.is_file() or depth > MAX_DEPTH:
        return True
    with tempfile.TemporaryDirectory(prefix="weighbridge-git-") as folder:
        own = Path(folder)
        _lay(own, repository, index, commit)
        borrowed = {"GIT_OBJECT_DIRECTORY": objects, "GIT_INDEX_FILE": str(own / "index")}
        which = "normal" if untracked else "no"
        status = _ask(
            program, own, "status", "--porcelain=v1", "-z", f"--untracked-files={which}", "--ignore-submodules=dirty",
            "--no-renames", top=top, **borrowed,
        )  # fmt: skip
        links = _ask(program, own, "ls-files", "--stage", "-z", top=top, **borrowed)
    if status is None or links is None:
        return True
    if any(not _is_inside(name, inside, top) for name in _names(status)):
        return True
    return any(_submodule_differs(program, top / name, inside, untracked, depth) for name in _gitlinks(links))


def _lay(own: Path, repository: Path, index: Path, commit: str) -> None:
    """A git folder that knows this commit, this index and what the repository ignores, and nothing else."""
    for name in ("objects", "refs", "info"):
        (own / name).mkdir()
    (own / "HEAD").write_text(commit + "\n")
    version, extension = (1, "[extensions]\n\tobjectFormat = sha256\n") if len(commit) == 64 else (0, "")
    (own / "config").write_text(f"[core]\n\trepositoryformatversion = {version}\n\tbare = false\n{extension}")
    shutil.copy2(index, own / "index")
    common = repository / "commondir"
    base = _real(repository / common.read_text().strip()) if common.is_file() else repository
    if (base / "info" / "exclude").is_file():
        shutil.copyfile(base / "info" / "exclude", own / "info" / "exclude")


def _names(status: str) -> Iterator[str]:
    """Paths of `status --porcelain=v1 -z` without renames: two letters, a blank, a path."""
    for row in status.split("\0"):
        if len(row) > 3:
            yield row[3:]


def _is_inside(name: str, inside: Sequence[Path], top: Path) -> bool:
    """Whether a path is, or holds nothing but, what may differ."""
    path = Path(name)
    if any(path.is_relative_to(place) for place in inside):
        return True
    below = [place for place in inside if place.is_relative_to(path)] if name.endswith("/") else []
    return bool(below) and all(
        any(Path(here, file).relative_to(top).is_relative_to(place) for place in below)
        for here, _, files in os.walk(top / path)
        for file in files
    )


def _gitlinks(listed: str) -> Iterator[str]:
    for row in listed.split("\0"):
        if row.startswith("160000 "):
            yield row.partition("\t")[2]


def _submodule_differs(program: str, top: Path, inside: Sequence[Path], untracked: bool, depth: int) -> bool:
    """A repository inside is asked in the same way; one that is not checked out has no files that could differ."""
    found = _repository(top) if (top / ".git").exists() else None
    if found is None:
        return False
    commit = _ask(program, found[1], "rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None or not _COMMIT.match(commit):
        return True
    return _differs(program, found[0], found[1], commit, (), untracked, depth + 1)
