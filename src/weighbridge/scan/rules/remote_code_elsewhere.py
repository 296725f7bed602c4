"""The rule `remote-code-elsewhere`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading, Path, walk
from weighbridge.formats.reading import Reading
from weighbridge.formats.text import TextReading
from weighbridge.scan.rule import Rule

_ATTENTION = ("_attn_implementation_internal", "_attn_implementation", "attn_implementation")
_KERNELS = ("kernel", "kernels", "kernel_config", "hub_kernels", "hub_kernel")
_REPOSITORY = late(r"(?:\w+\|)?[\w.-]+/[\w.-]+(?:@[\w./-]+)?(?::[\w.]+)?\Z")
_ADDRESS = late(r"\w+://|\\\\\w|//\w")
"""An address, or a share on another machine, where the name of a repository or a folder belongs."""
_CLIMBS = late(r"\.\.|~|/tmp/")
_OUTSIDE = late(r"/|~|[A-Za-z]:[\\/]|(\./)?\.\.[\\/]")
_ARCHIVE = late(r"""(?m)^[^/\n#]*\barchive_file["']?[ \t]*:[ \t]*["'](\w+://[^"'\s]{1,300})""")
"""An archive of AllenNLP's, whose config names classes and whose weights are a pickle; in Jsonnet, which is text here."""
_OWN = late(
    r"https://((storage\.googleapis\.com|s3[\w.-]*\.amazonaws\.com)/allennlp|allennlp\.s3[\w.-]*\.amazonaws\.com/)"
)
"""Where AllenNLP's makers keep theirs."""
_REFERENCE = late(r"[\w.-]+/[\w.-]+--[\w./]+\Z|[\w.-]+--[\w./]+\.\w+\Z")


_JSONNET = (".jsonnet", ".libsonnet")


class RemoteCodeElsewhere(Rule):
    """
    ## What it does
    Looks for config values that name code of another repository: `owner/repo--module.Class` in `auto_map` or
    `custom_pipelines`, an attention implementation or kernel that is a repository on a hub, an archive of AllenNLP (`archive_file`)
    at an address.

    ## Why is this bad?
    What was scanned, signed and admitted here is not what will run: the other repository can change at any time. Where
    the private key `_attn_implementation_internal` names one, transformers 4.56 to 5.2 loads and runs it without
    `trust_remote_code`; that is an error. So is an address, or a share of another machine, as the model to build on.

    ## Example
    ```json
    {"_attn_implementation_internal": "example/weighbridge-sample"}
    ```

    ## Use instead
    Ship the code with the model, and choose kernels where the model is used, not in its config.

    ## Known problems
    A kernel from a repository that your organisation controls is reported too.

    ## References
    - CVE-2026-4372
    """

    name = "remote-code-elsewhere"
    summary = "a config asks the loader to run code from another repository"
    severity = Severity.WARNING
    formats = ("json", "yaml", "text")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a value."""
        if isinstance(reading, TextReading) and place.path.endswith(_JSONNET):
            yield from self._jsonnet(reading.text, place)
        if not isinstance(reading, JsonReading):
            return
        seen: set[tuple[Path, str]] = set()
        for path, value in _references(reading):
            if (path, value) in seen:
                continue
            seen.add((path, value))
            error = "_attn_implementation_internal" in path or (
                (_ADDRESS.match(value) is not None or _CLIMBS.match(value) is not None)
                and not _OWN.match(value)
            )
            yield self.finding(
                replace(place, line=reading.line(path)),
                f'key "{path[-1]}" makes the loader run code from {value[:200]}',
                severity=Severity.ERROR if error else None,
                doubt=True,
            )

    def _jsonnet(self, text: str, place: Place) -> Iterator[Finding]:
        for match in _ARCHIVE.finditer(text):
            line = text.count("\n", 0, match.start(1)) + 1
            message = f'key "archive_file" makes the loader run code from {match[1][:200]}'
            severity = None if _OWN.match(match[1]) else Severity.ERROR
            yield self.finding(replace(place, line=line), message, severity=severity, doubt=True)
            return


def _fetched(path: Path, item: dict[str, Any], reading: JsonReading) -> Iterator[tuple[Path, str]]:
    """An environment of MLflow's, or a model of a server's, at an address."""
    python = item.get("python_function")
    env = python.get("env") if isinstance(python, dict) else None
    if isinstance(env, str) and _ADDRESS.match(env):
        yield (*path, "python_function", "env"), env
    handler = item.get("handler") if path == ("model",) else None
    if isinstance(handler, str) and (handler.startswith(("/", "~", "..")) or _ADDRESS.match(handler)):
        yield (*path, "handler"), handler
    if path[-1:] == ("parameters",) and isinstance(reading.value, dict) and "implementation" in reading.value:
        uri = item.get("uri")
        if isinstance(uri, str) and (_ADDRESS.match(uri) or ".." in uri):
            yield (*path, "uri"), uri


def _references(reading: JsonReading) -> Iterator[tuple[Path, str]]:
    for path, item in reading.objects:
        for key in _ATTENTION + _KERNELS:
            for inner, text in walk(item.get(key), (*path, key)):
                if isinstance(text, str) and _REPOSITORY.match(text):
                    yield inner, text
        for key in (
            "base_model_name_or_path",
            "_name_or_path",
            "tokenizer_name_or_path",
            "assistant_model",
            "llm_chain_path",
            "llm_path",
        ):
            text = item.get(key)
            if isinstance(text, str) and _ADDRESS.match(text):
                yield (*path, key), text
        yield from _fetched(path, item, reading)
        text = item.get("archive_file")
        if isinstance(text, str) and (_ADDRESS.match(text) or _OUTSIDE.match(text)):
            yield (*path, "archive_file"), text
        for key in ("auto_map", "custom_pipelines", "custom_generate"):
            for inner, text in walk(item.get(key), (*path, key)):
                if isinstance(text, str) and _REFERENCE.match(text):
                    yield inner, text
