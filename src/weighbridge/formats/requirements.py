"""Requirements: the lines by which an installer is told what to fetch, from every file that tools read them from.

`requirements*.txt`, `pyproject.toml`, `setup.cfg`, `Pipfile`, conda and MLflow environments and BentoML files each have
their own place for them; the result is one list of lines as pip would see them. Nothing is resolved or fetched.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from weighbridge.core.pattern import late
from weighbridge.formats.json import Path, walk

NAMES = late(
    r"(?i)(^|/)(pyproject\.toml|setup\.cfg|pipfile|uv\.toml|pip\.conf|pip\.ini|\.condarc)$",
    needs=("pyproject", "setup.cfg", "pipfile", "uv.toml", "pip.", ".condarc"),
)
"""Text files other than `requirements*.txt` that hold requirements."""
_LISTS = frozenset(
    ["requirements", "requires", "install_requires", "dependencies", "build_dependencies", "pip", "packages", "conda_packages", "pip_packages", "python_packages", "conda_dependencies", "pip_dependencies", "setup_requires", "tests_require", "extras_require", "extra_pip_requirements", "pip_requirements"]
)  # fmt: skip
_OPTIONS = {
    "index_url": "--index-url", "index-url": "--index-url", "extra_index_url": "--extra-index-url", "extra-index-url": "--extra-index-url",
    "trusted_host": "--trusted-host", "trusted-host": "--trusted-host", "find_links": "--find-links", "find-links": "--find-links",
}  # fmt: skip
MAX_LINES = 20_000


class Requirement(NamedTuple):
    """One line as an installer sees it."""

    text: str
    line: int
    """In the file, from 1; 0 where it is not known."""


_INDEX = late(r"pypi\.org")
"""The index that pip asks anyway."""


def from_text(text: str) -> Iterator[Requirement]:
    """A requirements file: comments away, continued lines joined."""
    pending, start = "", 0
    for number, line in enumerate(text.splitlines()[:MAX_LINES], 1):
        start = start or number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        stated = re.split(r"(?:^|\s)#", pending + line, maxsplit=1)[0].strip()
        if stated:
            yield Requirement(stated, start)
        pending, start = "", 0


def from_named(text: str, basename: str) -> Iterator[Requirement]:
    """`pyproject.toml` and its relatives; nothing where the file is not what its name says."""
    name = basename.lower()
    found: Iterable[str] = ()
    if name.endswith(".toml") or name == "pipfile":
        import tomllib  # few texts are named so

        try:
            found = from_toml(tomllib.loads(text))
        except (tomllib.TOMLDecodeError, RecursionError, ValueError):
            found = ()
    elif name != ".condarc":
        found = _from_ini(text)
    for stated in list(dict.fromkeys(found))[:MAX_LINES]:
        yield Requirement(stated, _line(text, stated))


def from_toml(value: dict[str, Any]) -> Iterator[str]:
    """Requirements of every tool's table."""
    for path, item in walk(value):
        key = str(path[-1]) if path else ""
        if code := _builds_with(path, item):
            yield f"./{code} (code of its own that runs when it is built)"
        elif isinstance(item, str) and len(path) > 1 and isinstance(path[-1], int) and _in_list(path):
            yield item
        elif isinstance(item, str) and key in ("url", "path", "git", "file", "editable"):
            yield from _source(path, key, item)
        elif isinstance(item, str) and key in _OPTIONS:
            yield f"{_OPTIONS[key]} {item}"


def _builds_with(path: Path, item: Any) -> str:
    """Code beside `pyproject.toml` that a build runs: a backend in the tree, hooks and scripts of build tools."""
    steps = [str(step) for step in path]
    if steps[:2] == ["build-system", "backend-path"] and isinstance(item, str):
        return item
    if steps[-2:] == ["hooks", "custom"] and isinstance(item, dict):
        return str(item.get("path", "hatch_build.py"))
    scripts = (["poetry", "build"], ["poetry", "build", "script"], ["build", "custom-hook"])
    return item if isinstance(item, str) and (steps[1:] in scripts or steps[-2:] in scripts) else ""


def _in_list(path: Path) -> bool:
    """Whether an item stands in a list of requirements: `project.dependencies`, `build-system.requires`, extras."""
    return any(
        str(step) in _LISTS or str(step) in ("optional-dependencies", "dependency-groups")
        for step in path[:-1]
    )


def _source(path: Path, key: str, item: str) -> Iterator[str]:
    if any(step in ("index", "source", "indexes") for step in path):
        yield f"--extra-index-url {item}" if key == "url" and not _INDEX.search(item) else ""
    elif any("dependencies" in str(step) or step in ("packages", "dev-packages", "sources") for step in path):
        name = next((str(step) for step in reversed(path[:-1]) if isinstance(step, str)), "x")
        yield f"{name} @ {'git+' if key == 'git' and not item.startswith('git') else ''}{item}"


def _from_ini(text: str) -> Iterator[str]:
    import configparser  # few texts are named so

    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text[:1_000_000])
    except configparser.Error:
        return
    for section in parser.sections():
        for key, value in parser.items(section):
            if key in _LISTS or section == "options.extras_require":
                yield from (line.strip() for line in str(value).splitlines() if line.strip())
            elif key in _OPTIONS:
                yield from (
                    f"{_OPTIONS[key]} {line.strip()}" for line in str(value).splitlines() if line.strip()
                )
            elif key == "dependency_links":
                yield from (
                    f"--find-links {line.strip()}" for line in str(value).splitlines() if line.strip()
                )


def from_tree(value: Any) -> Iterator[tuple[Path, str]]:
    """Environments in YAML or JSON: conda's `dependencies` with `pip`, MLflow's, BentoML's `python.packages`."""
    for path, item in walk(value):
        if not isinstance(item, dict):
            continue
        for key, inner in item.items():
            if key in _LISTS and isinstance(inner, list):
                yield from (
                    ((*path, key, index), text) for index, text in enumerate(inner) if isinstance(text, str)
                )
            elif key == "channels" and isinstance(inner, list):
                yield from (
                    ((*path, key, i), f"--extra-index-url {t}")
                    for i, t in enumerate(inner)
                    if isinstance(t, str) and "://" in t
                )
            elif key in _OPTIONS and isinstance(inner, str):
                yield (*path, key), f"{_OPTIONS[key]} {inner}"
            elif key in _OPTIONS and isinstance(inner, list):
                yield from (
                    ((*path, key, i), f"{_OPTIONS[key]} {t}")
                    for i, t in enumerate(inner)
                    if isinstance(t, str)
                )


def _line(text: str, stated: str) -> int:
    at = text.find(stated.rpartition(" ")[2])
    return text.count("\n", 0, at) + 1 if at >= 0 else 0
