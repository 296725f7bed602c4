"""What the settings in a folder make editors, development containers and coding assistants start.

Each function takes the objects of one JSON document, or one text, and yields (place, words, whether it is harm). What is
not harm is something that nobody can judge from here. Settings that only say how things look are not mentioned at all.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from weighbridge.core.pattern import late
from weighbridge.formats.json import Path
from weighbridge.scan.shell_commands import harm as harm_of

Objects = Iterable[tuple[Path, dict[str, Any]]]
Told = tuple[Path, str, bool]
TextTold = tuple[int, str, bool]

_PROGRAM_KEY = late(
    r"(?i)(interpreter(Path)?|pythonPath|python|(?<!config)(?<!configuration)(?<!search)(?<!include)(?<!cache)(?<!file)(?<!root)(?<!import)path"
    r"|executable\w*|command|cmd|runtimeExecutable|miDebuggerPath|binary\w*|program)\Z"
)
_HERE = late(
    r"(?i)\s*[\"']?(\$\{workspace(Folder|Root)[^}]*\}|\$\{(containerW|localW)orkspaceFolder\}|\.{1,2}|\$CLAUDE_PROJECT_DIR|\$PWD|\$PROJECT_?DIR\$|\$ProjectFileDir\$)[\"']?[\\/]|\s*[\w.-]+[\\/][\w.\\/-]+$"
)
"""A path into the folder that is opened."""
_SCRIPT = late(r"(?i)\.(sh|bash|zsh|fish|py|js|mjs|ts|rb|pl|lua|ps1|bat|cmd|vbs|exe|scr|com|jar)\b")
_ENVIRONMENT = late(
    r"(?i)(^|[\\/])\.?(v?env[\w.-]*|conda\w*|(ana|mini)conda\d?|miniforge\d?|mambaforge|pyenv|virtualenvs|uv|tox|nox|pixi)[\\/](\S*[\\/])?python[\d.]*(\.exe)?\Z|(^|[\\/])node_modules[\\/]"
)
_INSTALLED = late(
    r"(?i)[\w.+-]+(\.exe)?\Z|(/usr|/opt|/bin|/home/\w|/Users/\w|/root/|~|\$\{?(env:)?HOME|[A-Z]:[\\/](Program Files|Users|Python|tools))"
)
_SHARED = late(r"(?i)/(tmp|var/tmp|dev/shm)/|^\\\\|^//|%temp%|%public%")
_SHELLS = late(
    r"(?i)(^|[\\/])((ba|z|da|k|fi)?sh|cmd|powershell|pwsh|osascript|mshta|wscript|cscript|rundll32)(\.exe)?\Z"
)
_INTERPRETERS = late(r"(?i)(^|[\\/])(python[\d.]*|node|deno|bun|ruby|perl|php|lua|java)(\.exe)?\Z")
_INLINE = late(r"(?:^|\s)(-\w*c|-e|--eval|-p|/c|-Command|-EncodedCommand|-enc)(?:\s|\Z)")
_VARIABLES = late(
    r"(?i)(LD_PRELOAD|LD_AUDIT|DYLD_INSERT_LIBRARIES|PYTHONSTARTUP|BASH_ENV|ENV|PROMPT_COMMAND|NODE_OPTIONS|PERL5OPT|RUBYOPT|GIT_SSH(_COMMAND)?|GIT_EXTERNAL_DIFF|JAVA_TOOL_OPTIONS|PYTHONHOME)\Z"
)
_ADDRESSES = late(r"(?i)(\w*_)?(BASE_URL|API_BASE|ENDPOINT(_URL)?|https?_proxy|all_proxy)\Z")
_FREE = {"chat.tools.autoApprove", "chat.tools.global.autoApprove", "chat.agent.autoApprove", "enableAllProjectMcpServers", "cline.autoApprove"}  # fmt: skip
_HELPERS = {"apiKeyHelper", "awsAuthRefresh", "awsCredentialExport", "gcpAuthRefresh", "otelHeadersHelper"}
_BUILDS = late(r"(on|post|update)(Create|Start|Attach|Content)\w*Command\Z")
_MOUNT = late(
    r"(?i)(^|[ =,:])(source|src)?=?(/,|/:|/etc|/root|/var/run/docker\.sock|/run/docker\.sock|/proc)|(\$\{localEnv:(HOME|USERPROFILE)\}|~)[^,:]*(/\.(ssh|aws|kube|gnupg|config|docker)|[,:]|\Z)"
)
_SAFE_HOST = late(r"\s*(docker\s+(pull|network|volume|compose\s+pull)\b|mkdir\s+-p\s)[^;&|`$<>]*\Z")


def _words(value: Any) -> str:
    """A command as one line, from a text, a list of words, or an object of commands."""
    if isinstance(value, dict):
        return " && ".join(_words(one) for one in value.values())
    return (
        " ".join(str(one) for one in value)
        if isinstance(value, list)
        else value
        if isinstance(value, str)
        else ""
    )


def _starts(command: str, arguments: str = "") -> tuple[str, bool] | None:
    """What starting a command means: in words, and whether it is harm; None for an installed program under its own name."""
    whole = f"{command} {arguments}".strip()
    if what := harm_of(whole)[0]:
        return f"starts what {what}", True
    program, _, behind = command.strip().partition(" ")
    rest = f"{behind} {arguments}".strip()
    if _SHARED.search(program) or _SHARED.search(rest.partition(" ")[0]):
        return f"starts {whole[:80]}, which anybody can put there", True
    if _ENVIRONMENT.search(program):
        return (
            (f"starts the interpreter {program[:80]} of the folder", False) if _HERE.match(program) else None
        )
    if _HERE.match(program) or (_SCRIPT.search(program) and not program.startswith("/")):
        return f"starts {whole[:80]}, a program of the folder", True
    runs = _SHELLS.search(program) or (
        _INTERPRETERS.search(program) and (_INLINE.search(f" {rest}") or _SCRIPT.search(rest))
    )
    if runs and rest:
        return f"starts {whole[:80]}", True
    return None if _INSTALLED.match(program) and not rest else (f"starts {whole[:80]}", False)


def editor(objects: Objects) -> Iterator[Told]:
    """Settings of an editor: the programs it is told to use, and what it may do without asking."""
    for path, item in objects:
        for key, value in item.items():
            here = (*path, key)
            if key in _FREE and value not in (False, None, {}, []):
                yield here, f'"{key}" lets an assistant act without asking', True
            elif key == "task.allowAutomaticTasks" and value in ("on", True):
                yield here, f'"{key}" lets tasks start by themselves', False
            elif ".env." in ".".join(map(str, path)) + ".":
                if isinstance(value, str) and _VARIABLES.match(key):
                    yield here, f'"{key}" has every terminal load {value[:60]}', True
                elif isinstance(value, str) and key.upper() == "PATH" and _HERE.match(value):
                    yield here, f'"{key}" puts programs of the folder first: {value[:60]}', True
            elif _PROGRAM_KEY.search(key) and isinstance(value, str | list) and (text := _words(value)):
                told = _starts(text, _words(item.get("args")) if key in ("path", "command", "cmd") else "")
                if told is not None and not (key.endswith("python") and "/" not in text):
                    yield here, f'"{key}" {told[0]}', told[1]


def tasks(objects: Objects) -> Iterator[Told]:
    """Tasks and debugging: what starts when the folder is opened, and what starts when somebody asks for it."""
    for path, item in objects:
        options = item.get("runOptions")
        itself = isinstance(options, dict) and options.get("runOn") == "folderOpen"
        for key in ("command", "script", "runtimeExecutable", "miDebuggerPath", "pythonPath", "python"):
            if not (text := _words(item.get(key))):
                continue
            told = _starts(text, _words(item.get("args")))
            harm = told is not None and told[1] and (itself or key != "command" or bool(harm_of(text)[0]))
            when = "when the folder is opened" if itself else "when it is asked for"
            if itself or told is not None:
                yield (*path, key), f'"{key}" {told[0] if told else "starts " + text[:80]}, {when}', harm


def container(objects: Objects) -> Iterator[Told]:
    """A development container: commands on the machine itself, commands inside, and what of the machine it is given."""
    for path, item in objects:
        for key, value in item.items():
            here, text = (*path, key), _words(value)
            if key == "initializeCommand" and text:
                harm = not _SAFE_HOST.match(text)
                yield here, f'"{key}" runs on the machine itself when the folder is opened: {text[:80]}', harm
            elif _BUILDS.match(key) and text:
                what = harm_of(text)[0]
                yield here, f'"{key}" runs when the folder is opened: {text[:80]}', bool(what)
            elif key in ("runArgs", "mounts", "workspaceMount"):
                yield from _given(here, value)
            elif key == "privileged" and value is True:
                yield here, "the container may do everything that the machine may", False


def _given(here: Path, value: Any) -> Iterator[Told]:
    for one in value if isinstance(value, list) else [value]:
        text = _words(list(one.values()) if isinstance(one, dict) else one)
        source = (
            f"source={one['source']},"
            if isinstance(one, dict) and isinstance(one.get("source"), str)
            else text
        )
        if _MOUNT.search(source):
            yield here, f"the container is given the machine's own files: {source[:80]}", True
        elif re.match(r"--(privileged|pid=host|cap-add=(ALL|SYS_ADMIN))", text):
            yield here, f"the container may do what the machine may: {text[:60]}", False


def assistant(objects: Objects) -> Iterator[Told]:
    """Settings of a coding assistant: hooks, helpers, rights, and the address that it sends keys to."""
    for path, item in objects:
        for key, value in item.items():
            here, text = (*path, key), _words(value)
            if key == "command" and text and {"hooks", "statusLine", "then"} & {str(step) for step in path}:
                yield here, f"the assistant starts {text[:80]} by itself", True
            elif key in _HELPERS and text:
                yield here, f'"{key}" has the assistant start {text[:80]}', True
            elif (key in _FREE and value is True) or (key == "defaultMode" and value == "bypassPermissions"):
                yield here, f'"{key}" lets the assistant act without asking', True
            elif key == "allow" and isinstance(value, list):
                yield from _allowed(here, value)
            elif _ADDRESSES.match(key) and "://" in text and path[-1:] == ("env",):
                yield here, f'"{key}" has the assistant send its key to {text[:80]}', True


def _allowed(here: Path, rights: list[Any]) -> Iterator[Told]:
    for right in rights:
        if isinstance(right, str) and re.fullmatch(
            r"\*|(Bash|Shell|run_shell_command)(\((\*|:\*)?\))?", right
        ):
            yield here, f"the assistant may run any command without asking: {right}", True
        elif isinstance(right, str) and re.match(
            r"(Bash|Shell)\((curl|wget|sh|bash|python\d?|node|rm|sudo|eval)\b", right
        ):
            yield here, f"the assistant may run this without asking: {right[:60]}", False


def servers(objects: Objects) -> Iterator[Told]:
    """Servers that an assistant starts, or asks, because the folder says so (MCP)."""
    for path, item in objects:
        if not {"mcpServers", "servers", "context_servers"} & set(path[-2:-1]):
            continue
        if text := _words(item.get("command")):
            told = _starts(text, _words(item.get("args")))
            yield (
                (*path, "command"),
                f"an assistant {told[0] if told else 'starts ' + text[:80]}",
                bool(told and told[1]),
            )
        address = item.get("url") or item.get("serverUrl") or item.get("httpUrl")
        if isinstance(address, str):
            local = re.match(r"https?://(localhost|127\.0\.0\.1|\[::1\])", address)
            yield (
                (*path, "url"),
                f"an assistant asks {address[:80]}",
                address.startswith("http://") and not local,
            )


_STARTUP = late(r"<component name=\"ProjectStartup[\s\S]{0,2000}?<configuration\b")
_WATCHER = late(
    r"<TaskOptions isEnabled=\"true\"[^>]*>(?:(?!</TaskOptions>)[\s\S]){0,5000}?name=\"program\" value=\"([^\"]*)\""
)
_RUN = late(
    r"type=\"(ShConfigurationType|BatchConfigurationType|ToolRunConfiguration\w*|js\.build_tools\.npm)\"[\s\S]{0,3000}?</configuration>"
)
_TOOL = late(r"<exec>[\s\S]{0,500}?name=\"COMMAND\" value=\"([^\"]+)\"")


def idea(text: str) -> Iterator[TextTold]:
    """Settings of JetBrains' editors: what starts with the project, with each change, or when it is asked for."""
    if match := _STARTUP.search(text):
        yield match.start(), "a configuration runs when the project is opened", True
    for match in _WATCHER.finditer(text):
        told = _starts(match[1])
        yield (
            match.start(1),
            f"each change of a file {told[0] if told else 'starts ' + match[1][:60]}",
            bool(told and told[1]),
        )
    for match in _RUN.finditer(text):
        yield (
            match.start(),
            f"a command that runs when it is asked for ({match[1]})",
            bool(harm_of(match[0])[0]),
        )
    for match in _TOOL.finditer(text):
        yield match.start(1), f"a tool that starts {match[1][:60]}", False


