"""Carrying a guard into other processes: what is asked, as one environment variable, and the folder that starts it.

Every Python process that inherits both starts its guard before any code of the program's (`site/sitecustomize.py`).
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from weighbridge.core.errors import UsageError
from weighbridge.integrations.guarding import Guard
from weighbridge.loading import Asked
from weighbridge.policy import Policy, find_policy
from weighbridge.store import Links

SETTINGS = "WEIGHBRIDGE_GUARD"
SITE = Path(__file__).parent / "site"

NEEDED = (
    "weighbridge", "backports", "blake3", "cffi", "_cffi_backend", "cryptography", "jinja2", "lz4", "markupsafe", "msgspec", "packaging",
    "pycparser", "pygments", "rfc3161_client", "rich", "shtab", "tomlkit", "typing_extensions", "urllib3", "yaml", "_yaml",
)  # fmt: skip
"""Packages that a program's environment may lack, and is lent."""


def environment(asked: Asked, base: dict[str, str]) -> dict[str, str]:
    """The environment in which every Python process is guarded. Raises `UsageError` (`guard-impossible`)."""
    if isinstance(asked.policy, Policy):
        raise UsageError(
            "guard-impossible", "a policy that has no file cannot be carried into another process"
        )
    said: dict[str, Any] = {
        "keys": [[name, pem.decode("latin-1")] for name, pem in asked.keys],
        "trust": _absolute(asked.trust),
        "policy": _policy(asked.policy),
        "by": list(asked.by),
        "links": asked.links.value,
        "jobs": asked.jobs,
        "lent": {
            "python": list(sys.version_info[:2]),
            "folders": [path for path in sys.path if path and Path(path).is_dir() and path != str(SITE)],
            "packages": list(NEEDED),
        },
    }
    paths = [str(SITE), *filter(None, base.get("PYTHONPATH", "").split(os.pathsep))]
    return {**base, SETTINGS: json.dumps(said), "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def start(settings: str) -> Guard:
    """Start the guard that the environment asks for; it lasts as long as the process."""
    import blake3  # noqa: F401 - what weighing needs and this environment may lack, now and not at the first load
    import msgspec  # noqa: F401

    said = json.loads(settings)
    asked = Asked(
        keys=tuple((name, pem.encode("latin-1")) for name, pem in said["keys"]),
        trust=said["trust"],
        policy=said["policy"],
        by=tuple(said["by"]),
        links=Links(said["links"]),
        jobs=said["jobs"],
    )
    guard = Guard(asked)
    guard.start()
    return guard


def _absolute(path: str | None) -> str | None:
    """The program may change its folder."""
    return None if path is None else str(Path(path).absolute())


def _policy(given: str | None) -> str:
    """The policy that holds here and now, by name or whole path: the program must not choose it by where it goes."""
    found = given if given is not None else find_policy(Path.cwd())
    if found is None:
        return "default"
    return str(Path(found).absolute()) if Path(found).exists() else str(found)
