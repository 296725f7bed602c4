"""Log policy: which logs are known, which witnesses, and how many of them must have cosigned (C2SP tlog-policy).

    log example.com/models+3f1c…+AQ… https://example.com/models
    witness north north.example/w+9a…+BA…
    witness south south.example/w+71…+BA…
    group both all north south
    quorum both

Judges a checkpoint from bytes, keys and a time alone. Whether it is newer than the last one that was seen is `client`'s
matter.
"""

from collections.abc import Iterable, Mapping

from weighbridge.core.errors import InputError, TrustError
from weighbridge.core.text import some, visible
from weighbridge.core.value import dataclass
from weighbridge.tlog.checkpoint import Checkpoint, read_checkpoint
from weighbridge.tlog.note import Kind, Signed, VerifierKey, read_note, read_vkey, verify_note

MAX_POLICY = 1024 * 1024
MAX_LINES = 1024
NONE = "none"
CLOCK_SKEW = 300
"""Seconds by which a cosignature may be ahead of our clock."""
_BAD = "bad-log-policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLog:
    """A log whose checkpoints are believed, as far as the quorum cosigned them."""

    key: VerifierKey
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWitness:
    """A witness under the name that it has in this policy."""

    name: str
    key: VerifierKey
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Has witnessed what at least `needed` of its members have."""

    name: str
    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPolicy:
    """The whole of a policy file."""

    logs: tuple[KnownLog, ...]
    witnesses: tuple[KnownWitness, ...] = ()
    groups: tuple[Group, ...] = ()
    """Each after the groups that it names."""
    quorum: str = NONE
    """The name of a witness or group, or `none`."""

    def is_met(self, cosigned: Iterable[str]) -> bool:
        """Whether these witnesses are enough."""
        met = set(cosigned)
        for group in self.groups:
            if sum(member in met for member in group.members) >= group.needed:
                met.add(group.name)
        return self.quorum == NONE or self.quorum in met

    def quorum_time(self, times: Mapping[str, int]) -> int | None:
        """The latest moment at which enough witnesses had vouched; None without a quorum, or where it is not met."""
        if self.quorum == NONE:
            return None
        for moment in sorted(set(times.values()), reverse=True):
            if self.is_met(name for name, time in times.items() if time >= moment):
                return moment
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """A checkpoint that a known log signed and enough witnesses cosigned."""

    checkpoint: Checkpoint
    note: bytes
    """As it came, signatures included."""
    log: KnownLog
    witnesses: tuple[tuple[str, int], ...]
    """(name in the policy, time that it gives), sorted."""
    time: int | None
    """When enough witnesses had vouched that this is the newest they know; None without a quorum."""


def trust_checkpoint(policy: LogPolicy, data: bytes, now: int | None = None) -> Trusted:
    """Judge a checkpoint's signatures. Without `now`, cosignatures from the future are not refused.

    Raises `InputError`: `bad-note`, `bad-checkpoint`, `bad-note-signature`, `log-unsigned`, `log-quorum`.
    """
    note = read_note(data, "the checkpoint")
    checkpoint = read_checkpoint(note.text)
    logs = {log.key: log for log in policy.logs if log.key.name == checkpoint.origin}
    witnesses = {witness.key: witness for witness in policy.witnesses}
    signed = verify_note(note, [*logs, *witnesses])
    signer = next((logs[one.key] for one in signed if one.key in logs), None)
    if signer is None:
        raise InputError(
            "log-unsigned", f'no known log signed this head of "{visible(checkpoint.origin, 100)}"'
        )
    times = _times(signed, {key: witness.name for key, witness in witnesses.items()}, now)
    if not policy.is_met(times):
        who = some(sorted(times)) or "no witness"
        raise InputError(
            "log-quorum", f'only {who} cosigned, which is not the quorum "{visible(policy.quorum)}"'
        )
    return Trusted(
        checkpoint=checkpoint,
        note=data,
        log=signer,
        witnesses=tuple(sorted(times.items())),
        time=policy.quorum_time(times),
    )


def _times(signed: Iterable[Signed], names: Mapping[VerifierKey, str], now: int | None) -> dict[str, int]:
    """Witness and time; one that speaks from the future does not count."""
    latest = None if now is None else now + CLOCK_SKEW
    return {
        names[one.key]: one.time
        for one in signed
        if one.key in names and one.time is not None and (latest is None or one.time <= latest)
    }


def read_policy(data: bytes, what: str = "the log policy") -> LogPolicy:
    """Strict. Raises `TrustError`: `bad-log-policy`, `bad-vkey`."""
    if len(data) > MAX_POLICY or data.count(b"\n") > MAX_LINES:
        raise TrustError(_BAD, f"{what} is too long")
    if data and not data.endswith(b"\n"):
        raise TrustError(_BAD, f"{what} does not end with a newline")
    if any((byte < 0x20 and byte not in b"\t\n") or byte == 0x7F for byte in data):
        raise TrustError(_BAD, f"{what} has control characters")
    reader = _Reader(what)
    # Names are opaque octets to the specification; surrogateescape keeps every one of them apart.
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        words = [word for word in line.replace("\t", " ").split(" ") if word]
        if words and not words[0].startswith("#"):
            reader.take(number, words)
    return reader.policy()


class _Reader:
    """What the lines so far have said."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.logs: list[KnownLog] = []
        self.witnesses: list[KnownWitness] = []
        self.groups: list[Group] = []
        self.names: set[str] = set()
        self.members: set[str] = set()
        self.quorum: str | None = None

    def take(self, number: int, words: list[str]) -> None:
        match words:
            case ["log", key, *url] if len(url) < 2:
                self._log(number, read_vkey(key), "".join(url))
            case ["witness", name, key, *url] if len(url) < 2:
                self._witness(number, name, read_vkey(key), "".join(url))
            case ["group", name, needed, first, *more]:
                self._group(number, name, needed, (first, *more))
            case ["quorum", name]:
                self._quorum(number, name)
            case _:
                raise self._bad(number, f'"{visible(words[0], 40)}" cannot be read')

    def policy(self) -> LogPolicy:
        if self.quorum is None:
            raise TrustError(_BAD, f"{self.what} has no quorum line", "quorum none")
        logs, witnesses, groups = tuple(self.logs), tuple(self.witnesses), tuple(self.groups)
        return LogPolicy(logs=logs, witnesses=witnesses, groups=groups, quorum=self.quorum)

    def _log(self, number: int, key: VerifierKey, url: str) -> None:
        if key.kind is Kind.COSIGNATURE:
            raise self._bad(number, "this is a witness's key, not a log's")
        if any(log.key.key == key.key for log in self.logs):
            raise self._bad(number, "this log's key stands here twice")
        if any(witness.key.key == key.key for witness in self.witnesses):
            raise self._bad(number, "a log cannot be its own witness")
        self.logs.append(KnownLog(key=key, url=url))

    def _witness(self, number: int, name: str, key: VerifierKey, url: str) -> None:
        if key.kind is Kind.ED25519:
            raise self._bad(number, "this is a log's key, not a witness's")
        if any(witness.key.key == key.key for witness in self.witnesses):
            raise self._bad(number, "this witness's key stands here twice")
        if any(log.key.key == key.key for log in self.logs):
            raise self._bad(number, "a log cannot be its own witness")
        self._name(number, name)
        self.witnesses.append(KnownWitness(name=name, key=key, url=url))

    def _group(self, number: int, name: str, needed: str, members: tuple[str, ...]) -> None:
        for member in members:
            if member not in self.names:
                raise self._bad(number, f'"{visible(member, 60)}" is not defined above')
            if member in self.members:
                raise self._bad(number, f'"{visible(member, 60)}" is in a group already')
            self.members.add(member)
        counts = {"any": 1, "all": len(members)}
        count = counts.get(needed) or (int(needed) if needed.isascii() and needed.isdigit() else 0)
        if not 1 <= count <= len(members):
            raise self._bad(number, f'"{visible(needed, 20)}" of {len(members)} cannot be')
        self._name(number, name)
        self.groups.append(Group(name=name, needed=count, members=members))

    def _quorum(self, number: int, name: str) -> None:
        if self.quorum is not None:
            raise self._bad(number, "a policy has one quorum line")
        if name != NONE and name not in self.names:
            raise self._bad(number, f'"{visible(name, 60)}" is not defined above')
        self.quorum = name

    def _name(self, number: int, name: str) -> None:
        if name in self.names or name == NONE:
            raise self._bad(number, f'"{visible(name, 60)}" is taken')
        self.names.add(name)

    def _bad(self, number: int, why: str) -> TrustError:
        return TrustError(_BAD, f"line {number} of {self.what}: {why}")


def write_policy(policy: LogPolicy) -> bytes:
    """The file; `read_policy(write_policy(p)) == p`."""
    lines = [f"log {log.key} {log.url}".rstrip() for log in policy.logs]
    lines += [f"witness {one.name} {one.key} {one.url}".rstrip() for one in policy.witnesses]
    lines += [f"group {group.name} {group.needed} {' '.join(group.members)}" for group in policy.groups]
    return "".join(f"{line}\n" for line in (*lines, f"quorum {policy.quorum}")).encode(
        "utf-8", "surrogateescape"
    )
