"""Whether a string that stands in a model is a program, or leads to one: commands, calls, paths out of the folder.

For places where a model of numbers holds names and settings, such as attributes, parameters and notes. It is no search for
words: each pattern is a whole call, command or path that no name or setting of a real model is.
"""

import re
from collections.abc import Container
from typing import NamedTuple

from weighbridge.core.pattern import late

_SHELLS = r"(?:ba|z|da|k|c)?sh"
OUTSIDE = "a path that leads out of the model's folder"
MAX_LOOKED = 64 * 1024


class _Pattern(NamedTuple):
    words: str
    needles: tuple[str, ...]
    """In lower case; without one of them the pattern cannot match, and looking for them is a hundred times quicker."""
    pattern: re.Pattern[str]


def _pattern(words: str, needles: str, pattern: str) -> _Pattern:
    return _Pattern(words, tuple(needles.split()), late(pattern))


_PATTERNS: tuple[_Pattern, ...] = (
    _pattern(
        "a Python call that runs a command",
        "system popen exec spawn",
        r"\b(?:os|posix|nt)\s{0,9}\.\s{0,9}(?:system|popen|exec[lv]\w{0,3}|spawn\w{1,9})\s{0,9}\(",
    ),
    _pattern(
        "a Python call that starts a program",
        "subprocess",
        r"\bsubprocess\s{0,9}\.\s{0,9}(?:run|call|check_call|check_output|Popen|getoutput)\b",
    ),
    _pattern(
        "a Python call that imports a module",
        "__import__ importlib",
        r"\b__import__\s{0,9}\(|\bimportlib\s{0,9}\.\s{0,9}import_module\s{0,9}\(",
    ),
    _pattern(
        "Python code that is run from text",
        "eval exec",
        r"\b(?:eval|exec)\s{0,9}\(\s{0,9}(?:[\"'bcofr_]|__|requests|urllib|zlib|marshal)",
    ),
    _pattern(
        "a Python import of a system module",
        "import from",
        r"(?:^|[;\n\"'(])\s{0,99}(?:import|from)\s{1,9}(?:os|subprocess|socket|ctypes|pty|shutil|builtins)\b",
    ),
    _pattern("Python's way out of a sandbox", "__", r"__(?:subclasses|globals|builtins|reduce|reduce_ex)__"),
    _pattern(
        "a pickle that calls a command",
        "call system popen eval exec check_output",
        r"c(?:os|posix|nt|subprocess|builtins|__builtin__)\n(?:system|popen|eval|exec|Popen|call|check_output)\n",
    ),
    _pattern(
        "a Lua call that runs a command",
        "execute popen loadlib",
        r"\b(?:os\s{0,9}\.\s{0,9}execute|io\s{0,9}\.\s{0,9}popen|package\s{0,9}\.\s{0,9}loadlib)\s{0,9}\(",
    ),
    _pattern(
        "Lua code that is run from text",
        "loadstring loadfile dofile",
        r"\b(?:load(?:string|file)|dofile)\s{0,9}\(",
    ),
    _pattern(
        "an R or MATLAB call that runs a command",
        "system shell.exec unix dos",
        r"\b(?:system2?|shell\.exec|unix|dos)\s{0,9}\(\s{0,9}[\"']",
    ),
    _pattern("code that is parsed and run", "parse", r"\beval\s{0,9}\(\s{0,9}parse\s{0,9}\("),
    _pattern(
        "a shell",
        "bin/",
        rf"(?:^|[\s\"'=;|&(!])/(?:usr/)?bin/(?:env\s{{1,9}})?(?:{_SHELLS}|python[0-9.]{{0,9}}|perl|nc)\b",
    ),
    _pattern(
        "a shell command",
        "sh chmod nc",
        rf"\b{_SHELLS}\s{{1,9}}-(?:c|i)\s|\|\s{{0,9}}(?:sudo\s{{1,9}})?{_SHELLS}\b"
        r"|\bchmod\s{1,9}[+0-7]\S{0,9}\s{1,9}\S|\bnc\s{1,9}-[a-z]{0,9}e",
    ),
    _pattern(
        "a download by a command",
        "curl wget",
        r"\b(?:curl|wget)\s{1,9}(?:-\S{1,99}\s{1,9}){0,9}[\"']?https?://",
    ),
    _pattern(
        "a Windows command",
        "powershell cmd mshta regsvr32 certutil",
        r"(?i:\bpowershell(?:\.exe)?\s{1,9}-|\bcmd(?:\.exe)?\s{1,9}/c\b|\bmshta\b|\bregsvr32\b|\bcertutil\s{1,9}-)",
    ),
    _pattern("a script", "<script javascript:", r"(?i:<script\b|\bjavascript:)"),
    _pattern("an expression that a logger looks up", "${jndi:", r"(?i:\$\{jndi:)"),
    _pattern(OUTSIDE, "../ ..\\", r"(?:^|[\s\"'=:/\\])\.\.(?:/|\\\\?)(?:\.\.(?:/|\\\\?)){0,40}\.?[^\s/\\.]"),
    _pattern(
        "a file of the system's",
        "/etc/ /proc/ /root/ .ssh .bashrc",
        r"/etc/(?:passwd|shadow|crontab|cron\.|ld\.so|sudoers|profile)|/proc/self/|/root/\.|/\.ssh/|\.bashrc\b",
    ),
    _pattern("an address of a file", "file://", r"\bfile://"),
    _pattern(
        "a native library",
        ".so .dll .dylib",
        r"(?i:[\w+-]\.(?:so(?:\.[0-9]{1,9}){0,4}|dll|dylib)(?:$|[\s\"',;:]))",
    ),
)


MENTIONED = frozenset(
    {
        "a Python import of a system module", "a download by a command", OUTSIDE, "a file of the system's",
        "an address of a file", "a native library",
    }
)  # fmt: skip
"""What a record of the training, or a line for people, may well speak of."""


def harm(text: str, *, without: Container[str] = ()) -> str | None:
    """What the string is, in words; None for what may stand in a model. `without`: words that do not count here."""
    if len(text) < 6:
        return None
    short = text[:MAX_LOOKED]
    lower = short.lower()
    for words, needles, pattern in _PATTERNS:
        if words not in without and any(needle in lower for needle in needles):
            found = pattern.search(short)
            if found is not None and not (words == OUTSIDE and _in_a_sentence(short, found.start())):
                return words
    return None


def _in_a_sentence(text: str, at: int) -> bool:
    """One step up, named between the words of a note (`see ../readme`): nothing opens it."""
    return text[at].isspace() and "../.." not in text and len(text.split()) > 2
