"""RELATE: what can be shown of how a model was made from others, tensor by tensor, before anybody signs that it was.

    parents, child ─measure→ sides ─pair→ rows ─judge→ kind and proof → weighbridge.transform/v1

Both sides are measured; a tensor is equal by its digest, or a cast, a quantisation or a merge that is computed again here,
in blocks. `equal-tensors` and `rederived` are said only where that holds for every tensor of the child; everything else is
`claimed`. A kind that was asked for and is not so is refused with the tensors named, since nobody should sign it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from weighbridge.attest.predicates.transform import Proof, Transform, Transformed, is_plain
from weighbridge.attest.step import Material
from weighbridge.attest.subject import is_same
from weighbridge.convert import relate_lora as lora
from weighbridge.convert.relate_casts import FLOATS, is_cast, is_zeroed, numpy
from weighbridge.convert.relate_quants import BITS, BLOCKS, SHORT, is_block_quant, is_int8, scale_of
from weighbridge.convert.relate_sides import One, Side, Work, open_side, without
from weighbridge.core.budget import Budget
from weighbridge.core.errors import UsageError
from weighbridge.core.evidence import Outcome
from weighbridge.core.manifest import Place, tensor_label
from weighbridge.core.statement import Named, Statement
from weighbridge.core.text import counted, some, visible
from weighbridge.core.value import dataclass, replace

UNTRUE = "transform-untrue"
NO_NUMPY = "numpy is not installed, so nothing was computed again"


class Descent(StrEnum):
    """How one tensor of the child stands to the parent's."""

    EQUAL = "equal"
    CAST = "cast"
    QUANTIZED = "quantized"
    ZEROED = "zeroed"
    """Equal but for numbers that became zero."""
    MERGED = "merged"
    """The base's with an adapter's update, within the tolerance."""
    UNPROVED = "unproved"
    """May follow from the parent's in a way that is not computed here."""
    CHANGED = "changed"
    """Follows from the parent's in no way that is known."""
    ONLY_PARENT = "only-parent"
    ONLY_CHILD = "only-child"


DERIVED = (Descent.EQUAL, Descent.CAST, Descent.QUANTIZED, Descent.ZEROED, Descent.MERGED)
"""What was shown."""


class Row(NamedTuple):
    """One tensor."""

    name: str
    standing: Descent
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """What was found."""

    transform: Transform
    child: Named
    rows: tuple[Row, ...]
    """Every tensor of both sides, by name; () for an adapter and its base."""
    reason: str = ""
    """Why no more than a claim is possible; "" where something was proved."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Descent → number of tensors."""
        return Counter(row.standing.value for row in self.rows)


def relate(
    parents: Sequence[str], child: str, kind: Transformed | None = None, *, work: Work | None = None, time: str = ""
) -> Related:  # fmt: skip
    """What can be proved of how `child` was made from `parents`; `kind` None to find out which kind it is.

    Raises `UsageError` (`transform-untrue`, `transform-unclear`, `self-parent`, `adapter-misfit`, `no-such-path`), `InputError`.
    """
    work = work or Work()
    budget = Budget(work.limits)
    mine = open_side(child, work, budget)
    theirs = [open_side(path, work, budget) for path in parents]
    if not theirs:
        raise UsageError("transform-unclear", "no parent was named", "--from PARENT")
    for one in theirs:
        if one.what.files == mine.what.files:
            name = visible(one.what.name)
            raise UsageError("self-parent", f'"{name}" would be its own parent: both hold the same files')
    related = _Relating(mine, theirs, kind, budget).done()
    return replace(related, transform=replace(related.transform, time=time))


