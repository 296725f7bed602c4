"""What is told of the machine: the platform's name, and beyond it only what the user allows by a word each."""

import os
import platform
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

from weighbridge.core.text import visible

FACTS = ("os", "cpu", "gpu")
SECONDS = 10.0
MAX_FACT = 200


def facts(allowed: Collection[str]) -> tuple[tuple[str, str], ...]:
    """(key, value) of what may be told. No names of machines, people or addresses."""
    found = {"platform": platform.system().lower()}
    if "os" in allowed:
        found |= {"os": _os(), "kernel": platform.release()}
    if "cpu" in allowed:
        found |= {"cpu": _cpu(), "machine": platform.machine(), "cores": str(os.cpu_count() or 1)}
    if "gpu" in allowed:
        found["gpu"] = _gpu() or "none"
    return tuple((key, visible(value, MAX_FACT)) for key, value in found.items() if value)


def _os() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return platform.platform(terse=True)


def _cpu() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            names = (line.partition(":")[2].strip() for line in file if line.startswith("model name"))
            return next(names, "") or platform.processor()
    except OSError:
        return platform.processor()


def _gpu() -> str:
    """Names and how many of each, with the driver: as the tool that comes with the driver says."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, "--query-gpu=name,driver_version", "--format=csv,noheader"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    if done.returncode != 0:
        return "unknown"
    rows = [line.strip() for line in done.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
    return "; ".join(f"{rows.count(row)} x {row}" for row in dict.fromkeys(rows))
