"""The rule `python-payload`."""

import re
from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.budget import Budget
from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.core.source import MemorySource
from weighbridge.formats.python import PythonReading, Use, read
from weighbridge.formats.reading import Reading
from weighbridge.scan import config_targets, text_harm
from weighbridge.scan import python_names as known
from weighbridge.scan.python_effects import Setting, canonical, danger, effects, is_error
from weighbridge.scan.python_effects.files import inner_setting
from weighbridge.scan.rule import Rule
from weighbridge.scan.shell_commands import ECHOES, USUAL, harm

_RUNNERS = ("builtins.exec", "builtins.eval")
_SHELL_OUT = ("os.dup2", "pty.spawn", "pty.fork")
_STAYS = late(
    r"""["'][^"'\n]{0,200}(\.bashrc|\.zshrc|\.bash_profile|\.zprofile|\.profile|authorized_keys|(site|user)customize\.py)["']"""
    r"""|(getsitepackages|getusersitepackages|site-packages)[^\n]{0,80}\.pth["']"""
    r"""|["'](/etc/(cron|passwd|shadow|sudoers|ld\.so\.preload|systemd/|init\.d/|rc\.local)|/var/spool/cron)"""
    r"""|LaunchAgents|\.config/autostart|Start Menu.{1,4}Programs.{1,4}Startup""",
)
"""Files from which programs start by themselves."""
_SECRETS = late(
    r"""\.ssh/id_(rsa|ed25519|dsa|ecdsa)|\.aws/credentials|/etc/shadow|\.git-credentials|\.kube/config|\.gnupg/|wallet\.dat"""
    r"""|["'](id_rsa|id_ed25519)["']|\.config/gcloud|Login Data|\.docker/config\.json|huggingface/token|["']/etc/passwd["']"""
)
"""Files with keys and tokens of whoever loads the model."""
_EVERYTHING = late(
    r"\b(data|json|params|content|files)\s*=\s*(\w[\w.]*\(|\{[^{}\n]{0,40}:\s*){0,3}os\.environ\b(?!\s*(\[|\.get|\.setdefault))"
)
"""All of the environment, which holds the keys of whoever runs it, as what is sent."""
_TARGET = late(r"""["']_target_["']\s*:\s*["']([\w.:]{3,200})["']""")
_QUERY = late(r"(\A|\.)(query|eval)\Z")
_WRITERS = late(r"(\A|\.)(write_text|write_bytes|writelines|write|copy|copyfile|move|rename|symlink)\Z")


