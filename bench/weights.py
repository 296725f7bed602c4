"""Measure how often `--weights` is wrong, and how often it sees what is there: `bench/weights.py FOLDER…`.

False alarms: every tensor of every model below the folders is looked at by itself, as it was published and rewritten in the
ways in which people do (rounded to BF16 or F16, kept so or written out as F32 again). Nothing is hidden in any of them, so
that every alarm of `weights-low-bits` or `weights-appended` is false. Seen: harmless bytes are written into low bits of the
larger F32 tensors, at the start and at a place by chance. Needs numpy. `--whole` looks at tensors whole, as where numpy is
installed; without it at samples. Nothing here passes or fails; the table stands in docs/weights.md.
"""

import argparse
import base64
import pickle
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import MemorySource
from weighbridge.formats.reading import TensorRef
from weighbridge.measure.tensors import list_tensors
from weighbridge.scan.weights import WeightsReading, look_at_weights
from weighbridge.scan.weights.sample import Content

ROOT = Path(__file__).parents[1]
SUFFIXES = (
    ".onnx",
    ".safetensors",
    ".pt",
    ".pth",
    ".h5",
    ".gguf",
    ".jit",
    ".joblib",
    ".pkl",
    ".tflite",
    ".keras",
    ".npz",
    ".npy",
)
LEAST = 64
"""Bytes; nothing is looked for in smaller tensors."""
BITS = (1, 2, 4, 8)
HOSTS = 25
"""F32 tensors that get every payload."""
CHANCE = random.Random(1)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="+", type=Path)
    parser.add_argument("--whole", action="store_true", help="look at tensors whole")
    options = parser.parse_args()
    started = time.perf_counter()
    tensors: Counter[str] = Counter()
    alarms: Counter[str] = Counter()
    files, size, hosts = 0, 0, []
    for path in models(options.folder):
        files += 1
        for name, dtype, data in contents(path):
            size += len(data)
            for variant, kind, rewritten in variants(dtype, data):
                tensors[variant] += 1
                found = look(kind, rewritten, whole=options.whole)
                if found.hidden or found.regions:
                    alarms[variant] += 1
                    print(
                        f"false alarm: {path.name} {name} {variant} {found.hidden or found.regions}",
                        file=sys.stderr,
                    )
            if dtype == "F32" and len(data) >= 2**18:
                hosts.append(data[: 2**20])
    print(
        f"{files} models, {sum(tensors.values())} tensors, {size / 1e6:.0f} MB, {time.perf_counter() - started:.0f} s\n"
    )
    print("| tensors | looked at | false alarms | in 1,000 |\n|---|---|---|---|")
    for variant, count in [*tensors.items(), ("all", sum(tensors.values()))]:
        wrong = sum(alarms.values()) if variant == "all" else alarms[variant]
        bound = f"{1000 * wrong / count:.2f}" if wrong else f"0 (below {3000 / count:.2f})"
        print(f"| {variant} | {count} | {wrong} | {bound} |")
    seen(hosts, whole=options.whole)


def models(folders: list[Path]) -> Iterator[Path]:
    """Files that may hold tensors; the same file twice counts once."""
    known: set[bytes] = set()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file() and path.stat().st_size > 10_000:
                start = path.read_bytes()[:65536] + str(path.stat().st_size).encode()
                if start not in known:
                    known.add(start)
                    yield path


def contents(path: Path) -> Iterator[tuple[str, str, bytes]]:
    """(name, dtype, bytes) of every tensor."""
    source = MemorySource(path.read_bytes())
    try:
        listing = list_tensors(source, path.name, Budget())
    except (InputError, LimitError):
        return
    for reading in listing.readings:
        for ref in reading.tensors or reading.tensors_found:
            content = Content(ref, ref.source or source)
            if content.size >= LEAST and not ref.external:
                try:
                    yield ref.name, ref.dtype, content.read(0, content.size)
                except (InputError, LimitError):
                    continue


