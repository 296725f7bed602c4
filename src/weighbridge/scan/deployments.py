"""What files that start containers and workflows are given: the machine's own files, its rights, and secrets.

For Compose files, MLflow projects, Kubernetes objects and workflows of GitHub. Each function takes the objects of one
document and yields (place, words, whether it is harm); what is not harm is something that nobody can judge from here.
"""

import re
from collections.abc import Iterator
from typing import Any

from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading
from weighbridge.scan.workspaces import Objects, Told

_SOURCE = late(
    r"(?i)\s*(/|[A-Z]:[\\/]?|/etc(/(?!localtime\b|timezone\b|ssl\b|pki\b|ca-certificates|resolv\.conf|hosts\b|machine-id\b|nginx|nvidia|vulkan|OpenCL).*)?|/(root|home|proc|sys|boot|usr|var|dev)/?"
    r"|/(var/)?run/(docker|containerd/containerd|podman/podman|crio/crio)\.sock|/var/lib/(docker|kubelet)(/.*)?|/dev/(sd|nvme|vd|mem|kmem)\S*|/proc/.*"
    r"|(~|\$\{?(env:)?HOME\}?|/home/[\w.-]+|/root)(/?|/\.(ssh|aws|kube|gnupg|docker|netrc|git-credentials|config/gcloud|huggingface)(/.*)?))\s*\Z"
)
"""Folders and sockets of the machine through which a container takes it over, or reads keys."""
_NAMES = late(
    r"(?i)(^|/)((docker-|podman-)?compose[\w.-]*\.ya?ml|MLproject|mlproject\.ya?ml|chart\.ya?ml|devspace\.ya?ml|skaffold\.ya?ml)$",
    needs=("compose", "mlproject", "chart.y", "devspace.y", "skaffold.y"),
)
_WORKFLOW = late(
    r"(?i)(^|/)\.(github|gitea|forgejo)/workflows/[^/]+\.ya?ml$|(^|/)action\.ya?ml$",
    needs=("/workflows/", "action.y"),
)
_SAID = late(
    r"\$\{\{[^}]{0,200}\bgithub\.event\.(issue|pull_request|comment|review|review_comment|discussion|head_commit|commits|pages|workflow_run)\b[^}]{0,100}\b(title|body|message|page_name|name|email|display_title)\b[^}]{0,100}\}\}"
)
_BRANCH = late(
    r"\$\{\{[^}]{0,200}\b(github\.head_ref|github\.event\.\w+\.head\.(ref|label))\b[^}]{0,100}\}\}"
)
_RUNS_BRANCH = late(r"\|\s*(ba|z)?sh\b|\beval\b|\b(ba|z)?sh\s+-c\b")
_ALL_SECRETS = late(r"(?i)\$\{\{[^}]{0,100}\btoJSON\s*\(\s*secrets\s*\)")
_SENDS_SECRET = late(
    r"(?i)\b(curl|wget|nc|Invoke-WebRequest)\b[^\n]{0,500}\$\{\{\s*secrets\.[^\n]{0,500}\bhttp://|\b(curl|wget|nc|Invoke-WebRequest)\b[^\n]{0,500}\bhttp://[^\n]{0,500}\$\{\{\s*secrets\."
)
_HEAD = late(r"github\.event\.pull_request\.head\.|github\.head_ref")


def deployment(name: str, reading: JsonReading) -> Iterator[Told]:
    """Volumes and rights of containers, where the document is one that starts them."""
    if _NAMES.search(name):
        yield from _compose(reading.objects)
    if any("apiVersion" in item and "kind" in item for path, item in reading.objects if len(path) < 2):
        yield from _cluster(reading.objects)


def _compose(objects: Objects) -> Iterator[Told]:
    for path, item in objects:
        volumes = item.get("volumes")
        for one in volumes if isinstance(volumes, list) else ():
            source = _source(one)
            if _SOURCE.match(source):
                yield (
                    (*path, "volumes"),
                    f"the container is given the machine's own files: {source[:80]}",
                    True,
                )
        if item.get("privileged") in (True, "true") or item.get("pid") == "host":
            yield path, "the container may do everything that the machine may", False


def _source(volume: Any) -> str:
    if isinstance(volume, dict):
        volume = f"{volume.get('source') or volume.get('src') or ''}:"
    if not isinstance(volume, str):
        return ""
    drive = re.match(r"[A-Za-z]:[\\/][^:]*", volume)
    return drive[0] if drive else volume.partition(":")[0] if ":" in volume else ""


def _cluster(objects: Objects) -> Iterator[Told]:
    for path, item in objects:
        host = item.get("hostPath")
        where = host.get("path") if isinstance(host, dict) else None
        if isinstance(where, str) and _SOURCE.match(where):
            yield (*path, "hostPath"), f"the container is given the machine's own files: {where[:80]}", True
        for key in ("privileged", "hostPID", "hostNetwork", "hostIPC"):
            if item.get(key) in (True, "true"):
                yield (*path, key), f"the container may do what the machine may: {key}", False


def workflow(name: str, reading: JsonReading) -> Iterator[Told]:
    """Steps that run what strangers wrote, or send secrets away."""
    if not _WORKFLOW.search(name):
        return
    strangers = "pull_request_target" in reading.text
    checked_out = False
    for path, item in reading.objects:
        given = item.get("with")
        if strangers and "checkout" in str(item.get("uses")) and isinstance(given, dict):
            checked_out = (
                checked_out or _HEAD.search(f"{given.get('ref')} {given.get('repository')}") is not None
            )
        text = item.get("run")
        if isinstance(text, str) and (told := _step(text, checked_out=checked_out)) is not None:
            yield (*path, "run"), *told


def _step(text: str, *, checked_out: bool) -> tuple[str, bool] | None:
    if match := _SAID.search(text):
        return f"what a stranger writes becomes part of the command: {match[0][:80]}", True
    if match := _ALL_SECRETS.search(text):
        return f"all secrets become part of a command: {match[0][:60]}", True
    if _SENDS_SECRET.search(text):
        return "a secret is sent over a connection that anybody on the way can read", True
    if checked_out:
        return "what a stranger changed is run with the rights of the repository", True
    if match := _BRANCH.search(text):
        return f"a stranger's name of a branch becomes part of the command: {match[0][:80]}", bool(
            _RUNS_BRANCH.search(text)
        )
    return None
