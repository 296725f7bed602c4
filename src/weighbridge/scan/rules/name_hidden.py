"""The rule `name-hidden`."""

import re
import unicodedata
from collections.abc import Iterator

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.scan.rule import Folder, Rule

_ENDS = late(r"(^|/)[^/]*[ .](/|$)")
_REORDERS = late("[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]|\u200b[^/]*\\.py$")
"""Characters that show another name than there is, or that a terminal obeys; and a second `module.py` that looks the same."""
_DECEIVES = late(
    r"(?i)\.(safetensors|json|txt|md|png|jpe?g|gguf|onnx)\s*\.(py|sh|exe|bat|cmd|pkl|pickle|pt|pth|so|dll|js|vbs)$"
)


class NameHidden(Rule):
    """
    ## What it does
    Looks for file names that people do not see as they are: control and bidirectional characters, bytes that are no text,
    letters of several scripts in one word, blanks and dots at the end, and double endings such as `.safetensors.pkl`.

    ## Why is this bad?
    `model<U+202E>srosnetefas.pkl` is shown as a safetensors file by many programs. Names like these also differ between
    systems, so that what was signed here is another file there.

    ## Example
    ```
    model.safetensors.pkl
    ```

    ## Use instead
    Short names of letters, digits, `.`, `-` and `_`.

    ## Known problems
    Characters of direction, control characters, and unseen ones in the name of a Python file are errors, the rest warnings.
    Names wholly in one script, such as Chinese or Cyrillic, are ordinary and not reported.

    ## References
    - Unicode Technical Standard 39, section 5.1
    """

    name = "name-hidden"
    summary = "a file's name is not what people see"
    severity = Severity.WARNING
    folder = True

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """One finding a name."""
        for member in folder.artifact.members:
            if reason := hidden(member.path):
                deceives = _REORDERS.search(member.path) is not None
                message = f'the name "{visible(member.path)}" {reason}'
                severity = Severity.ERROR if deceives else None
                yield self.finding(Place(path=member.path), message, severity=severity)


def hidden(path: str) -> str:
    """Why a path does not read as it stands; "" where it does."""
    if path.isascii() and path.isprintable():
        if _ENDS.search(path):
            return "has a part that ends in a blank or a dot"
        return (
            "has two endings, of which the last one counts"
            if path.count(".") > 1 and _DECEIVES.search(path)
            else ""
        )
    categories = {unicodedata.category(char) for char in path}
    if "Cs" in categories:
        return "has bytes that are no text"
    if categories & {"Cc", "Cf", "Co", "Zl", "Zp"}:
        return "has characters that are not shown"
    return "mixes scripts in one word" if any(_mixed(word) for word in re.split(r"[\W_\d]+", path)) else ""


def _mixed(word: str) -> bool:
    scripts = {_script(char) for char in word}
    return "LATIN" in scripts and bool(
        scripts & {"CYRILLIC", "GREEK", "ARMENIAN", "FULLWIDTH", "MATHEMATICAL", "CHEROKEE"}
    )


def _script(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0]
