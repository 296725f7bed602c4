"""Every fuzz target on every sample, whole and damaged, so that targets cannot rot between long runs."""

import random
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

SAMPLES = Path(__file__).parents[1] / "samples"
SEEDS = Path(__file__).parent / "seeds"
"""What a target reads whole, by target; the samples of the scanner never get that far."""
REGRESSIONS = Path(__file__).parent / "regressions"


def seeds() -> list[bytes]:
    """Samples as stored (hex ones decoded), at most 20 kB each."""
    found = []
    for path in sorted(SAMPLES.rglob("*")):
        if path.is_file() and path.stat().st_size <= 60_000:
            data = path.read_bytes()
            if path.suffix == ".hex":
                lines = (line.partition("#")[0] for line in data.decode().splitlines())
                data = bytes.fromhex("".join(lines))
            found.append(data[:20_000])
    return found


def damaged(data: bytes, dice: random.Random) -> bytes:
    """One of the ways in which files break: cut, flipped, doubled, spliced."""
    changed = bytearray(data or b"\0")
    match dice.randrange(4):
        case 0:
            del changed[dice.randrange(len(changed)) :]
        case 1:
            for _ in range(dice.randrange(1, 8)):
                changed[dice.randrange(len(changed))] = dice.randrange(256)
        case 2:
            at = dice.randrange(len(changed))
            changed[at:at] = changed[: dice.randrange(len(changed))]
        case 3:
            at = dice.randrange(len(changed))
            changed[at : at + 8] = dice.choice([b"\xff" * 8, b"\x00" * 8, b"\x7f" + b"\xff" * 7])
    return bytes(changed)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_target_survives_samples_and_damage(name):
    dice = random.Random(name)
    for data in seeds():
        TARGETS[name](data)
        TARGETS[name](damaged(data, dice))


@pytest.mark.parametrize(
    "path", sorted(SEEDS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_target_survives_its_own_seeds_and_damage(path):
    target, data, dice = TARGETS[path.parent.name], path.read_bytes(), random.Random(path.name)
    target(data)
    for _ in range(60):
        target(damaged(data, dice))


@pytest.mark.parametrize(
    "path", sorted(REGRESSIONS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_what_fuzzing_found_stays_mended(path):
    TARGETS[path.parent.name](path.read_bytes())
