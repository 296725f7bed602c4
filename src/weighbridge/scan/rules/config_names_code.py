"""The rule `config-names-code`."""

import posixpath
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading, Path
from weighbridge.formats.reading import Reading
from weighbridge.formats.text import TextReading
from weighbridge.scan.config_targets import GETTERS, UNKNOWN, harm, is_dotted, judged
from weighbridge.scan.rule import Rule

KEYS = (
    "_target_",
    "__target__",
    "_component_",
    "loader_module",
    "class_path",
    "cls_path",
    "__class_fullname__",
    "py/object",
    "py/type",
    "py/function",
    "py/reduce",
    "parent_library",
)
"""What some library imports by its dotted name and calls."""
LOOSE = late(
    r"(?i)_?(target|class|cls|type|module|function|func|fn|callable|method|factory|loader|constructor|import|entry_?point"
    r"|handler|hook|callback|initializer|object|impl|implementation|class_name|_class_name|processor|pre_?processor|post_?processor"
    r"|tokenizer_class|model_class|logits_processors?|builder)s?_?\Z"
)
"""Keys that say what to call in one program and something else in another: only harm is told."""
_CHAINS = frozenset(("llm_bash_chain", "pal_chain"))
"""Chains of LangChain that run commands or Python which the model answers with."""
_RUNS = late(
    r"(os|posix|nt)\.(system|popen\w?|exec[lv]\w{0,3}|spawn\w{1,9}|posix_spawnp?)\Z|subprocess\.(run|call|Popen|check_call|check_output|getoutput|getstatusoutput)\Z"
    r"|(builtins|__builtin__|__builtins__)\.(exec|eval|compile|__import__|getattr|open)\Z|importlib\.(import_module|__import__)\Z|runpy\.run_\w+\Z|pty\.spawn\Z"
    r"|shutil\.rmtree\Z|(pickle|dill|cloudpickle|marshal|_pickle)\.loads?\Z|ctypes\.(CDLL|cdll)(\.\w+)?\Z|socket\.create_connection\Z|code\.interact\Z|webbrowser\.open\Z",
    needs=(".",),
)
"""Functions that no setting of a model means, whatever its key is."""
_DATA = late(
    r"(?i)(^|/)(tokenizer\.json|vocab[^/]*\.json|added_tokens\.json|[^/]*\.index\.json|package(-lock)?\.json)$"
)
_RAW = late(r"""["']?\b(_target_|loader_module|class_path)["']?[ \t]*:[ \t]*["']?([\w.:]{3,200})""")
_SETTING = late(
    r"""(?m)^[ \t]{0,40}["']?(_target_|class_path|loader_module|class|\(\))["']?[ \t]*=[ \t]*["']?(__import__\(["']\w{1,40}["']\)\.\w+|[A-Za-z_]\w*(?:\.\w+){1,9})["']?[ \t]*$""",
    needs=("=",),
)
"""A line of TOML or INI that names code: Hydra's keys, and the `class` of a handler, which `logging.config` evaluates."""
_GIN = late(r"(?m)^[\w./]{1,200}[ \t]*=[ \t]*@([A-Za-z_]\w*(?:\.\w+){1,9})(?:\(\))?[ \t]*$", needs=("@",))
"""A binding of gin to what it calls."""
_SETTINGS = (".toml", ".ini", ".cfg", ".conf", ".gin")
_FOREIGN = late(
    r"System\.Diagnostics\.Process\b|System\.Windows\.Data\.ObjectDataProvider\b|System\.Configuration\.Install\.AssemblyInstaller\b"
    r"|com\.sun\.rowset\.JdbcRowSetImpl\Z|javax\.script\.ScriptEngineManager\Z|java\.lang\.(ProcessBuilder|Runtime)\Z"
    r"|org\.apache\.xalan\.xsltc\.trax\.TemplatesImpl\Z|com\.sun\.org\.apache\.xalan\.internal\.xsltc\.trax\.TemplatesImpl\Z",
    needs=(".",),
)
"""Types with which readers of JSON in .NET (`$type`) and Java (`@type`, `@class`) are made to run programs."""
MAX_FINDINGS = 50
"""In one document; the worst come first."""


_TOLD = frozenset(
    (
        "command",
        "note",
        "text",
        "content",
        "description",
        "comment",
        "title",
        "summary",
        "label",
        "message",
        "prompt",
        "name",
    )
)
"""Keys of words for people, or for a shell: a name of Python is neither imported nor called there."""


