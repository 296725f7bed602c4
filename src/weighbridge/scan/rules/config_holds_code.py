"""The rule `config-holds-code`."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading, Path
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

_CALL = late(
    r"\s*(?:[\w.]{1,60}\s*=\s*)?(?:__import__\s*\(\s*[\"'][\w.]{1,60}[\"']|(?:exec|eval|compile)\s*\(\s*(?:[\"'`]|compile\b|open\b|__import__|base64|zlib|bytes|requests|urllib|codecs)"
    r"|(?:os|posix|nt)\s*\.\s*(?:system|popen|exec[lv]\w{0,3}|spawn\w{1,9})\s*\(|subprocess\s*\.\s*\w{2,20}\s*\(|(?:builtins|__builtins__)\s*\.\s*\w{2,20}\s*\("
    r"|getattr\s*\(\s*__import__|\(?lambda\b[^:]{0,60}:\s*(?:__import__|os\.|exec\(|eval\()|(?:import|from)\s+(?:os|subprocess|socket|ctypes|pty|shutil|builtins|sys)\b\s*(?:;|\n|import\b)"
    r"|require\s*\(\s*[\"'](?:node:)?(?:child_process|fs|net|vm)[\"']|(?:process\.)?mainModule\.require\s*\(|new\s+Function\s*\(\s*[\"'`]|Java\.type\s*\(|java\.lang\.Runtime\b"
    r"|Runtime\.getRuntime\s*\(|os\.execute\s*\(|io\.popen\s*\(|T\(java\.lang|\$\{\s*(?:jndi|script|env:\w*(?:KEY|TOKEN|SECRET)|T\(|java:)\w*|#\{\s*T\(|c(?:os|posix|nt|subprocess|builtins|__builtin__)\n\w)",
    needs=("(", "import", "from", "lambda", "runtime", "${", "#{", "\n"),
)
"""How a value begins that is a program, and no name, number or sentence."""
_TEXTS = late(
    r"(?i)(^|/)(tokenizer\.json|vocab[^/]*\.json|added_tokens\.json|merges[^/]*|package(-lock)?\.json|[^/]*\.index\.json|[^/]*(rules|lint|bandit|semgrep|results?|examples?|dataset)[^/]*\.(json|jsonl|ya?ml))$",
    needs=("tokenizer.json", "vocab", "added_tokens", "merges", "package", ".index.json", "rules", "lint", "bandit", "semgrep", "result", "example", "dataset"),
)  # fmt: skip
"""Documents that hold texts of people, or quote programs."""
_COMMANDS = frozenset(("source", "code", "text", "content", "output", "prompt", "completion", "description", "example", "examples", "question", "answer", "input", "instruction", "response", "solution"))  # fmt: skip
MAX_FINDINGS = 10
MAX_OBJECTS = 20_000


class ConfigHoldsCode(Rule):
    """
    ## What it does
    Looks in JSON and YAML for values that are a program as a whole: calls of Python, Java, Lua and JavaScript that reach the
    system, imports of system modules, expressions that a logger or a template looks up.

    ## Why is this bad?
    A setting is a number, a name or a path. A program stands there for a loader that evaluates it, which some do:
    for layers' functions, objectives, conditions, lengths.

    ## Example
    ```json
    {"activation": "__import__('os').system('echo weighbridge-sample')"}
    ```

    ## Use instead
    Names of functions that the library has.

    ## Known problems
    Lists, and documents that hold texts of people (examples, results, vocabularies), are not looked at.

    ## References
    - CWE-94, CWE-95
    """

    name = "config-holds-code"
    summary = "a config value is a program"
    severity = Severity.ERROR
    since = "0.1"
    formats = ("json", "yaml")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a value, ten at most."""
        name = place.parts[-1] if place.parts else place.path
        if not isinstance(reading, JsonReading) or isinstance(reading.value, list) or _TEXTS.search(name):
            return
        for path, value in islice(_programs(reading), MAX_FINDINGS):
            where = replace(place, line=reading.line(path))
            yield self.finding(where, f'"{path[-1]}" is a program: {" ".join(value.split())[:100]}')


def _programs(reading: JsonReading) -> Iterator[tuple[Path, str]]:
    for path, item in islice(reading.objects, MAX_OBJECTS):
        if len(item) > 2000:
            continue  # a vocabulary
        for key, value in item.items():
            if key in _COMMANDS:
                continue
            for text in value if isinstance(value, list) else (value,):
                if isinstance(text, str) and 5 < len(text) < 4000 and _CALL.match(text):
                    yield (*path, key), text
                    break