class _Relating:
    """One call of `relate`."""

    def __init__(self, child: Side, parents: list[Side], kind: Transformed | None, budget: Budget) -> None:
        self._child, self._parents, self._kind, self._budget = child, parents, kind, budget
        self._np = numpy()
        self._unlisted = next((side.unlisted for side in (child, *parents) if side.unlisted), "")

    def done(self) -> Related:
        adapter = lora.adapter_of(self._child, self._budget)
        adapters = [lora.adapter_of(side, self._budget) for side in self._parents]
        if self._kind is Transformed.ADAPTER and adapter is None:
            raise _untrue(self._kind, f'"{visible(self._child.what.name)}" is no adapter')
        plain = adapter is not None and None in adapters
        if adapter is not None and (self._kind is Transformed.ADAPTER or (self._kind is None and plain)):
            return self._adapted(adapter)
        low = [(side, one) for side, one in zip(self._parents, adapters, strict=True) if one is not None]
        if adapter is None and low and self._kind in (None, Transformed.MERGED):
            return self._merged_adapter(low)
        return self._compared()

    # -- an adapter and its base

    def _adapted(self, adapter: lora.Adapter) -> Related:
        if len(self._parents) != 1:
            raise UsageError("transform-unclear", "an adapter is for one base, and several were named")
        base = self._parents[0]
        names = base.named
        wrong = [target for target in adapter.targets if not self._has_place(target, adapter, names)]
        if wrong or not adapter.targets:
            what = "it changes nothing" if not wrong else f"the base has no such place for {some(wrong)}"
            raise UsageError(
                "adapter-misfit", f'"{visible(self._child.what.name)}" is not for this base: {what}'
            )
        told = f"{counted(len(adapter.targets), 'tensor')} of the base, all there and of fitting shapes"
        # The weights are what an adapter is for: a base in other files, or with another README, is the same base.
        named = replace(base.what, files=None, others=()) if base.what.tensors else base.what
        return self._related(Transformed.ADAPTER, Proof.CLAIMED, f"for {told}", (), told, (named,))

    def _has_place(self, target: str, adapter: lora.Adapter, base: Mapping[str, One]) -> bool:
        place = lora.place_of(target, base)
        if target in adapter.lows:
            return bool(place) and tuple(base[place].entry.shape) == adapter.lows[target].shape
        return bool(place)

    # -- merges

    def _merged_adapter(self, low: list[tuple[Side, lora.Adapter]]) -> Related:
        bases = [side for side in self._parents if side not in [side for side, _ in low]]
        for one in bases:
            if one.what.tensors and one.what.tensors == self._child.what.tensors:
                raise _untrue(Transformed.MERGED, "its tensors are the base's, with nothing merged into them")
        if len(bases) != 1 or len(low) != 1:
            why = "only one adapter in one base is computed again"
            return self._related(Transformed.MERGED, Proof.CLAIMED, why, (), why)
        adapter = low[0][1]
        rows = tuple(self._merged_rows(bases[0], adapter))
        why = self._doubt(rows) or ("" if self._np else NO_NUMPY)
        count = sum(row.standing is Descent.MERGED for row in rows)
        why = why or adapter.why or ("" if count else "no tensor has the update in it")
        detail = f"W + (alpha / r) · B · A in {counted(count, 'tensor')}: {_tolerance(rows)}"
        proof = Proof.CLAIMED if why else Proof.REDERIVED
        return self._related(Transformed.MERGED, proof, why or detail, rows, why)

    def _merged_rows(self, base: Side, adapter: lora.Adapter) -> Iterator[Row]:
        old, new = base.named, self._child.named
        lows = {lora.place_of(target, old): low for target, low in adapter.lows.items()}
        others = {lora.place_of(target, old): one for target, one in adapter.others.items()}
        for name in sorted(old.keys() | new.keys()):
            if name not in new or name not in old:
                yield Row(name, Descent.ONLY_CHILD if name in new else Descent.ONLY_PARENT)
            elif name in lows:
                yield self._merged_row(name, old[name], new[name], lows[name])
            else:
                yield Row(name, *self._pair(others.get(name, old[name]), new[name]))
        for target in adapter.targets:
            if not lora.place_of(target, old):
                yield Row(target, Descent.CHANGED, "the adapter is for it, and the base has none")

    def _merged_row(self, name: str, old: One, new: One, low: lora.Low) -> Row:
        if self._np is None:
            return Row(name, Descent.UNPROVED, NO_NUMPY)
        if {old.entry.dtype, new.entry.dtype} - set(FLOATS) or len(old.entry.shape) != 2:
            return Row(name, Descent.UNPROVED, f"{new.entry.dtype} is not computed here")
        holds, why = lora.merged(self._np, old, low, new, self._budget)
        return Row(name, Descent.MERGED if holds else Descent.CHANGED, why)

    # -- everything else: tensor against tensor

    def _compared(self) -> Related:
        old, prefix = self._union()
        rows = tuple(self._rows(old))
        kind = self._kind or self._found_kind(rows)
        _refuse_untrue(kind, rows, self._parents, self._child)
        note = f', names without "{visible(prefix, 60)}"' if prefix else ""
        if kind in (Transformed.CONVERTED, Transformed.SHARDED) and self._is_equal() and not self._unlisted:
            return self._related(kind, Proof.EQUAL_TENSORS, f"{counted(len(rows), 'tensor')} equal", rows)
        why = self._doubt(rows, gone=kind is Transformed.PRUNED)
        proof = Proof.CLAIMED if why else Proof.REDERIVED
        return self._related(kind, proof, why or _told(rows) + note, rows, why)

    def _is_equal(self) -> bool:
        tensors = self._child.what.tensors
        return tensors is not None and all(one.what.tensors == tensors for one in self._parents)

    def _union(self) -> tuple[dict[Place, One], str]:
        """The parents' tensors under the child's names; what was taken away in front of names on either side."""
        old: dict[Place, One] = {}
        for side in self._parents:
            for place, one in side.tensors.items():
                if old.setdefault(place, one).content != one.content:
                    return self._ambiguous(place)
        prefix = _prefix(old, self._child.tensors)
        if prefix:
            return {(f, p, name.removeprefix(prefix)): one for (f, p, name), one in old.items()}, prefix
        prefix = _prefix(self._child.tensors, old)
        if prefix:
            self._child = without(self._child, prefix)
        return old, prefix

    def _ambiguous(self, place: Place) -> tuple[dict[Place, One], str]:
        """Parents that disagree about a tensor can only be merged, and how is not computed here."""
        if self._kind in (None, Transformed.MERGED):
            return {}, ""
        name = visible(tensor_label(place), 100)
        raise _untrue(self._kind, f'the parents have different tensors called "{name}"')

    def _rows(self, old: Mapping[Place, One]) -> Iterator[Row]:
        new = self._child.tensors
        before = {tensor_label(place): one for place, one in old.items()}
        after = {tensor_label(place): one for place, one in new.items()}
        scales = self._scales(before, after)
        used = set(scales.values())
        for name in sorted(before.keys() | after.keys()):
            if name in used:
                continue
            if name not in after:
                yield Row(name, Descent.ONLY_PARENT)
            elif name not in before:
                yield Row(name, Descent.ONLY_CHILD)
            elif name in scales:
                yield from self._scaled(name, before[name], after[name], scales[name], after[scales[name]])
            else:
                yield Row(name, *self._pair(before[name], after[name]))

    def _scales(self, before: Mapping[str, One], after: Mapping[str, One]) -> dict[str, str]:
        """Int8 tensor → its scale."""
        wanted = (n for n, one in after.items() if one.entry.dtype == "I8" and n in before)
        found = {name: scale_of(name, after) for name in wanted if before[name].entry.dtype in FLOATS}
        return {name: scale for name, scale in found.items() if scale and scale not in before}

    def _scaled(self, name: str, old: One, new: One, called: str, scale: One) -> Iterator[Row]:
        same = tuple(old.entry.shape) == tuple(new.entry.shape)
        holds = bool(self._np) and same and is_int8(self._np, old, new, scale, self._budget)
        standing = Descent.QUANTIZED if holds else Descent.UNPROVED
        yield Row(name, standing, f"I8 with {visible(called, 80)}")
        yield Row(called, standing, f"the scale of {visible(name, 80)}")

    def _pair(self, old: One, new: One) -> tuple[Descent, str]:
        """How one tensor stands to the one of its name."""
        if old.content == new.content:
            return Descent.EQUAL, ""
        a, b = old.entry, new.entry
        if tuple(a.shape) != tuple(b.shape):
            shapes = f"shape {list(b.shape)}, the parent's is {list(a.shape)}"[:200]
            return (Descent.UNPROVED if b.dtype in ("U8", "I8", "I32") else Descent.CHANGED), shapes
        if a.dtype == b.dtype:
            if a.dtype in FLOATS and self._np and is_zeroed(self._np, old, new, self._budget):
                return Descent.ZEROED, ""
            return Descent.CHANGED, "its numbers differ"
        change = f"{a.dtype} to {b.dtype}"
        if not {a.dtype, b.dtype} <= {*BITS, "I8"}:
            return Descent.CHANGED, change
        known = a.dtype in FLOATS and b.dtype in {*FLOATS, *BLOCKS}
        if not known or not (_is_plain_size(old) and _is_plain_size(new)):
            return Descent.UNPROVED, f"{change} is not computed here"
        if self._np is None:
            return Descent.UNPROVED, NO_NUMPY
        if b.dtype in BLOCKS:
            holds = is_block_quant(self._np, old, new, self._budget)
            more = "" if holds else ", otherwise than the reference does it"
            return (Descent.QUANTIZED if holds else Descent.UNPROVED), change + more
        wrong = is_cast(self._np, old, new, self._budget)
        return (Descent.CHANGED, wrong) if wrong else (Descent.CAST, change)

    def _found_kind(self, rows: Sequence[Row]) -> Transformed:
        """The kind that the rows show. Raises `UsageError` (`transform-unclear`) where they show none."""
        standings = {row.standing for row in rows}
        if standings <= {Descent.EQUAL}:
            several = len({side.files for side in (self._child, *self._parents)}) > 1
            return Transformed.SHARDED if several or len(self._parents) > 1 else Transformed.CONVERTED
        if Descent.CHANGED not in standings and Descent.ONLY_CHILD not in standings:
            if Descent.ONLY_PARENT in standings or Descent.ZEROED in standings:
                return Transformed.PRUNED
            names = self._child.named
            cast = all(_is_castable(row, names) for row in rows if row.standing is not Descent.EQUAL)
            return Transformed.CAST if cast else Transformed.QUANTIZED
        if len(self._parents) > 1:
            return Transformed.MERGED
        odd = [row.name for row in rows if row.standing in (Descent.CHANGED, Descent.ONLY_CHILD)]
        raise UsageError(
            "transform-unclear", f"it follows from its parent in no way that is known here: {some(odd)}",
            "--kind quantized|merged|pruned, as a claim", "weighbridge attest --type training",
        )  # fmt: skip

    def _doubt(self, rows: Sequence[Row], *, gone: bool = False) -> str:
        """Why the rows prove nothing; "" where each tensor of the child follows. `gone`: tensors may be left out."""
        if self._unlisted:
            return f"not every tensor is known: {self._unlisted}"
        fine = {*DERIVED, *((Descent.ONLY_PARENT,) if gone else ())}
        open_ = [row for row in rows if row.standing not in fine]
        if open_ or not rows:
            first = f": {open_[0].detail}" if open_ and open_[0].detail else ""
            return (
                f"{counted(len(open_), 'tensor')} not computed again: {some([r.name for r in open_])}{first}"
            )
        return "" if any(row.standing in DERIVED for row in rows) else "no tensor is left"

    def _related(
        self,
        kind: Transformed,
        proof: Proof,
        detail: str,
        rows: tuple[Row, ...],
        reason: str = "",
        parents: Sequence[Named] | None = None,
    ) -> Related:
        named = parents if parents is not None else tuple(side.what for side in self._parents)
        made = Transform(
            kind=kind, parents=tuple(Material(what=one) for one in named), proof=proof, detail=detail[:2000]
        )
        return Related(transform=made, child=self._child.what, rows=rows, reason=reason)


