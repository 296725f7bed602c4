"""JSON with comments, as Visual Studio Code, Zed and development containers read their settings.

Comments and commas before a closing bracket become blanks, so that every place stays where it was. Which files are read
so is a matter of their names: a program that reads strict JSON refuses them.
"""

import re

from weighbridge.core.pattern import late

_NAMES = late(
    r"(?i)(^|/)\.(vscode|zed|theia)/[^/]+\.json$|\.(code-workspace|jsonc|code-snippets|sublime-project)$"
    r"|(^|/)(\.devcontainer\.json|\.devcontainer/([^/]+/)?devcontainer\.json|[jt]sconfig([.-][\w.-]+)?\.json|\.eslintrc\.json)$"
)
_TOKEN = late(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)


def takes_comments(name: str) -> bool:
    """Whether the program that reads a file of this name takes comments in it."""
    return _NAMES.search(name.replace("\\", "/")) is not None


def without_comments(text: str) -> str:
    """The same text, as long as before, with blanks for what strict JSON does not have."""
    bare = _TOKEN.sub(lambda found: found[0] if found[0][0] in '",' else _blank(found[0]), text)
    return _TOKEN.sub(lambda found: " " if found[0] == "," else found[0], bare)


def _blank(text: str) -> str:
    return "".join("\n" if char == "\n" else " " for char in text)
