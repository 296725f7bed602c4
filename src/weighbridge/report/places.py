"""How services name a place in a repository: percent-encoded paths, dotted-out prefixes, fingerprints that stay.

A fingerprint is made of the file's content, the place in it and the rule, so that a finding keeps its identity when
the model moves or is weighed again, and loses it when the file changes.
"""

import hashlib
from urllib.parse import quote

from weighbridge.core.finding import Place
from weighbridge.core.report import Report


def repository_path(prefix: str, path: str) -> str:
    """The path of a model's file in the repository that holds the model at `prefix`."""
    front = prefix.strip("/")
    return f"{front}/{path}" if front and front != "." else path


def uri(path: str) -> str:
    """A relative URI reference; bytes that are not UTF-8 keep their value."""
    return quote(path.encode("utf-8", "surrogateescape"), safe="/") or "."


def fingerprint(report: Report, place: Place, rule: str) -> str:
    """SHA-256 hex over the file's digest (or the model's, or none), the place in it and the rule."""
    digests = {file.path: file.sha256 for file in report.files}
    return fingerprint_of(digests.get(place.path) or report.subject.files_digest or "", place, rule)


def fingerprint_of(digest: str, place: Place, rule: str) -> str:
    """See `fingerprint`; for callers that look many places up."""
    fields = ("weighbridge.fingerprint/v1", digest, place.path, place.where, rule)
    record = b"".join(
        len(raw).to_bytes(8, "big") + raw for raw in (f.encode("utf-8", "surrogateescape") for f in fields)
    )
    return hashlib.sha256(record).hexdigest()