def _is_castable(row: Row, names: Mapping[str, One]) -> bool:
    """Whether what became of a tensor may be a cast."""
    one = names.get(row.name)
    return one is not None and one.entry.dtype in FLOATS and row.standing is not Descent.QUANTIZED


def _is_plain_size(one: One) -> bool:
    """Whether its bytes are as many as its type says: old GGML files have other blocks of the same name."""
    return one.found.size * 8 == one.items * BITS[one.entry.dtype]


def _prefix(longer: Mapping[Place, One], shorter: Mapping[Place, One]) -> str:
    """What stands in front of every name on one side, where all are else the same; "" for anything else."""
    if not longer or len(longer) != len(shorter) or longer.keys() & shorter.keys():
        return ""
    first, other = sorted(longer)[0][2], sorted(shorter)[0][2]
    prefix = first.removesuffix(other)
    if prefix == first or not prefix.endswith((".", "/")):
        return ""
    renamed = {(folder, part, prefix + name) for folder, part, name in shorter}
    return prefix if renamed == longer.keys() else ""


def _told(rows: Sequence[Row]) -> str:
    counts = Counter(row.standing.value for row in rows)
    changes = sorted({row.detail for row in rows if row.standing in (Descent.CAST, Descent.QUANTIZED) and " to " in row.detail})  # fmt: skip
    told = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
    return f"{counted(len(rows), 'tensor')}: {told}" + (f" ({some(changes)})" if changes else "")


