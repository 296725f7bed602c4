"""How services name a place in a repository: percent-encoded paths, dotted-out prefixes, fingerprints that stay.

A fingerprint is made of the file's content, the place in it and the rule, so that a finding keeps its identity when
the model moves or is weighed again, and loses it when the file changes.
"""

import hashlib
from urllib.parse import quote

from weighbridge.core.finding import Place
from weighbridge.core.text import visible


def repository_path(prefix: str, path: str) -> str:
    """The path of a model's file in the repository that holds the model at `prefix`."""
    front = prefix.strip("/")
    return f"{front}/{path}" if front and front != "." else path


def uri(path: str) -> str:
    """A relative URI reference; bytes of a file name that are not UTF-8 keep their value."""
    try:
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that no file name has, from a name inside a document
        raw = visible(path).encode()
    return quote(raw, safe="/") or "."


def fingerprint(digest: str, place: Place, rule: str) -> str:
    """SHA-256 hex over the digest of the file (or else of the model, or ""), the place in it and the rule."""
    fields = ("weighbridge.fingerprint/v1", digest, place.path, place.where, rule)
    record = b"".join(
        len(raw).to_bytes(8, "big") + raw for raw in (f.encode("utf-8", "surrogatepass") for f in fields)
    )
    return hashlib.sha256(record).hexdigest()
