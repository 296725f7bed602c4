"""The rule `workspace-runs-code`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.json import JsonReading
from weighbridge.formats.reading import Reading
from weighbridge.scan.deployments import deployment, workflow
from weighbridge.scan.rule import Rule
from weighbridge.scan.workspaces import (
    assistant,
    container,
    direnv,
    editor,
    editor_script,
    idea,
    servers,
    tasks,
)

_JSON = (
    (late(r"(^|/)\.(vscode|zed|theia)/settings\.json$|\.code-workspace$", needs=("/settings.json", ".code-workspace")), editor),
    (late(r"(^|/)\.(vscode|zed)/(tasks|launch|debug)\.json$|\.code-workspace$", needs=("/tasks", "/launch", "/debug", ".code-workspace")), tasks),
    (late(r"(^|/)(\.devcontainer\.json|\.devcontainer/([^/]+/)?devcontainer\.json)$", needs=(".devcontainer",)), container),
    (late(r"(^|/)(\.(claude|gemini|qwen)/settings(\.local)?|\.cursor/(hooks|cli)|\.claude/[\w-]+/hooks)\.json$|\.kiro\.hook$", needs=("/settings", ".cursor/", ".claude/", ".kiro.hook")), assistant),
    (late(r"(^|/)(\.?mcp|mcp_config|mcp_settings|cline_mcp_settings)\.json$|(^|/)\.(gemini|qwen|zed)/settings\.json$", needs=("mcp", "/settings.json")), servers),
)  # fmt: skip
_TEXT = (
    (late(r"(^|/)\.idea/.+\.xml$|\.run\.xml$|(^|/)\.idea/[^/]+\.iml$", needs=(".idea/", ".run.xml")), idea),
    (late(r"(^|/)(\.exrc|\.n?vimrc|\.lvimrc|\.nvim\.lua|\.dir-locals(-2)?\.el|\.local\.vim)$", needs=(".exrc", "vimrc", ".nvim.lua", ".dir-locals", ".local.vim")), editor_script),
    (late(r"(^|/)\.envrc$", needs=(".envrc",)), direnv),
)  # fmt: skip
MAX_FINDINGS = 20


class Seen(NamedTuple):
    """What the settings do, in words."""

    line: int | None
    message: str
    harm: bool


class WorkspaceRunsCode(Rule):
    """
    ## What it does
    Reads the settings that editors, development containers and coding assistants take from the folder they open (`.vscode`,
    `.devcontainer`, `.idea`, `.claude`, `.cursor`, `.gemini`, `.zed`, `mcp.json`, `.envrc`, `.exrc`): programs and
    interpreters out of the folder, tasks and hooks that start by themselves, servers that are started, commands on the
    machine itself, rights that are given without asking, addresses to which keys would go. And what starts containers and
    workflows (Compose, MLflow projects, Kubernetes, GitHub): mounts of the machine's own files, steps of workflows that run
    what strangers write or send secrets.

    ## Why is this bad?
    A model's folder is opened to look at it. These settings turn looking into running: the editor starts the interpreter it
    is told of, the assistant its hooks. Programs of the folder, hooks, and rights without asking are errors; tasks, servers
    and containers that start something known by name alone are undecided.

    ## Example
    ```json
    {"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "./weighbridge-sample.sh"}]}]}}
    ```

    ## Use instead
    A model without settings of its author's tools.

    ## Known problems
    Only settings that are known to start something are told; extensions have more.

    ## References
    - https://code.visualstudio.com/docs/editing/workspaces/workspace-trust
    - https://containers.dev/implementors/json_reference/
    """

    name = "workspace-runs-code"
    summary = "settings for an editor, container or assistant start programs when the folder is opened"
    severity = Severity.ERROR
    formats = ("json", "yaml", "xml", "text", "script")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Twenty findings a file at most."""
        name = (place.parts[-1] if place.parts else place.path).replace("\\", "/")
        for seen in list(_seen(reading, name))[:MAX_FINDINGS]:
            where = replace(place, line=seen.line)
            message = visible(seen.message, 200)
            if seen.harm:
                yield self.finding(where, message)
            else:
                yield self.finding(where, message, severity=Severity.WARNING, doubt=True)


def _seen(reading: Reading, name: str) -> Iterator[Seen]:
    if isinstance(reading, JsonReading):
        for path, message, harm in (*deployment(name, reading), *workflow(name, reading)):
            yield Seen(reading.line(path), message, harm)
        for pattern, look in _JSON:
            for path, message, harm in look(reading.objects) if pattern.search(name) else ():
                yield Seen(reading.line(path), message, harm)
        return
    text: str = getattr(reading, "text", "")
    for pattern, look_text in _TEXT:
        for at, message, harm in look_text(text) if pattern.search(name) else ():
            yield Seen(text.count("\n", 0, at) + 1, message, harm)