class PythonPayload(Rule):
    """
    ## What it does
    Looks for the shapes that payloads have, wherever they stand in a Python file or notebook: text that is decoded,
    decompressed or downloaded and run at once; shell commands that fetch and run, wipe, or stay; a socket that is tied to
    a shell; files written from which programs start by themselves; keys and tokens read by code that connects; an
    encoding in which comments are code.

    ## Why is this bad?
    No model code does this. It is how droppers, miners and remote shells are written.

    ## Example
    ```python
    exec(base64.b64decode("ZWNobyB3ZWlnaGJyaWRnZS1zYW1wbGU="))
    ```

    ## Use instead
    Nothing: remove the code, and ask how it came there.

    ## Known problems
    A command that is put together at run time is not seen here; `python-import-time-danger` and `python-dangerous-call`
    still report what runs it.
    """

    name = "python-payload"
    summary = "this Python code has the shape of an attack"
    severity = Severity.ERROR
    formats = ("python",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One module, wherever it stands."""
        if not isinstance(reading, PythonReading):
            return
        seen: set[tuple[int, str]] = set()
        cell = (inner_setting(place) or Setting()).cell
        for use, message in (*self._shapes(reading), *(_odd_programs(reading) if cell else ())):
            if (use.line, message) not in seen:
                seen.add((use.line, message))
                trail = (f"{use.line}  {reading.source_line(use.line)}",)
                yield self.finding(replace(place, line=use.line), message, trail=trail)
        for anomaly in reading.anomalies:
            if anomaly.code == "hiding-encoding":
                yield self.finding(place, anomaly.message)
        for named in _TARGET.finditer(reading.text):
            if what := config_targets.harm(named[1]):
                line = reading.text.count("\n", 0, named.start()) + 1
                yield self.finding(replace(place, line=line), f"has {named[1]} called, which {what}")
                break
        for pattern, message in _intentions(reading):
            if match := pattern.search(reading.text):
                line = reading.text.count("\n", 0, match.start()) + 1
                trail = (f"{line}  {reading.source_line(line)}",)
                yield self.finding(replace(place, line=line), message, trail=trail)

    def _shapes(self, reading: PythonReading) -> Iterator[tuple[Use, str]]:
        connects = any(canonical(use.name).startswith("socket.") for use in reading.uses)
        for use in reading.uses:
            name = canonical(use.name)
            if name in _RUNNERS and use.called and any(known.DECODERS.match(inner) for inner in use.inner):
                yield use, "runs code that is decoded or downloaded on the spot"
            if connects and name in _SHELL_OUT:
                yield use, "ties a socket to a shell"
            if use.called and danger(name, True) == known.RUNS:
                words = " ".join(argument for argument in use.arguments if isinstance(argument, str))
                what, _ = harm(words)
                if what or known.SHELLS.search(words):
                    yield use, "runs a shell command that fetches and runs, connects, wipes or stays"
            if use.called and _QUERY.search(name) and _reaches(use):
                yield use, "evaluates a text that reaches for Python's inside"
            if use.called and name in ("pickle.loads", "cPickle.loads", "_pickle.loads") and _calls(use):
                yield use, "unpickles bytes that call a command"
            if use.called and name in _RUNNERS and (does := _code_does(next(iter(use.arguments), None))):
                yield use, f"runs a text as code, which {does}"


def _intentions(reading: PythonReading) -> Iterator[tuple[re.Pattern[str], str]]:
    """What the names of files in a module that writes, or connects, would mean."""
    if any(use.called and _writes(use) for use in reading.uses):
        yield _STAYS, "writes where programs start by themselves"
    reach = {danger(canonical(use.name), use.called) for use in reading.uses}
    if reach & {known.CONNECTS, known.FETCHES}:
        yield _SECRETS, "reads keys of whoever loads it, and connects"
        yield _EVERYTHING, "sends the environment of whoever runs it away"


def _reaches(use: Use) -> bool:
    first = next(iter(use.arguments), None)
    return (
        isinstance(first, str)
        and re.search(r"__(?!(?:file|name|doc|version|path|package)__)\w+__", first) is not None
    )


def _calls(use: Use) -> bool:
    first = next(iter(use.arguments), None)
    return isinstance(first, bytes) and text_harm.harm(first.decode("latin-1")) is not None


def _writes(use: Use) -> bool:
    if use.name == "builtins.open" or use.name.endswith(".open"):
        keywords = dict(use.keywords)
        mode = keywords.get("mode", use.arguments[-1] if use.arguments[1:] else "r")
        return known.WRITES.search(str(mode)) is not None and len(str(mode)) <= 4
    return _WRITERS.search(use.name) is not None


def _code_does(code: object) -> str:
    """What a text does that is run as code; "" where it only computes, or is not known."""
    if not isinstance(code, str | bytes):
        return ""
    data = code.encode("utf-8", "replace") if isinstance(code, str) else code
    inner = read(MemorySource(data), Budget(), "text.py")
    if inner.gaps:
        return ""
    return next((effect.what for effect in effects(inner, Setting()) if is_error(effect, Setting())), "")


def _odd_programs(reading: PythonReading) -> Iterator[tuple[Use, str]]:
    """Programs that a notebook's cell runs and that notebooks have no need of."""
    for use in reading.uses:
        if (
            use.called
            and use.arguments
            and isinstance(use.arguments[0], str)
            and danger(canonical(use.name), True) == known.RUNS
        ):
            words = use.arguments[0]
            if words[:1] not in ("", "…") and (ECHOES.match(words) or not USUAL.match(words)):
                yield use, f"runs a program that notebooks have no need of: {words[:60]}"
