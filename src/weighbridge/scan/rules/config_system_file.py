"""The rule `config-system-file`."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading, Path
from weighbridge.formats.membernames import escapes
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

_PATH_KEY = late(
    r"(?i)(^|_|-|\.)(file|files|filename|path|paths|dir|directory|folder|uri|location|dest|destination|vocab|vocabulary|merges|weights|checkpoint|library|lib)s?\Z"
)
"""Keys whose value some loader opens."""
_SYSTEM = late(
    r"(?i)(file:(//)?)?((\.\.?[/\\])*|/|~/|\$HOME/)?(/?(etc/(passwd|shadow|sudoers|hosts|crontab|cron\.|ld\.so\.preload|ssh/|profile|systemd/|init\.d/|pam\.d/|[\w-]+\Z)|proc/(self|\d+|kcore)|dev/(tcp|mem|sd|nvme)"
    r"|root/\.(ssh|aws|kube|gnupg|bash|profile)|var/run/(docker\.sock|secrets)|run/secrets/)|\.ssh/|\.aws/|\.kube/|\.gnupg/|\.docker/config|\.netrc|\.git-credentials"
    r"|[A-Z]:\\\\?Windows\\)"
)
_WRITTEN = late(
    r"(^|[/\\])(\.(bashrc|zshrc|bash_profile|profile|zprofile|zshenv)|\.config/autostart/|authorized_keys|(site|user)customize\.py|LaunchAgents/)|/(\w+\.pth|cron\.\w+/)"
)
_CLIMBS = late(r"([^\s]*[/\\])?(\.\.[/\\]){3,}")
_SHARE = late(r"\\\\[\w.-]+\\")
_NATIVE_KEY = late(
    r"(?i)(custom_?ops?_?(library|lib|path)|ops_library|plugin_?(path|library|lib)s?|shared_library|native_library|op_library)\Z",
    needs=("lib", "op", "plugin"),
)
_NATIVE = late(r"(?i)\.(so(\.\d+)*|dll|dylib|pyd)\Z")
_CHOICE = late(
    r"(?i)(\A|_)(implementation|backend|activation|hidden_act|act_fn|model_type|quant_method|algorithm|strategy|rope_type|scheduler_type|torch_dtype|dtype|peft_type|task_type|framework|padding_side|lr_scheduler_type|optim|type|kind|method|mode)\Z"
)
"""Keys whose value is one of a few words."""
_UNPICKLED = frozenset(("cache_file", "covariance_file"))
_LOADED = frozenset(("genai_config.json",))
"""Files whose `filename` values are joined to the folder and opened, whatever they hold."""
MAX_FINDINGS = 20


class ConfigSystemFile(Rule):
    r"""
    ## What it does
    Looks in JSON and YAML for paths, under keys that loaders open, of files that belong to the system or to its user
    (`/etc/passwd`, `/proc/self`, `~/.ssh`), of shares in a network, and of folders far above the model, for native
    libraries that a config has loaded, and for chat templates whose name is a path out of the model.

    ## Why is this bad?
    A loader that joins such a path reads the file into a vocabulary, an answer or an error message, and one that follows a
    share gives the user's login away. A library runs when it is loaded.

    ## Example
    ```json
    {"vocab_file": "../../../../etc/passwd"}
    ```

    ## Use instead
    Names of files beside the config.

    ## Known problems
    Paths of the machine on which a model was made (`/home/user/model`) are ordinary and not told.

    ## References
    - CVE-2025-12058 (Keras, a vocabulary's path), CVE-2026-9856 (transformers, the name of a chat template)
    """

    name = "config-system-file"
    summary = "a config has its loader open files of the system, or a native library"
    severity = Severity.ERROR
    formats = ("json", "yaml")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a value, twenty at most."""
        if not isinstance(reading, JsonReading) or isinstance(reading.value, list):
            return
        file = posixpath.basename(place.parts[-1] if place.parts else place.path)
        for path, value, what in islice(_told(reading, file), MAX_FINDINGS):
            yield self.finding(replace(place, line=reading.line(path)), f'"{path[-1]}" {what}: {value[:120]}')


def _told(reading: JsonReading, file: str) -> Iterator[tuple[Path, str, str]]:
    for path, item in reading.objects:
        if path[-1:] == ("refs",):
            yield from _references(path, item)
        if len(item) > 2000:
            continue  # a vocabulary
        for name in _template_names(item):
            yield (
                (*path, "chat_template"),
                name,
                "is saved again outside of the folder, by the name of a template",
            )
        examples = item.get("examples") if "_type" in item else None
        if isinstance(examples, str) and (_CLIMBS.match(examples) or _SYSTEM.match(examples)):
            yield (*path, "examples"), examples, "leads far out of the model's folder"
        for key, value in item.items():
            if isinstance(value, str) and len(value) < 1000 and (what := _meaning(key, value.strip(), file)):
                yield (*path, key), value, what


def _references(path: Path, item: Mapping[str, Any]) -> Iterator[tuple[Path, str, str]]:
    """Chunks of a reference file system (kerchunk) that are pieces of the system's files."""
    for key, value in item.items():
        place = value[0] if isinstance(value, list) and value else None
        if isinstance(place, str) and (_SYSTEM.match(place) or _CLIMBS.match(place)):
            yield (*path, key), place, "is read from a file of the system"


def _template_names(item: Mapping[str, Any]) -> Iterator[str]:
    """Names of chat templates that lead out: saving the tokenizer makes a file of each."""
    templates = item.get("chat_template")
    if isinstance(templates, list):
        names = [one.get("name") for one in templates if isinstance(one, dict)]
    else:
        names = list(templates) if isinstance(templates, dict) else []
    yield from (name for name in names if isinstance(name, str) and escapes(name))


def _meaning(key: str, value: str, file: str) -> str:
    if _NATIVE_KEY.search(key) and _NATIVE.search(value):
        return "has a native library loaded"
    if file in _LOADED and key == "filename" and (value.startswith("/") or ".." in value):
        return "leads out of the model's folder"
    leads = value.startswith(("../", "..\\", "/", "~/", "\\\\")) or "/../" in value
    if leads and _CHOICE.search(key):
        return "is a path where the name of a choice belongs"
    if (
        file == "adapter_config.json"
        and key in _UNPICKLED
        and (value.startswith(("/", "~")) or ".." in value)
    ):
        return "is unpickled from outside of the adapter"
    if key == "param_name" and ".." in value:
        return "leads out of the checkpoint"
    if not _PATH_KEY.search(key):
        return ""
    if _SYSTEM.match(value):
        return "names a file of the system"
    if _CLIMBS.match(value):
        return "leads far out of the model's folder"
    if _WRITTEN.search(value):
        return "names a file from which programs start by themselves"
    return "names a share of another machine" if _SHARE.match(value) else ""
