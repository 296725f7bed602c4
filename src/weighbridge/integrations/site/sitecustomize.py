"""Start the guard before the program: Python imports a module of this name on its own, from the first folder that has one.

A process that was to be guarded and cannot be ends here, with exit code 3. Whatever `sitecustomize` the machine has
besides runs afterwards. Nothing happens in a process that `weighbridge guard` did not start.
"""

import os
import sys

SETTINGS = "WEIGHBRIDGE_GUARD"
UNDECIDED = 3


def _start() -> None:
    _lend()
    from weighbridge.integrations import child

    child.start(os.environ[SETTINGS])


def _lend() -> None:
    """Let the program's own environment find weighbridge, and what it needs, where the guard runs; nothing else of there."""
    import json
    from importlib.machinery import PathFinder

    lent = json.loads(os.environ[SETTINGS])["lent"]
    if lent["python"] != list(sys.version_info[:2]):
        return  # compiled packages of another Python are of no use here: it must have its own

    class Lent:
        """Finds these few packages, behind everything that the program has itself."""

        @staticmethod
        def find_spec(name, path=None, target=None):  # type: ignore[no-untyped-def]
            """As any finder."""
            if path is None and name in lent["packages"]:
                return PathFinder.find_spec(name, lent["folders"], target)
            return None

    sys.meta_path.append(Lent)


def _chain() -> None:
    """The `sitecustomize` that would have run without us."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    own = os.path.realpath(os.path.dirname(__file__))  # noqa: PTH120
    spec = PathFinder.find_spec("sitecustomize", [one for one in sys.path if os.path.realpath(one) != own])
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if SETTINGS in os.environ:
    try:
        _start()
    except BaseException as error:
        os.write(2, f"weighbridge guard: this process cannot be guarded, so it ends: {error}\n".encode())
        os._exit(UNDECIDED)
_chain()
