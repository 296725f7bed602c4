"""Where a configuration is looked for: the nearest one upward, never inside the model, never one that a stranger left.

Settings that come with a model are not read, whatever they say: the weighed may not set the scale. That holds for the
search, for a path that somebody gave, and for what a file extends.
"""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from weighbridge.core.errors import BrokenError, UsageError
from weighbridge.core.text import visible

NAME = "weighbridge.toml"

Models = str | Path | Sequence[str | Path] | None
"""What is weighed: one path, or all of them. Whoever weighs several must name each, since any may bring a policy."""


def find_policy(start: str | Path, *, model: Models = None) -> Path | None:
    """The nearest `weighbridge.toml`, or `pyproject.toml` with `[tool.weighbridge]`, from `start` up to `.git`.

    Where `start` lies inside the model, the search begins above it; the folder of a one-file model counts as the
    model, since whoever brought the file may have brought its neighbours. Raises `UsageError` (`policy-of-stranger`).
    """
    folder: Path | None = Path(start).resolve()
    roots = _roots(model)
    while folder is not None:
        holder = next((root for root in roots if folder.is_relative_to(root)), None)
        if holder is not None:
            folder = holder.parent if holder != holder.parent else None
            continue
        found = _in_folder(folder)
        if found is not None:
            _refuse_strangers(found)
            return found
        if (folder / ".git").exists() or folder == folder.parent:
            return None
        folder = folder.parent
    return None


def ignored_policy(model: str | Path) -> Path | None:
    """A configuration that came with the model and is therefore not read; doors say so aloud."""
    return next((found for root in _roots(model) if (found := _in_folder(root)) is not None), None)


def refuse_inside(path: Path, model: Models) -> None:
    """Raises `UsageError` (`policy-inside-model`) for a file that lies in a model's folder, by link or by name."""
    folders = [one for one in _each(model) if one.is_dir()]
    if not folders:
        return
    places = (path.resolve(), _as_written(path))
    roots = [root for one in folders for root in (one.resolve(), _as_written(one))]
    if any(place.is_relative_to(root) for place in places for root in roots):
        raise UsageError(
            "policy-inside-model",
            f'"{visible(str(path))}" lies inside the model, and a model may not choose what it is judged by',
            "copy it out of the model, look at it, and give that path to --policy",
        )


def table_of(path: Path) -> dict[str, Any] | None:
    """The raw tables of a file: all of it, or `[tool.weighbridge]` of a pyproject.toml (None when it has none).

    Raises `UsageError` (`no-such-policy`, `bad-toml`) and `BrokenError` (`unreadable`).
    """
    from weighbridge.policy.document import parse_toml  # the TOML reader is only for those who have a file

    tables = parse_toml(_read(path), str(path))
    if path.name != "pyproject.toml":
        return tables
    tool = tables.get("tool", {})
    own = tool.get("weighbridge") if isinstance(tool, dict) else None
    if own is not None and not isinstance(own, dict):
        raise UsageError("bad-value", f'"tool.weighbridge" in "{visible(str(path))}" must be a table')
    return own


def _as_written(path: Path) -> Path:
    """The absolute path with `..` worked out and no link followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the links


def _each(model: Models) -> list[Path]:
    if model is None:
        return []
    return [Path(model)] if isinstance(model, str | Path) else [Path(one) for one in model]


def _roots(model: Models) -> list[Path]:
    """The folders that came with the models; none where there is no local model."""
    found = [one.resolve() for one in _each(model) if one.exists()]
    return [root if root.is_dir() else root.parent for root in found]


def _in_folder(folder: Path) -> Path | None:
    own = folder / NAME
    if own.is_file():
        return own
    project = folder / "pyproject.toml"
    with suppress(UsageError, BrokenError):  # somebody else's broken pyproject.toml is not ours to report
        if project.is_file() and _may_name_us(project) and table_of(project) is not None:
            return project
    return None


def _may_name_us(project: Path) -> bool:
    """Most do not, and need no TOML reader; a key may be written with escapes."""
    data = _read(project)
    return b"weighbridge" in data or b"\\" in data


def _refuse_strangers(path: Path) -> None:
    """In a folder that everybody may write to (`/tmp`), only our own or root's file is believed."""
    folder, own = path.parent.stat(), path.stat()
    if folder.st_mode & stat.S_IWOTH and own.st_uid not in (os.geteuid(), 0):
        raise UsageError(
            "policy-of-stranger",
            f'"{visible(str(path))}" belongs to somebody else in a folder that everybody may write to',
            "name a file you trust: --policy FILE",
        )


def _read(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError("no-such-policy", f'"{visible(str(path))}" is not a file')
        with path.open("rb") as file:
            from weighbridge.policy.document import MAX_DOCUMENT

            return file.read(MAX_DOCUMENT + 1)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise UsageError("no-such-policy", f'there is no policy file "{visible(str(path))}"') from None
    except OSError as error:
        raise BrokenError("unreadable", f'"{visible(str(path))}" cannot be read: {error.strerror}') from None
