"""`https://host/file`: one file that a web server serves by ranges."""

from urllib.parse import unquote, urlsplit

from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.text import visible
from weighbridge.store.remote.http import Client, File, refuse_plain
from weighbridge.store.remote.ranges import RemoteFiles


def open_reference(reference: str) -> Artifact:
    """One file. Raises `UsageError` (`plain-http`, `no-ranges`, `no-such-path`) and `BrokenError` (`network`)."""
    refuse_plain(reference)
    name = unquote(urlsplit(reference).path.rstrip("/").rpartition("/")[2]) or "download"
    name = visible(name.replace("/", "_").replace("\0", "_"), 200)
    file = File(Client(), reference, name)
    member = Member(name, file.size())
    return Artifact(
        remote=True, name=name, files=RemoteFiles({name: file.fetch}), members=(member,), single=True
    )
