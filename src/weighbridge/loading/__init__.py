"""Load is verify: tensors come only out of memory that was hashed against what somebody signed, or not at all.

`ask` turns what a program says into a weighing, `holder` reads and hashes, `memory` is where the bytes lie, `loader` decides
and `views` makes arrays of them; `part` takes single tensors by their own signed digests.
"""

from weighbridge.loading.ask import Asked, Key, PathLike, ask
from weighbridge.loading.loader import Holding, Shared, hold, load, share, weigh_bytes
from weighbridge.loading.memory import Held, SealedFile
from weighbridge.loading.views import TensorInfo, Tensors

__all__ = [
    "Asked",
    "Held",
    "Holding",
    "Key",
    "PathLike",
    "SealedFile",
    "Shared",
    "TensorInfo",
    "Tensors",
    "ask",
    "hold",
    "load",
    "share",
    "weigh_bytes",
]
