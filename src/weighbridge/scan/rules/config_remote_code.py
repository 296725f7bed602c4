"""The rule `config-remote-code`."""

import posixpath
from collections.abc import Iterator, Set
from dataclasses import replace
from typing import Any, NamedTuple

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading, Path
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Folder, Rule

_DIFFUSERS_LIBRARIES = frozenset(
    (
        "diffusers",
        "transformers",
        "onnxruntime.training",
        "flax",
        "stable_diffusion",
        "optimum",
        "peft",
        "kandinsky",
    )
)


class Claim(NamedTuple):
    """One key that names a module of this repository."""

    path: Path
    reference: str
    module: str
    """Path of the file without `.py`, relative to the config; "" where no file is named."""
    harm: str = ""
    """What is wrong with it wherever the file stands."""


_OUTSIDE = late(r"(^|[/\\])\.\.|^\.|[/\\]|^[A-Za-z]:|[\x00-\x1f]")
"""What a module's dotted name has in it when it leads out of its folder."""
OUTSIDE = "leads out of the repository"
_REPOSITORY_KEYS = (
    "_name_or_path",
    "name_or_path",
    "pretrained_model_name_or_path",
    "repo_id",
    "model_name_or_path",
)


class ConfigRemoteCode(Rule):
    """
    ## What it does
    Looks for config keys that ask the loader to run Python from the model's own repository: `auto_map`,
    `custom_pipelines`, `custom_generate`, a diffusers `model_index.json` that names a module of its own,
    `trust_remote_code: true` inside a config. Where the named file stands beside the config, it is judged by the Python
    rules; where it does not, the config is undecided. A module outside the repository is an error, and so is a part of a
    config that names another repository and trusts its code.

    ## Why is this bad?
    With `trust_remote_code=True`, loading the model runs that file. Some libraries take the permission from the config
    itself, so that the model asks and grants at once.

    ## Example
    ```json
    {"auto_map": {"AutoModel": "modeling_sample.SampleModel"}}
    ```

    ## Use instead
    A model class that transformers knows, or `trust_remote_code=False` and a signature of somebody you trust.

    ## Known problems
    That the file is proved harmless at import does not say that its arithmetic is what the card promises.

    ## References
    - https://huggingface.co/docs/transformers/custom_models
    - CVE-2026-5241 (a config that turns trust_remote_code on)
    """

    name = "config-remote-code"
    summary = "a config asks the loader to run code from the repository"
    severity = Severity.WARNING
    formats = ("json", "yaml")
    folder = True

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Configs inside other files, and those too large to be kept for the folder."""
        if isinstance(reading, JsonReading) and (place.parts or not reading.keep):
            yield from self._found(reading, place, frozenset())

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """Configs of the artifact, with the files they name."""
        present = frozenset(member.path for member in folder.artifact.members)
        for path, readings in folder.readings.items():
            for reading in readings:
                if isinstance(reading, JsonReading):
                    yield from self._found(reading, Place(path=path), present)

    def _found(self, reading: JsonReading, place: Place, present: Set[str]) -> Iterator[Finding]:
        seen: set[Claim] = set()
        for claim in claims(reading, posixpath.basename(place.parts[-1] if place.parts else place.path)):
            if claim not in seen:
                seen.add(claim)
                yield self._finding(reading, place, claim, present)

    def _finding(self, reading: JsonReading, place: Place, claim: Claim, present: Set[str]) -> Finding:
        line = reading.line(claim.path)
        trail = (f"{line}  {line_text(reading.text, line)}",)
        if claim.harm:
            message = f"{claim.reference}: {claim.harm}"
            return self.finding(replace(place, line=line), message, severity=Severity.ERROR, trail=trail)
        base = posixpath.dirname(place.path)
        target = posixpath.normpath(posixpath.join(base, f"{claim.module}.py")) if claim.module else ""
        here = target in present
        what = f"asks the loader to run {claim.reference}" if claim.module else f"sets {claim.reference}"
        note = "" if here or not claim.module else "; that file is not here"
        return self.finding(replace(place, line=line), f"{what}{note}", doubt=not here, trail=trail)


def claims(reading: JsonReading, basename: str) -> Iterator[Claim]:
    """Every key of a config that names code of its own repository."""
    for path, item in reading.objects:
        yield from _auto_map(path, item)
        if item.get("trust_remote_code") is True:
            yield Claim((*path, "trust_remote_code"), "trust_remote_code: true", "", _flip(path, item))
        generate = item.get("custom_generate")
        if isinstance(generate, str) and generate:
            yield Claim((*path, "custom_generate"), f"custom_generate of {generate[:100]}", "?")
        custom = item.get("custom_pipelines")
        for task, one in custom.items() if isinstance(custom, dict) else ():
            implementation = one.get("impl") if isinstance(one, dict) else None
            if isinstance(implementation, str):
                yield _claim((*path, "custom_pipelines", task), implementation)
    for view in reading.views if basename == "model_index.json" else ():
        if isinstance(view, dict):
            yield from _diffusers(view)


def _flip(path: Path, item: dict[str, Any]) -> str:
    """A part of a config that says which repository to load, and to trust it (CVE-2026-5241)."""
    named = any(isinstance(item.get(key), str) and "/" in item[key] for key in _REPOSITORY_KEYS)
    if (
        (path and named)
        or (named and item.get("model_type") in ("lightglue", "superglue"))
        or (path and "auto_map" in item)
    ):
        return "makes the loader run code of the repository that stands beside it, without asking"
    return ""


def _auto_map(path: Path, item: dict[str, Any]) -> Iterator[Claim]:
    mapping = item.get("auto_map")
    if isinstance(mapping, str):
        yield _claim((*path, "auto_map"), mapping)
    for key, inner in mapping.items() if isinstance(mapping, dict) else ():
        for reference in inner if isinstance(inner, list) else [inner]:
            if isinstance(reference, str):
                yield _claim((*path, "auto_map", key), reference)


def _claim(path: Path, reference: str) -> Claim:
    own = reference.rpartition("--")[2]
    if _OUTSIDE.search(own):
        return Claim(path, reference[:200], "?", OUTSIDE)
    module = "" if "--" in reference else reference.rpartition(".")[0].replace(".", "/")
    return Claim(path, reference[:200], module or "?")


def _diffusers(value: dict[str, Any]) -> Iterator[Claim]:
    for key, pair in value.items():
        if key == "_class_name" and isinstance(pair, list) and pair and isinstance(pair[0], str):
            yield Claim((key,), f"{pair[0]}.{pair[-1]}", pair[0])
        elif (
            isinstance(pair, list)
            and len(pair) == 2
            and all(isinstance(one, str) for one in pair)
            and pair[0].partition(".")[0] not in _DIFFUSERS_LIBRARIES
        ):
            harm = OUTSIDE if _OUTSIDE.search(pair[0]) or _OUTSIDE.search(key) else ""
            yield Claim((key,), f"{pair[0]}.{pair[1]}", f"{key}/{pair[0]}", harm)


def line_text(text: str, line: int) -> str:
    """One line of a document, for trails."""
    lines = text.splitlines()
    return lines[line - 1].strip()[:160] if 0 < line <= len(lines) else ""
