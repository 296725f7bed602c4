"""The rule `config-shell-command`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading, Path, walk
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule
from weighbridge.scan.shell_commands import harm

_KEYS = late(
    r"(?i)(cmds?|commands?|run|runs|scripts?|shell(_command)?|exec|entry_?point|(before|after)_script|(pre|post)_?install|prepare|install"
    r"|setup(_script)?|(on|post|update)\w*command|args|hooks?|startup|init(ialize)?_?(command|script)?|bash|build|test|start|healthcheck)\Z",
    needs=("cmd", "command", "run", "script", "shell", "exec", "entry", "install", "prepare", "setup", "args", "hook", "start", "init", "bash", "build", "test", "healthcheck"),
)  # fmt: skip
_HOOKS = frozenset(("preinstall", "postinstall", "install", "preprepare", "prepare"))
"""What npm runs by itself (`package.json`, `scripts`)."""
_BUILT = frozenset(
    ("setup_script", "dockerfile_template", "postCreateCommand", "onCreateCommand", "postStartCommand")
)
"""What BentoML and development containers run when something is built or opened."""
_COMMAND = late(
    r"\s*((ba|z|da)?sh\s+-\w*c\b|(curl|wget)\s+\S|powershell(\.exe)?\s+-|cmd(\.exe)?\s+/c|nc\s+-|python3?\s+-c\b)",
    needs=("sh", "curl", "wget", "cmd", "nc", "python"),
)
"""How a value begins that can be nothing but a command."""
MAX_FINDINGS = 20


class ConfigShellCommand(Rule):
    """
    ## What it does
    Looks in JSON and YAML for shell commands under keys that some tool runs (`command`, `run`, `script`, `postinstall`, …)
    and says which of them fetch and run, connect a shell, wipe, stay or send keys away. Commands that run by themselves when
    something is installed, built or opened are undecided.

    ## Why is this bad?
    Build files, workflows and tool configs travel with models, and are run by whoever builds, deploys or opens the folder.

    ## Example
    ```yaml
    docker:
      setup_script: ./weighbridge-sample.sh
    ```

    ## Use instead
    Images and packages that were built before, and are signed by themselves.

    ## Known problems
    Only the shapes of harm are known; a command with another shape is not told.
    """

    name = "config-shell-command"
    summary = "a config holds a shell command that does harm, or runs by itself"
    severity = Severity.ERROR
    formats = ("json", "yaml")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a command."""
        if not isinstance(reading, JsonReading):
            return
        found = 0
        for path, text in _commands(reading):
            what, _ = harm(text)
            itself = _opens(reading, path) or path[-1] in _BUILT or (path[-1] in _HOOKS and "scripts" in path)
            if not what and not itself:
                continue
            found += 1
            if found > MAX_FINDINGS:
                return
            where = replace(place, line=reading.line(path))
            if what:
                yield self.finding(where, f'the command under "{path[-1]}" {what}')
            else:
                message = f'"{path[-1]}" runs by itself: {text.strip()[:100]}'
                yield self.finding(where, message, severity=Severity.WARNING, doubt=True)


def _opens(reading: JsonReading, path: Path) -> bool:
    """Whether the command is a task that the editor runs when it opens the folder."""
    for where, item in reading.objects:
        options = item.get("runOptions")
        if where == path[:-1] and isinstance(options, dict) and options.get("runOn") == "folderOpen":
            return True
    return False


def _commands(reading: JsonReading) -> Iterator[tuple[Path, str]]:
    config = not isinstance(reading.value, list)
    for path, item in reading.objects:
        for key, value in item.items():
            if (config and isinstance(value, str) and len(value) < 500 and _COMMAND.match(value)) or (
                isinstance(value, str) and (_KEYS.match(key) or key in _BUILT or path[-1:] == ("scripts",))
            ):
                yield (*path, key), value
            elif isinstance(value, list) and _KEYS.match(key):
                text = _joined(value)
                if text:
                    yield (*path, key), text


def _joined(value: list[Any]) -> str:
    """A list of words, or of lines, as one command; whatever the shell or `exec` makes of it."""
    words = [item for _, item in walk(value[:200]) if isinstance(item, str)]
    return " ".join(words) if any(len(word) < 40 for word in words) else "\n".join(words)
