"""Models that are not here: `hf://`, `https://`, `s3://` and `oci://` references as artifacts that are read by ranges.

    ranges   a Source that fetches only the pages somebody asks for, and counts them
    http     one polite HTTP client: ranges, tags, redirects, tokens that never leave their host
    hub      hf://[datasets/]org/name[@revision][/path]
    oci      oci://host/repository[:tag][@sha256:…]
    s3       s3://bucket/prefix (extra `s3`)
    web      https://host/file

Nothing is written to disk but a temporary file of the pages that were fetched. A store's own statement about a digest
(`Stated`) is kept apart from what was measured: it is a claim until somebody trusted signed the same.
"""

from collections.abc import Callable
from importlib import import_module

from weighbridge.core.artifact import Artifact
from weighbridge.core.errors import UsageError
from weighbridge.core.text import visible

__all__ = ["SCHEMES", "is_remote", "open_remote"]

SCHEMES = {"hf": "hub", "https": "web", "http": "web", "s3": "s3", "oci": "oci"}


def is_remote(reference: str) -> bool:
    """Whether the text is a reference to a model that is not here."""
    scheme, mark, _ = reference.partition("://")
    return bool(mark) and scheme.lower() in SCHEMES


def open_remote(reference: str) -> Artifact:
    """List the model. Raises `UsageError` (`bad-reference`, `no-such-path`) and `BrokenError` (`network`)."""
    scheme, _, rest = reference.partition("://")
    if not rest:
        raise UsageError("bad-reference", f'"{visible(reference)}" names no model')
    module = import_module(f"weighbridge.store.remote.{SCHEMES[scheme.lower()]}")
    opened: Callable[[str], Artifact] = module.open_reference
    return opened(reference)