def _tolerance(rows: Sequence[Row]) -> str:
    """The widest of all, as the tensor with the largest says it."""
    told = [row.detail for row in rows if row.standing is Descent.MERGED]
    return max(told, key=lambda text: float(text.rpartition(" ")[2]), default="")


# -- what was asked for, and is not so


def _untrue(kind: Transformed, why: str) -> UsageError:
    return UsageError(UNTRUE, f'it was not "{kind}": {why}', "leave --kind out to see what it is")


def _refuse_untrue(kind: Transformed, rows: Sequence[Row], parents: Sequence[Side], child: Side) -> None:
    """Raises `UsageError` (`transform-untrue`) where the tensors show that it was something else."""
    names = child.named
    wrong = [row for row in rows if row.standing not in _ALLOWED[kind]]
    if kind is Transformed.CAST:
        wrong += [row for row in rows if row.name in names and names[row.name].entry.dtype not in _CASTABLE and row.standing is Descent.UNPROVED]  # fmt: skip
    if wrong:
        first = f": {wrong[0].detail}" if wrong[0].detail else f": {wrong[0].standing}"
        raise _untrue(kind, f"{some([row.name for row in wrong])}{first}")
    needed = _NEEDED.get(kind)
    if needed and not any(row.standing in needed for row in rows):
        raise _untrue(kind, f"no tensor is {' or '.join(sorted(needed))}")
    if kind is Transformed.SHARDED and max(child.files, sum(side.files for side in parents)) < 2:
        raise _untrue(kind, "there is one file on both sides")
    if kind is Transformed.QUANTIZED and not _is_shorter(child, parents):
        raise _untrue(kind, "no tensor has a shorter type than the parent's")
    same = child.what.tensors is not None and any(one.what.tensors == child.what.tensors for one in parents)
    if kind is Transformed.MERGED and same:
        raise _untrue(kind, "its tensors are those of one parent")


