"""One big PyTorch checkpoint: what a scan costs above reading and hashing it. `bench/checkpoint.py --scale 0.1` to look.

A zip of twenty float tensors as `torch.save` writes it, 10 GB in all. A scan reads every byte once: the directory, the
pickle and the storages, and hashes them on the way. Nothing here passes or fails. `--write` puts the table into
docs/benchmarks.md.
"""

import argparse
import statistics
import struct
import zipfile
from pathlib import Path

from bench import BLOCK, HASHERS, Run, Tools, machine, race, table, workplace
from page import write_section

SIZE = 10_000_000_000
TENSORS = 20
MAX_MORE = 0.05
"""What a scan may take above the hash."""


def text(value: str) -> bytes:
    """A string of a pickle (BINUNICODE)."""
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def tensor(key: int, count: int) -> bytes:
    """The call that makes one float tensor of a storage of its own."""
    number = b"J" + struct.pack("<i", count)
    storage = (
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(str(key)) + text("cpu") + number + b"tQ"
    )
    hooks = b"ccollections\nOrderedDict\n)R"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + b"K\x00"
        + number
        + b"\x85K\x01\x85\x89"
        + hooks
        + b"tR"
    )


def write_checkpoint(path: Path, size: int) -> None:
    """`archive/data.pkl`, `archive/data/N` and `archive/version`, nothing compressed."""
    count = size // TENSORS // 4
    items = b"".join(text(f"layer.{key}.weight") + tensor(key, count) for key in range(TENSORS))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}(" + items + b"u.")
        archive.writestr("archive/byteorder", "little")
        for key in range(TENSORS):
            with archive.open(f"archive/data/{key}", "w", force_zip64=True) as file:
                for at in range(0, count * 4, len(BLOCK)):
                    file.write((struct.pack(">QQ", key, at) + BLOCK[16:])[: count * 4 - at])
        archive.writestr("archive/version", "3\n")


def against(scan: Run, base: Run) -> str:
    """A line with both ratios."""
    cpu, wall = (
        statistics.median(ours) / statistics.median(theirs)
        for ours, theirs in ((scan.cpu, base.cpu), (scan.wall, base.wall))
    )
    return f"* {scan.name} / {base.name}: {wall:.3f} of its time, {cpu:.3f} of its CPU (goal {1 + MAX_MORE})"


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="size times this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", help="where the data goes (10 GB at scale 1)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    tools, size = Tools.find(), int(SIZE * options.scale)
    with workplace(options.dir) as root:
        path = root / "checkpoint.pt"
        write_checkpoint(path, size)
        runs = [
            Run("bare sha256, 1 thread", [tools.python, str(HASHERS), "sha256", "1", str(path)]),
            Run("weighbridge digest --no-tensors", [tools.weighbridge, "digest", "--no-tensors", str(path)]),
            Run("**weighbridge scan**", [tools.weighbridge, "scan", str(path)]),
        ]
        race(runs, options.rounds)
    lines = [
        *machine(tools, options.scale, options.rounds),
        *table(f"a PyTorch checkpoint of {size / 1e9:.2f} GB", runs, size),
        "",
        *(against(runs[-1], base) for base in runs[:-1]),
    ]
    print("\n".join(lines))
    if options.write:
        write_section("checkpoint", lines)


if __name__ == "__main__":
    main()
