"""weighbridge: the checkpoint every AI model passes between whoever trained it and whoever depends on it.

Start reading in `weighbridge.check`: it is the whole product on one page. What programs use stands here: `load` and `share`
hand out verified memory, `guard` watches over what other libraries open, and `LoadRefused` is what they raise; `record` writes
down how something is made. Nothing is imported before it is used.
"""

from typing import TYPE_CHECKING, Any

from weighbridge.core.version import __version__

if TYPE_CHECKING:
    from weighbridge.core.errors import WeighbridgeError
    from weighbridge.core.refused import LoadRefused
    from weighbridge.integrations import guard
    from weighbridge.loading import Tensors, load, share
    from weighbridge.pipeline.record import record

__all__ = ["LoadRefused", "Tensors", "WeighbridgeError", "__version__", "guard", "load", "record", "share"]

_HOMES = {
    "LoadRefused": "weighbridge.core.refused",
    "WeighbridgeError": "weighbridge.core.errors",
    "Tensors": "weighbridge.loading",
    "load": "weighbridge.loading",
    "share": "weighbridge.loading",
    "guard": "weighbridge.integrations",
    "record": "weighbridge.pipeline.record",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