_CASTABLE = frozenset(
    {*FLOATS, "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I64", "I32", "I16", "BOOL"}
)
_EVERY = frozenset(Descent)
_ALLOWED: Mapping[Transformed, frozenset[Descent]] = {
    Transformed.CONVERTED: frozenset({Descent.EQUAL}),
    Transformed.SHARDED: frozenset({Descent.EQUAL}),
    Transformed.CAST: frozenset({Descent.EQUAL, Descent.CAST, Descent.UNPROVED}),
    Transformed.QUANTIZED: _EVERY,
    Transformed.MERGED: _EVERY,
    Transformed.PRUNED: _EVERY - {Descent.ONLY_CHILD},
    Transformed.ADAPTER: _EVERY,
}
_NEEDED: Mapping[Transformed, frozenset[Descent]] = {
    Transformed.CAST: frozenset({Descent.CAST, Descent.UNPROVED}),
    Transformed.PRUNED: frozenset({Descent.ONLY_PARENT, Descent.ZEROED, Descent.CHANGED}),
}


def _is_shorter(child: Side, parents: Sequence[Side]) -> bool:
    """Whether any tensor of the child takes fewer bits than the parent's, or is packed under another name."""
    before: dict[str, One] = {}
    for side in parents:
        before |= side.named
    return any(
        BITS.get(one.entry.dtype, 64.0) < BITS.get(before[name].entry.dtype, 64.0)
        if name in before and tuple(before[name].entry.shape) == tuple(one.entry.shape)
        else one.entry.dtype in _PACKED
        for name, one in child.named.items()
    )


