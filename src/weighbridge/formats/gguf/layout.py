"""The tensor table of a GGUF file and its layout: every tensor inside the file, none over another, nothing between."""

from weighbridge.formats.embedded import program_part
from weighbridge.formats.gguf.cursor import CHUNK
from weighbridge.formats.gguf.types import FIRST_IMPOSSIBLE, TENSOR_TYPES, UINT32, TensorType
from weighbridge.formats.gguf.work import MAX_KEY, Info, Work
from weighbridge.formats.membernames import escapes
from weighbridge.formats.reading import Gap, TensorRef

NAME_ESCAPES = "the name is a path out of the folder, for whoever unpacks tensors to files"
MAX_DIMS = 4
MAX_NAME = 63
MAX_ALIGNMENT = 65_536
MIN_HIDDEN = 64


def read_table(work: Work, count: int) -> None:
    """The lines of the table, one a tensor."""
    seen: set[str] = set()
    for _ in range(count):
        info = _info(work)
        if info.name in seen:
            work.odd("duplicate-tensor", "two tensors have this name", offset=info.at, part=info.name)
        seen.add(info.name)
        work.infos.append(info)


def _info(work: Work) -> Info:
    at = work.cursor.at
    name = work.string("tensor name", MAX_KEY)
    if len(name.encode("utf-8", "surrogateescape")) > MAX_NAME:
        work.odd("name-too-long", f"a tensor name of more than {MAX_NAME} bytes", offset=at, part=name)
    if "../" in name and escapes(name):
        work.odd("name-escapes", NAME_ESCAPES, offset=at, part=name)
    if "\0" in name:
        work.odd("name-nul", "a tensor name that ends at its NUL for some readers", offset=at, part=name)
    count = work.cursor.u32()
    if count > MAX_DIMS:
        work.give_up(
            "too-many-dims", f"{count} dimensions, at most {MAX_DIMS} are allowed", offset=at, part=name
        )
    dims = tuple(work.cursor.count() for _ in range(count))
    return Info(name, dims, work.cursor.u32(), work.cursor.u64(), at)


def aligned(work: Work, offset: int) -> int:
    """Where the tensors' bytes begin, behind a header that ends at `offset`."""
    kinds = {pair.kind for pair in work.pairs if pair.key == "general.alignment"}
    if kinds - {UINT32}:
        work.give_up("alignment-invalid", "general.alignment is not an unsigned 32-bit number")
    alignment = work.alignment
    if alignment == 0 or alignment & (alignment - 1):
        work.give_up("alignment-invalid", f"alignment {alignment} is not a power of two")
    return padded(offset, alignment)


def read_layout(work: Work, data: int) -> None:
    """Every tensor inside the file, at an aligned offset, none over another, nothing between or behind."""
    if work.alignment > MAX_ALIGNMENT:
        work.odd("alignment-large", f"alignment {work.alignment} leaves room for bytes that nothing names")
    _padding(work, work.cursor.at, min(data, work.source.size))
    spans = sorted(span for info in work.infos if (span := _span(work, info, data)) is not None)
    reached = data
    for begin, end, name in spans:
        if begin < reached and end > begin:
            message = f"begins {reached - begin} bytes before the end of another tensor"
            work.odd("overlap", message, offset=begin, part=name)
        elif begin > padded(reached, work.alignment, data):
            _unused(work, "hole", reached, begin)
        else:
            _padding(work, reached, begin)
        reached = max(reached, end)
    _behind(work, data, reached)


def _behind(work: Work, data: int, reached: int) -> None:
    """Behind the last tensor, which ends at `reached`, there is padding and nothing else."""
    behind = max(data, padded(reached, work.alignment, data))
    padding = (
        work.source.read(reached, max(0, min(behind, work.source.size) - reached))
        if behind - reached < MIN_HIDDEN
        else b""
    )
    if padding.strip(b"\0"):
        _unused(work, "trailing-bytes", reached, work.source.size)
    elif work.source.size > behind:
        _unused(work, "trailing-bytes", behind, work.source.size)


def _padding(work: Work, begin: int, end: int) -> None:
    """Padding is zeros; it is looked at where it is long enough to hide something."""
    for at in range(begin, end if end - begin >= MIN_HIDDEN else begin, CHUNK):
        work.budget.spend_bytes(min(CHUNK, end - at))
        if work.source.read(at, min(CHUNK, end - at)).strip(b"\0"):
            _unused(work, "padding-not-zero", begin, end)
            return


def _span(work: Work, info: Info, data: int) -> tuple[int, int, str] | None:
    kind = TENSOR_TYPES.get(info.kind)
    if kind is None:
        code = "type-unknown" if info.kind < FIRST_IMPOSSIBLE else "type-invalid"
        _unlist(work, code, f"tensor type {info.kind} is not known", info)
        return None
    size = _size(work, info, kind)
    if size is None:
        return None
    begin, end = data + info.offset, data + info.offset + size
    if end > work.source.size:
        message = f"bytes {begin} to {end} of a file of {work.source.size}"
        _unlist(work, "out-of-file", message, info)
        return None
    if info.offset % work.alignment:
        work.odd(
            "offset-unaligned", f"offset {info.offset} is no multiple of {work.alignment}", part=info.name
        )
    _list(work, info, kind, begin, size)
    return begin, end, info.name


def _size(work: Work, info: Info, kind: TensorType) -> int | None:
    items = 1
    for dim in info.dims:
        items *= dim
        if dim >= 2**63 or items >= 2**63:
            _unlist(
                work, "shape-overflow", f"dimensions {info.dims} multiply to more than 63 bits hold", info
            )
            return None
    if info.dims and info.dims[0] % kind.block:
        message = f"rows of {info.dims[0]} items do not divide into {kind.name} blocks of {kind.block}"
        _unlist(work, "block-misfit", message, info)
        return None
    if not info.dims and kind.block > 1:
        _unlist(work, "block-misfit", f"one item does not fill a {kind.name} block of {kind.block}", info)
        return None
    if not items:
        message = f"dimensions {info.dims} hold nothing, and loaders divide by each"
        work.odd("shape-empty", message, part=info.name)
    return items // kind.block * kind.size


def _list(work: Work, info: Info, kind: TensorType, begin: int, size: int) -> None:
    part = program_part(work.source, begin, size, info.name)
    if part is not None:
        work.parts.append(part)
    if work.big and kind.block > 1:
        work.unlisted = work.unlisted or f"big-endian {kind.name} blocks have no canonical bytes"
    shape = tuple(reversed(info.dims))
    width = kind.size if kind.block == 1 else 1
    work.refs.append(TensorRef(info.name, kind.name, shape, ((begin, size),), None, width, None, work.big))


def _unlist(work: Work, code: str, message: str, info: Info) -> None:
    work.odd(code, message, offset=info.at, part=info.name)
    work.unlisted = work.unlisted or message


def _unused(work: Work, code: str, begin: int, end: int) -> None:
    message = f"{end - begin} bytes that belong to no tensor"
    work.odd(code, message, offset=begin)
    work.gaps.append(Gap(code=code, message=message, offset=begin))


def padded(offset: int, alignment: int, base: int = 0) -> int:
    """The next multiple of `alignment` from `base`, at or behind `offset`."""
    return base + (offset - base + alignment - 1) // alignment * alignment
