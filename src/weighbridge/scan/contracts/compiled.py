"""The contract files in the form in which they are read: JSON, twenty times faster to read than the TOML that is reviewed.

`python -m weighbridge.scan.contracts` writes `compiled/NAME.json` from every `NAME.toml`; a test holds the two
together. People read and change the TOML only.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NAMES = (
    "boosting", "dill", "estimators", "harm", "joblib", "numpy", "pandas", "python", "scipy", "sklearn", "statsmodels",
    "tensorflow", "torch", "torchscript", "training",
)  # fmt: skip
"""The files that are compiled."""


@cache
def document(name: str) -> dict[str, Any]:
    """The content of `NAME.toml`."""
    found: dict[str, Any] = json.loads((HERE / "compiled" / f"{name}.json").read_bytes())
    return found


def compiled(name: str) -> bytes:
    """What `compiled/NAME.json` must hold: one line a table, so that differences can be read."""
    import tomllib  # only who writes them reads the TOML

    source = tomllib.loads((HERE / f"{name}.toml").read_text("utf-8"))
    return json.dumps(source, separators=(",", ":")).replace("},{", "},\n{").encode() + b"\n"


def write() -> None:
    """Write all of them."""
    (HERE / "compiled").mkdir(exist_ok=True)
    for name in NAMES:
        (HERE / "compiled" / f"{name}.json").write_bytes(compiled(name))