_PACKED = SHORT | {"I8", "I32", "U32"}


# -- is a statement true


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A statement held against both sides."""

    outcome: Outcome
    """PASS: shown again. FAIL: not so. UNKNOWN: only the signer's word."""
    why: str
    related: Related | None = None
    """What was found; None where it was refused before."""
    other: bool = False
    """The statement is about another model, or another parent."""


_RANK = {Proof.CLAIMED: 0, Proof.REDERIVED: 1, Proof.EQUAL_TENSORS: 2}


def check_again(
    statement: Statement, made: Transform, parents: Sequence[str], child: str, *, work: Work | None = None
) -> Checked:
    """Derive again what a statement says, from both sides; nobody's word is taken, not even the signer's.

    Raises `UsageError` (`no-such-path`), `InputError` where a side cannot be measured.
    """
    try:
        related = relate(parents, child, made.kind, work=work)
    except UsageError as error:
        if error.code not in (UNTRUE, "self-parent", "adapter-misfit", "transform-unclear"):
            raise
        return Checked(outcome=Outcome.FAIL, why=error.message)
    strange = _strange(statement, made, related)
    if strange:
        return Checked(outcome=Outcome.FAIL, why=strange, related=related, other=True)
    if made.proof is Proof.EQUAL_TENSORS and not is_plain(statement, made):
        why = "the digests of the statement do not show the equality that it claims"
        return Checked(outcome=Outcome.FAIL, why=why, related=related)
    found = related.transform.proof
    if _RANK[found] < _RANK[made.proof]:
        why = f'"{made.proof}" could not be shown again: {related.reason or related.transform.detail}'
        lacking = "numpy" in related.reason
        return Checked(outcome=Outcome.UNKNOWN if lacking else Outcome.FAIL, why=why, related=related)
    if found is Proof.CLAIMED:
        why = f"only claimed: {related.reason}"
        return Checked(outcome=Outcome.UNKNOWN, why=why, related=related)
    return Checked(
        outcome=Outcome.PASS, why=f"{found} shown again: {related.transform.detail}", related=related
    )


def _strange(statement: Statement, made: Transform, related: Related) -> str:
    """What the statement is about and what was measured; "" where they are the same."""
    if not any(is_same(subject, related.child) for subject in statement.subjects):
        return f'"{visible(related.child.name)}" is not what the statement is about'
    measured = [one.what for one in related.transform.parents]
    missing = [one.what.name for one in made.parents if not any(is_same(one.what, other) for other in measured)]  # fmt: skip
    extra = [one.name for one in measured if not any(is_same(one, other.what) for other in made.parents)]
    if missing or extra:
        return f"not the parents of the statement: {some(missing or extra)}"
    return ""
