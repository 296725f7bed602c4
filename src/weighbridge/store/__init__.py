"""Where artifacts come from: `open_artifact` lists a local folder or file, read-only, and loads nothing."""

from weighbridge.store.beside import read_beside
from weighbridge.store.local import Links, LocalFiles, LocalSource, in_hub_cache, open_artifact
from weighbridge.store.several import open_artifacts

__all__ = [
    "Links",
    "LocalFiles",
    "LocalSource",
    "in_hub_cache",
    "open_artifact",
    "open_artifacts",
    "read_beside",
]