_VIM = late(
    r"(?m)^[^\"\n]*?((?:^|[\s:|])(?:silent!?\s+)?!\s*\S|\bsystem(list)?\s*\(|\bjob_start\s*\(|\bterm(inal|_start)\b|os\.execute|io\.popen|vim\.(system|loop\.spawn|uv\.spawn|fn\.system)|\bpy(thon|x)?3?\s)"
)
_EMACS = late(
    r"\(\s*eval\s*\.|\beval\s*:|shell-command|call-process|start-process|compile-command|async-shell"
)
_RUNS_EMACS = late(r"shell-command|call-process|start-process|async-shell|\bload(-file)?\s")


def editor_script(text: str) -> Iterator[TextTold]:
    """Scripts of vim, neovim and Emacs that are read with the folder."""
    if match := _VIM.search(text) if "((" not in text else None:
        yield (
            match.start(1),
            f"the editor starts a program: {text[match.start(1) :].strip().splitlines()[0][:60]}",
            True,
        )
    if match := _EMACS.search(text):
        harm = _RUNS_EMACS.search(text) is not None
        yield match.start(), "the editor evaluates an expression of the folder's", harm


_DIRENV = late(
    r"(?m)^\s*(?!#|$|(?:export\s+)?\w+=(?:[^$`\n]|\$(?!\())*$|(use|layout|source_up\w*|dotenv\w*|watch_file|PATH_add|path_add|load_prefix|has|if|fi|else|then)\b)(?P<line>\S.*)$"
)


def direnv(text: str) -> Iterator[TextTold]:
    """`.envrc`, which direnv runs in the shell of whoever enters the folder and allowed it."""
    if match := _DIRENV.search(text):
        line = match["line"].strip()
        told = _starts(
            re.sub(r"^(source|\.|eval|exec)\s+", "./" if line.startswith((". ", "source ")) else "", line)
        )
        yield match.start("line"), f"entering the folder runs {line[:60]}", bool(told and told[1])
