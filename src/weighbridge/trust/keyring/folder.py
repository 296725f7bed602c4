"""The folder of a keyring: where it lies, and its files, opened once and judged through the open handle.

A folder or file that everybody may write proves nothing and is refused.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from weighbridge.core.errors import TrustError
from weighbridge.core.text import visible

FILE = "trust.toml"


def keyring_dir(named: str | os.PathLike[str] | None, environment: Mapping[str, str], home: Path) -> Path:
    """The keyring that was named, else WEIGHBRIDGE_TRUST, else the one in the person's configuration folder (XDG)."""
    chosen = named or environment.get("WEIGHBRIDGE_TRUST")
    if chosen:
        return Path(chosen)
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "weighbridge" / "trust"


def refuse_inside(root: Path, model: Path) -> None:
    """By link or by name: neither may lead into the model."""
    if not model.is_dir():
        return
    places = (root.resolve(), Path(os.path.abspath(root)))  # noqa: PTH100 - resolve() would follow the links
    models = (model.resolve(), Path(os.path.abspath(model)))  # noqa: PTH100
    if any(place.is_relative_to(one) for place in places for one in models):
        raise TrustError(
            "keyring-in-model",
            f'the keyring "{visible(str(root), 200)}" lies inside the model that it should judge',
        )


def read_file(root: Path, name: str, limit: int) -> bytes:
    """A file of the keyring, opened once and judged through the open handle."""
    refuse_writable_folder(root)
    path = root / name
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        if name == FILE:
            raise _missing(root) from None
        raise TrustError(
            "keyring-file", f'the keyring names "{visible(name, 200)}", which is not there'
        ) from None
    except OSError as error:
        raise TrustError(
            "keyring-file", f'cannot read "{visible(str(path), 200)}": {error.strerror}'
        ) from None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            raise TrustError(
                "keyring-file", f'"{visible(str(path), 200)}" is no file of at most {limit} bytes'
            )
        if status.st_mode & stat.S_IWOTH:
            raise _writable(path)
        return file.read(limit + 1)


def refuse_writable_folder(root: Path) -> None:
    """Raises `TrustError` (`keyring-missing`, `keyring-writable`)."""
    try:
        mode = root.stat().st_mode
    except OSError:
        raise _missing(root) from None
    if not stat.S_ISDIR(mode):
        raise _missing(root)
    if mode & stat.S_IWOTH:
        raise _writable(root)


def _missing(root: Path) -> TrustError:
    return TrustError(
        "keyring-missing", f'there is no keyring at "{visible(str(root), 200)}"', "weighbridge trust init"
    )


def _writable(path: Path) -> TrustError:
    shown = visible(str(path), 200)
    return TrustError(
        "keyring-writable", f'everybody may write "{shown}", so it proves nothing', f"chmod o-w {shown}"
    )