class ConfigNamesCode(Rule):
    """
    ## What it does
    Looks for config values, in JSON, YAML, TOML, INI and gin, that name a Python class or function which a library imports and calls:
    Hydra's and NeMo's `_target_`, `target` with `params`, Lightning's `class_path`, torchtune's `_component_`, MLflow's
    `loader_module`, PEFT's `parent_library` and `megatron_core`, jsonpickle's `py/…`, the pairs of a diffusers `model_index.json` and `type`
    in a Sentence Transformers `modules.json`. Under other keys of that kind (`func`, `callable`, `class`, …), names that
    do harm are told as well.

    ## Why is this bad?
    The config chooses what is called, with which arguments. A name that reaches the operating system is an error; a class
    under the reviewed prefixes of a known framework is not reported; anything else is undecided.

    ## Example
    ```json
    {"_target_": "os.system", "command": "echo weighbridge-sample"}
    ```

    ## Use instead
    Classes of the library that loads the config, by the path under which the library publishes them.

    ## Known problems
    A class of one's own package is undecided, and stays so until a policy names it.

    ## References
    - CVE-2025-23304 (NeMo), and its siblings in uni2TS and FlexTok: instantiation through Hydra
    """

    name = "config-names-code"
    summary = "a config names Python code that a library imports and calls"
    severity = Severity.WARNING
    formats = ("json", "yaml", "text")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a name."""
        if isinstance(reading, TextReading):
            yield from self._settings(reading.text, place)
        if not isinstance(reading, JsonReading):
            return
        file = place.parts[-1] if place.parts else place.path
        found = [] if _DATA.search(file) else list(dict.fromkeys(_judged(reading, posixpath.basename(file))))
        for path, target, verdict in sorted(found, key=lambda item: item[2] == UNKNOWN)[:MAX_FINDINGS]:
            yield self._finding(replace(place, line=reading.line(path)), str(path[-1]), target, verdict)
        if reading.format == "yaml":
            from weighbridge.formats.yaml import YamlReading  # whoever reads YAML has it already

            if isinstance(reading, YamlReading) and not reading.whole:
                yield from self._unparsed(reading.text, place)

    def _unparsed(self, text: str, place: Place) -> Iterator[Finding]:
        """Harm in plain sight, where the rest of the document could not be followed."""
        for match in _RAW.finditer(text):
            if what := harm(match[2]):
                line = text.count("\n", 0, match.start()) + 1
                yield self._finding(replace(place, line=line), match[1], match[2], what)
                return

    def _settings(self, text: str, place: Place) -> Iterator[Finding]:
        """Harm only: whether anybody calls the other names of a TOML or INI file, the file does not say."""
        suffix = posixpath.splitext(place.parts[-1] if place.parts else place.path)[1].lower()
        if suffix not in _SETTINGS:
            return
        named = [(match.start(), match[1], match[2]) for match in _SETTING.finditer(text)]
        named += [(match.start(), "@", match[1]) for match in _GIN.finditer(text)] if suffix == ".gin" else []
        told = 0
        for start, key, target in named:
            dotted = _plain(target)
            # A handler of `logging` may well open files and sockets.
            meant = key in KEYS or _RUNS.match(dotted)
            if told < MAX_FINDINGS and meant and (what := harm(dotted)):
                told += 1
                yield self._finding(replace(place, line=text.count("\n", 0, start) + 1), key, dotted, what)

    def _finding(self, place: Place, key: str, target: str, verdict: str) -> Finding:
        if verdict == UNKNOWN:
            return self.finding(place, f'key "{key}" makes the loader call {target[:200]}', doubt=True)
        message = f'key "{key}" makes the loader call {target[:200]}, which {verdict}'
        return self.finding(place, message, severity=Severity.ERROR)


def _plain(target: str) -> str:
    """`os.system` of `__import__("os").system`."""
    if not target.startswith("__import__("):
        return target
    module, _, name = target.removeprefix("__import__(").partition(")")
    return module.strip("\"'") + name


def _judged(reading: JsonReading, basename: str) -> Iterator[tuple[Path, str, str]]:
    """(key, name, verdict) of everything that is not harmless."""
    for path, target in _named(reading, basename):
        if verdict := judged(target):
            yield path, target, verdict
    for path, item in reading.objects:
        if item.get("_type") in _CHAINS:
            yield (*path, "_type"), item["_type"], "runs what a model writes"
        for key in ("$type", "@type", "@class"):
            if isinstance(item.get(key), str) and _FOREIGN.match(item[key]):
                yield (*path, key), item[key], "runs programs when the object is read"
        service = item.get("service") if basename in ("bentofile.yaml", "bento.yaml") else None
        if isinstance(service, str) and is_dotted(service) and (what := harm(service)):
            yield (*path, "service"), service, what
        for key, value in item.items() if len(item) <= 2000 else ():
            told = key in KEYS or key in _TOLD or LOOSE.match(key)
            if isinstance(value, str) and not told and _RUNS.match(value):
                yield (*path, key), value, harm(value) or "runs what its arguments say"
        component = bool({"pipeline", "policies", "components"} & {str(step) for step in path})
        for key, value in item.items():
            if key in KEYS or not (LOOSE.match(key) or (component and key == "name")):
                continue
            for target in value if isinstance(value, list) else [value]:
                if isinstance(target, str) and is_dotted(target) and (what := harm(target)):
                    yield (*path, key), target, what


def _named(reading: JsonReading, basename: str) -> Iterator[tuple[Path, str]]:
    for path, item in reading.objects:
        for key in KEYS:
            if key in item:
                for target in _targets(item[key]):
                    if key != "class_path" or "." in target:
                        yield (*path, key), target
        if isinstance(item.get("_target_"), str) and item["_target_"] in GETTERS:
            yield (*path, "path"), item["path"] if isinstance(item.get("path"), str) else "?"
        if _is_instantiated(item):
            yield (*path, "target"), item["target"]
        if item.get("lc") == 1 and item.get("type") == "constructor" and isinstance(item.get("id"), list):
            yield (*path, "id"), ".".join(str(step) for step in item["id"])
        if isinstance(item.get("py/repr"), str):
            yield (*path, "py/repr"), item["py/repr"].partition("(")[0].partition("/")[2] or "builtins.eval"
        yield from _adapter(path, item)
        yield from _bento(path, item, basename)
        if basename == "modules.json" and len(path) == 1 and isinstance(item.get("type"), str):
            yield (*path, "type"), item["type"]
        if basename in ("router_config.json", "config.json") and isinstance(item.get("types"), dict):
            yield from (((*path, "types", k), v) for k, v in item["types"].items() if isinstance(v, str))
    for view in reading.views if basename == "model_index.json" else ():
        yield from _diffusers(view)


def _adapter(path: Path, item: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """What PEFT imports, and puts in the place of layers."""
    if "peft_type" not in item:
        return
    core = item.get("megatron_core")
    if isinstance(core, str) and core != "megatron.core":
        yield (*path, "megatron_core"), core
    for key in ("custom_modules", "_custom_modules"):
        layers = item.get(key)
        for name, value in layers.items() if isinstance(layers, dict) else ():
            if isinstance(value, str):
                yield (*path, key, name), value


def _bento(path: Path, item: dict[str, Any], basename: str) -> Iterator[tuple[Path, str]]:
    """The module with which BentoML loads a model."""
    module = item.get("module")
    ours = path == () and basename == "model.yaml" and "api_version" in item
    if ours and isinstance(module, str) and module.partition(".")[0] != "bentoml":
        yield ("module",), module


def _targets(value: Any) -> Iterator[str]:
    """The name, or `?` for what is there and is none: a mapping, or a list that begins with one."""
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, str) and first:
        yield first
    elif isinstance(first, dict | list):
        yield "?"


def _is_instantiated(item: dict[str, Any]) -> bool:
    """`target` beside `params`, as latent diffusion has it, or at the top of a NeMo config."""
    target = item.get("target")
    if not isinstance(target, str) or not is_dotted(target):
        return False
    return "params" in item or "nemo_version" in item or target.startswith("nemo.")


def _diffusers(view: Any) -> Iterator[tuple[Path, str]]:
    """Libraries that diffusers would import, where they do harm; its rule judges the others."""
    for key, pair in view.items() if isinstance(view, dict) else ():
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) for one in pair):
            target = f"{pair[0]}.{pair[1]}"
            if harm(target):
                yield (key,), target
