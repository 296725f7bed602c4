"""Publishing: writes what a log has become as files, tiles and bundles first, the signed checkpoint last.

Whoever reads sees the old log or the new one, whole, whenever the writer dies. What is signed is kept in the sequencer's
database before anybody sees it. A target that is ahead of the database, or contradicts it, is never written over: then
one of them was put back from an old copy, and a log that goes on from there would fork.
"""

from collections.abc import Iterable, Iterator

from weighbridge.core.errors import BrokenError, InputError, UsageError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.tlog.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from weighbridge.tlog.cosign import Cosigner, cosign
from weighbridge.tlog.merkle import WIDTH, bundle_path, tiles_of
from weighbridge.tlog.note import NoteSigner, read_note, sign_note, write_note
from weighbridge.tlog.policy import LogPolicy, trust_checkpoint
from weighbridge.tlog.sequencer import Sequencer
from weighbridge.tlog.targets import CHECKPOINT, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was put where everybody sees it."""

    checkpoint: Checkpoint
    note: bytes
    files: int
    """Tiles and bundles that were written."""
    refused: tuple[str, ...] = ()
    """Why witnesses that were asked did not cosign."""


def publish(
    sequencer: Sequencer,
    target: Target,
    signers: Iterable[NoteSigner],
    *,
    now: int,
    cosigners: Iterable[Cosigner] = (),
    policy: LogPolicy | None = None,
) -> Published:
    """Make the target what the sequencer is at this moment. With `policy`, only a checkpoint that meets it is shown.

    Also without new entries: the new checkpoint then carries a new time. Raises `InputError`: `log-rollback`, `log-fork`,
    `log-damaged`, `log-quorum`; `UsageError` (`log-origin`); `BrokenError` (`busy` where another one published
    meanwhile, `disk`, `network`).
    """
    before = target.read(CHECKPOINT)
    old = _standing(sequencer, before)
    head = sequencer.head()
    tree = sequencer.tree(head.size)
    for known in (old, _own(sequencer.signed)):
        if known is not None:
            _refuse_other(known, sequencer, head.size)
    files = target.put(_files(sequencer, head.size, old.size if old else 0))
    checkpoint = Checkpoint(origin=sequencer.origin, size=head.size, root=head.root)
    signed = sign_note(write_checkpoint(checkpoint), signers, now)
    sequencer.keep_signed(write_note(signed))
    cosigned, refused = cosign(signed, tree, cosigners)
    note = write_note(cosigned)
    if policy is not None:
        _refuse_unwatched(policy, note, now, refused)
    if not target.swap(before, note):
        raise BrokenError("busy", "another process published this log at the same time", "publish again")
    _drop_partials(target, head.size, old.size if old else 0)
    return Published(checkpoint=checkpoint, note=note, files=files, refused=refused)


def _refuse_unwatched(policy: LogPolicy, note: bytes, now: int, refused: tuple[str, ...]) -> None:
    try:
        trust_checkpoint(policy, note, now)
    except InputError as error:
        raise InputError(error.code, "; ".join((error.message, *refused))) from None


def _standing(sequencer: Sequencer, note: bytes | None) -> Checkpoint | None:
    """The checkpoint that is there; None where it is missing or torn, and then all files are looked at again."""
    if note is None:
        return None
    try:
        checkpoint = read_checkpoint(read_note(note).text)
    except InputError:
        return None
    if checkpoint.origin != sequencer.origin:
        raise UsageError("log-origin", f'the log "{visible(checkpoint.origin)}" is published there')
    return checkpoint


def _own(note: bytes | None) -> Checkpoint | None:
    return None if note is None else read_checkpoint(read_note(note).text)


def _refuse_other(known: Checkpoint, sequencer: Sequencer, size: int) -> None:
    if known.size > size:
        raise InputError(
            "log-rollback",
            f"a log of {known.size} entries was signed, and the database has {size}: it is an old copy",
        )
    if sequencer.tree(known.size).root() != known.root:
        raise InputError("log-fork", f"the first {known.size} entries are not those that were signed")


def _files(sequencer: Sequencer, size: int, old: int) -> Iterator[tuple[str, bytes]]:
    for tile in tiles_of(size, old):
        if tile.level == 0:
            yield bundle_path(tile.number, tile.width), sequencer.bundle(tile.number, tile.width)
        yield tile.path, sequencer.tile(tile)


def _drop_partials(target: Target, size: int, old: int) -> None:
    """Of tiles that became full; readers of an older checkpoint find the full one."""
    for tile in tiles_of(size, old):
        if tile.width == WIDTH:
            target.drop_partial(tile.path)
            if tile.level == 0:
                target.drop_partial(bundle_path(tile.number))


def repair(sequencer: Sequencer, target: Target) -> int:
    """Compare every published file with what the entries give, and write those anew that are lost or torn; how many.

    Raises `InputError`: `log-damaged`, `log-rollback`, `log-fork`.
    """
    sequencer.rebuild()
    head = sequencer.head()
    known = _own(sequencer.signed)
    if known is None:
        return 0
    _refuse_other(known, sequencer, head.size)
    return target.put(_files(sequencer, known.size, 0))