def variants(dtype: str, data: bytes) -> Iterator[tuple[str, str, bytes]]:
    """(what was done to it, dtype, bytes)."""
    yield (
        f"as published, {dtype if dtype in ('F32', 'F16', 'I64', 'U8', 'I8', 'F64') else 'other'}",
        dtype,
        data,
    )
    if dtype != "F32" or len(data) < 1024:
        return
    numbers = np.frombuffer(data[: len(data) // 4 * 4], dtype="<f4")
    with np.errstate(all="ignore"):
        half = numbers.astype("<f2")
    words = numbers.view("<u4")
    brain = ((words + 0x7FFF + (words >> 16 & 1)) >> 16).astype("<u2")
    yield "F32 rounded to BF16", "BF16", brain.tobytes()
    yield "F32 rounded to BF16 and written as F32", "F32", (brain.astype("<u4") << 16).tobytes()
    yield "F32 rounded to F16", "F16", half.tobytes()
    yield "F32 rounded to F16 and written as F32", "F32", half.astype("<f4").tobytes()


def look(dtype: str, data: bytes, *, whole: bool) -> WeightsReading:
    """One tensor by itself."""
    ref = TensorRef(name="tensor", dtype=dtype, shape=(len(data),), spans=((0, len(data)),))
    return look_at_weights(MemorySource(data), [ref], Budget(), whole=whole)


def payloads() -> dict[str, bytes]:
    """What is hidden; none of it does anything."""
    return {
        "a program's start (ELF)": Path(sys.executable).resolve().read_bytes()[:4096],
        "a pickle": pickle.dumps({"note": "weighbridge-sample", "numbers": list(range(200))}),
        "source code": Path(__file__).read_bytes()[:4096],
        "base64": base64.b64encode(CHANCE.randbytes(3072)),
        "random bytes": CHANCE.randbytes(4096),
    }


def written(data: bytes, payload: bytes, bits: int, at: int) -> bytes:
    """The payload in the low `bits` of each number from number `at` on."""
    digits = np.unpackbits(np.frombuffer(payload, dtype=np.uint8)).reshape(-1, bits)
    values = digits @ (1 << np.arange(bits - 1, -1, -1))
    words = np.frombuffer(data[: len(data) // 4 * 4], dtype="<u4").copy()
    values = values[: len(words) - at].astype("<u4")
    words[at : at + len(values)] = words[at : at + len(values)] & ~np.uint32((1 << bits) - 1) | values
    return words.tobytes()


def seen(hosts: list[bytes], *, whole: bool) -> None:
    """How much of what is hidden is found, and how: spelled or at least odd."""
    hosts = CHANCE.sample(hosts, min(HOSTS, len(hosts)))
    print(f"\nHidden in {len(hosts)} of the F32 tensors, in the low bits of numbers:\n")
    heads = [f"{bits} {'bit' if bits == 1 else 'bits'}" for bits in BITS]
    print(f"| what, where | {' | '.join(heads)} |\n|---|{'---|' * len(BITS)}")
    for kind in ("as trained", "BF16 written as F32"):
        for name, payload in payloads().items():
            for place in ("start", "anywhere"):
                cells = [share(hosts, kind, payload, bits, place, whole=whole) for bits in BITS]
                print(f"| {name}, {place}, {kind} | {' | '.join(cells)} |")


def share(hosts: list[bytes], kind: str, payload: bytes, bits: int, place: str, *, whole: bool) -> str:
    """Found in how many of the tensors."""
    found = 0
    for host in hosts:
        data = host
        if kind != "as trained":
            data = (np.frombuffer(host[: len(host) // 4 * 4], dtype="<u4") & np.uint32(0xFFFF0000)).tobytes()
        last = max(1, len(data) // 4 - len(payload) * 8 // bits)
        at = 0 if place == "start" else CHANCE.randrange(last)
        answer = look("F32", written(data, payload, bits, at), whole=whole)
        found += bool(answer.hidden or answer.regions)
    return f"{100 * found / len(hosts):.0f} %" if hosts else "-"


if __name__ == "__main__":
    main()
