"""The folder of a log's operator: `log.toml`, its keys and its policy; and what every verb needs of the command line.

log.toml      origin, database, publish-to
log.key       the Ed25519 key that signs heads (secret)
cosign.key    the ML-DSA-44 key (secret), where there is one
log-policy    the log, its witnesses and the quorum, for everybody (C2SP tlog-policy)
"""

import argparse
import os
import tomllib
from pathlib import Path

from weighbridge.core.durable import make_folder, write_file
from weighbridge.core.errors import UsageError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.store import read_beside
from weighbridge.tlog.note import NoteSigner, read_signer
from weighbridge.tlog.policy import MAX_POLICY, LogPolicy, read_policy
from weighbridge.tlog.sequencer import Sequencer

CONFIG, POLICY = "log.toml", "log-policy"
KEYS = ("log.key", "cosign.key")
_MAX = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFolder:
    """What `log.toml` says."""

    folder: Path
    origin: str
    database: str
    """A path, in the folder where it is relative, or `postgresql://…`."""
    publish_to: str
    """The same, or `s3://…`."""

    def open(self) -> Sequencer:
        """The log itself."""
        return Sequencer(self.located(self.database), self.origin)

    def located(self, place: str) -> str:
        """A place of the file, as seen from here."""
        return place if "://" in place else str(self.folder / place)

    def signers(self) -> tuple[NoteSigner, ...]:
        """Its keys. Raises `UsageError` (`no-such-path`), `TrustError` (`bad-vkey`)."""
        found = [read_key(self.folder / name) for name in KEYS if (self.folder / name).exists()]
        return tuple(found) or (read_key(self.folder / KEYS[0]),)


def read_folder(folder: Path) -> LogFolder:
    """Raises `UsageError` (`no-such-path`, `bad-log-config`)."""
    data = read_beside(folder / CONFIG, _MAX)
    if data is None:
        raise UsageError(
            "no-such-path",
            f'there is no log in "{visible(str(folder))}"',
            "weighbridge log init --origin NAME --log DIR",
        )
    try:
        value = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(folder, visible(str(error), 200)) from None
    if set(value) != {"origin", "database", "publish-to"} or not all(
        isinstance(v, str) and v for v in value.values()
    ):
        raise _bad(folder, "it says origin, database and publish-to, and nothing else")
    return LogFolder(
        folder=folder, origin=value["origin"], database=value["database"], publish_to=value["publish-to"]
    )


def _bad(folder: Path, why: str) -> UsageError:
    return UsageError("bad-log-config", f'"{visible(str(folder / CONFIG))}": {why}')


def write_folder(made: LogFolder) -> None:
    """Leave `log.toml`, for its owner alone: a database's address can hold a password."""
    rows = (("origin", made.origin), ("database", made.database), ("publish-to", made.publish_to))
    quoted = [(key, text.replace("\\", "\\\\").replace('"', '\\"')) for key, text in rows]
    text = "".join(f'{key} = "{value}"\n' for key, value in quoted)
    write_file(made.folder / CONFIG, text.encode(), mode=0o600, overwrite=False)


def read_key(path: Path) -> NoteSigner:
    """A private key of a log or witness. Raises `UsageError` (`no-such-path`), `TrustError` (`bad-vkey`)."""
    data = read_beside(path, _MAX)
    if data is None:
        raise UsageError("no-such-path", f'there is no key at "{visible(str(path))}"')
    return read_signer(data.decode("ascii", "replace").strip())


def write_key(path: Path, signer: NoteSigner) -> None:
    """Leave a private key, never over another one."""
    write_file(path, f"{signer.write()}\n".encode(), mode=0o600, overwrite=False)


def load_policy(name: str | Path) -> LogPolicy:
    """Raises `UsageError` (`no-such-path`), `TrustError` (`bad-log-policy`, `bad-vkey`)."""
    data = read_beside(Path(name), MAX_POLICY)
    if data is None:
        raise UsageError("no-such-path", f'there is no log policy at "{visible(str(name))}"')
    return read_policy(data, f'"{visible(str(name))}"')


def chosen_policy(options: argparse.Namespace) -> LogPolicy:
    """`--log-policy`, else that of the log's folder. Raises also `UsageError` (`log-no-policy`)."""
    if options.log_policy:
        return load_policy(options.log_policy)
    own = Path(options.log) / POLICY if getattr(options, "log", None) else None
    if own is None or not own.exists():
        raise UsageError("log-no-policy", "nothing says which logs and witnesses count", "--log-policy FILE")
    return load_policy(own)


def marks_folder(options: argparse.Namespace) -> Path:
    """Where the newest heads that were seen are remembered: `--seen`, else beside what else this machine remembers."""
    from weighbridge.evidence.mark import state_dir

    folder = Path(options.seen) if options.seen else state_dir(os.environ, Path.home()) / "logs"
    make_folder(folder)
    return folder
