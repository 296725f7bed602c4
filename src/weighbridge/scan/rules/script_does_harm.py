"""The rule `script-does-harm`."""

import re
from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.reading import Reading
from weighbridge.formats.text import TextReading
from weighbridge.scan.rule import Rule
from weighbridge.scan.rules.text_active import COPIED
from weighbridge.scan.shell_commands import harm

_NAMES = late(
    r"(?i)(^|/)(\w*dockerfile[\w.-]*|containerfile|makefile|gnumakefile|jenkinsfile|vagrantfile|procfile|justfile|rakefile|crontab|\.envrc|\.env"
    r"|\.?bashrc|\.?zshrc|\.?profile|\.bash_profile|\.gitmodules|\.gitconfig|\.lfsconfig|\.npmrc|\.pypirc|config\.pbtxt|\.rprofile(\.site)?|\.renviron|mlproject|post-?install|pre-?commit|post-?(checkout|merge|commit))$"
    r"|\.(m|mk|dockerfile|service|timer|conf|inf|cmake|nix|tf|gradle)$|(^|/)\.git/(hooks/[\w-]+|config)$|(^|/)(tox\.ini|setup\.cfg|noxfile\.\w+|packages\.txt|apt\.txt|\.gitattributes"
    r"|postbuild|prebuild|start|\.condarc|pip\.conf|\.yarnrc|\.tool-versions|appveyor\.yml)$"
    r"|\.(cntk|bs|ndl|mel|prototxt|cfg|ini|config|properties|toml)$"
)
"""Texts without a script's suffix that some tool runs."""
_LINK = late(r"(?im)^\s*(URL|IconFile|Exec|TryExec|Target|WorkingDirectory)\s*=\s*(.+)$")
_DOS = late(r"(?i)^(file:|\\\\|javascript:|vbscript:|data:|ms-\w+:|search-ms:|smb:)")
_WSH = late(
    r"(?i)WScript\.Shell|ActiveXObject\s*\(\s*[\"'](WScript|Shell|ADODB|Scripting)|CreateObject\s*\(|Shell\.Application|ADODB\.Stream|GetObject\(\s*[\"']winmgmts|eval\s*\(\s*(atob|unescape|String\.fromCharCode)"
    r"|child_process[\"']\s*\)\s*\.\s*(exec|spawn|fork)|new\s+Function\s*\(\s*(atob|unescape)"
)
"""How scripts of browsers and Windows reach the system."""
_GIT = late(
    r"(?im)^\s*(fsmonitor|sshCommand|gitProxy|askpass|hooksPath|editor|pager|external|textconv|smudge|clean|process|helper|uploadpack|receivepack)\s*=\s*(?!\s*(true|false|cat|less|vim?|nano|code|store|cache|osxkeychain|manager(-core)?|git-lfs|\"?git-lfs)\b)\S"
    r"|^\s*(lfs\.)?standalonetransferagent\s*=|^\s*\[lfs\s+\"customtransfer\.|^\s*\w+\s*=\s*\"?!|^\s*url\s*=\s*\"?(-|ext::|fd::|file:)|^\s*path\s*=\s*\"?(\S*/)?\.\.(/|$)|^\s*path\s*=\s*\"?(\.git|/|-)"
)
"""Settings of git that start a program, or attack it (CVE-2018-17456, CVE-2018-11235)."""
_GIT_NAMES = late(r"(?i)(^|/)(\.git/config|\.gitconfig|\.gitmodules|\.gitattributes|\.lfsconfig)$")
_TRITON = late(
    r"(?m)^\s*(backend|runtime|default_model_filename)\s*:\s*\"(\.\.[/\\]|/|~|[A-Za-z]:|[^\"\n]*(/\.\./|\.(so|dll)\b|://))[^\"\n]*"
    r"|key\s*:\s*\"(EXECUTION_ENV_PATH|cmdline|MODEL_REPOSITORY\w*|LIBRARY\w*|plugins?)\"[\s\S]{0,60}?string_value\s*:\s*\"(\.\.|/tmp|~|\w+://)[^\"\n]*"
    r"|key\s*:\s*\"[\w.]*(custom_?op\w*|op_library\w*|plugin\w*|librar\w+)\"[\s\S]{0,60}?string_value\s*:\s*\"[^\"\n]*\.(so|dll)\b"
    r"|\bop_library_filename\s*:\s*\"[^\"\n]+|\b(input_data_file|default_model_filename|backend|runtime)\s*:\s*\"(\.\.[/\\]|/|~)[^\"\n]*"
)
"""Settings of Triton that load a library, or a program out of the model's folder."""
_RUNS = late(r"(?i)\.(cntk|bs|ndl|mel|prototxt)$")
_SETTINGS = late(
    r"(?im)^[^#\n]{0,200}?\b(?:snapshot_prefix|snapshot|net|train_net|test_net|weights|mean_file|source|include|modelPath|file|outputPath|configFile|traceLevelFile|stderr)\b\s*[:=]?\s*\"?(?:/(?:root|home/\w+)/\.|~/\.|/etc/|/var/spool/|/usr/|/proc/|/dev/|\\\\\w|(?:\.\./){2}|\$HOME/\.)[^\"\n]{0,200}"
    r"|^[^#\n]{0,200}?\bexecute\s*=\s*\"?[^\"\n]{1,200}|\b(?:cntk)?binary\w*Path\s*=\s*\"?[^\"\n]{0,100}\.(?:so|dll)\b"
)
"""Paths of the system's and the user's own files in solvers of Caffe and in BrainScript, and programs that are started."""
_HOOK = late(r"(^|/)\.git/hooks/[\w-]+$")
_REGISTRY = late(
    r"(?im)^\s*(@[\w-]+:)?(registry|index|index-url)\s*=\s*[\"']?http://|^\s*(?:ENV\s+|ARG\s+|export\s+)?(?:PIP|UV)_(?:EXTRA_|DEFAULT_)?INDEX(?:_URL)?[\s=]+[\"']?http://|^[ \t]*ADD[ \t]+(--\S+[ \t]+)*http://"
)
_LFS = late(r"(?im)^\s*(\w+\.)?(lfs|push)?url\s*=\s*[\"']?(http://|file:|ssh://-|-)")
_SYSTEM_CALLS: dict[str, re.Pattern[str]] = {
    ".lua": late(r"\b(os\s*\.\s*execute|io\s*\.\s*popen|package\s*\.\s*loadlib|loadstring)\s*\("),
    ".php": late(r"(?i)\b(system|exec|shell_exec|passthru|eval|assert|popen|proc_open)\s*\(\s*(\$_(GET|POST|REQUEST|COOKIE)|base64_decode|gzinflate|str_rot13)"),
    ".pl": late(r"\b(system|exec)\s*[(\s]\s*[\"']\S*(sh|curl|wget|nc)\b"),
}  # fmt: skip
"""Calls that no script beside a model has use for, by the suffix of its language."""
_NEVER = late(
    r"(?i)\.(hta|wsf|vbe|jse|reg|scf|lnk|application|appref-ms|settingcontent-ms|library-ms|search-ms|chm|msc|scr|pif)$"
)


class ScriptDoesHarm(Rule):
    """
    ## What it does
    Looks in scripts, and in files that tools run without being scripts by name (Dockerfiles, Makefiles, services, shortcuts),
    for commands that fetch and run, connect a shell, wipe, stay or send keys away. Kinds of files that only Windows runs, and
    that nobody needs with a model, are errors by themselves.

    ## Why is this bad?
    Somebody will run it: the person who builds the image, the desktop that shows the icon, the editor that opens the folder.

    ## Example
    ```
    RUN curl http://example.com/weighbridge-sample | sh
    ```

    ## Use instead
    Scripts that install named versions from package indexes, and are reviewed like other code.

    ## Known problems
    Only the shapes of harm are known. Every script is undecided by `executable-file` all the same.
    """

    name = "script-does-harm"
    summary = "a script fetches and runs, connects, wipes, stays, or sends keys away"
    severity = Severity.ERROR
    formats = ("script", "text")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a file; two for shortcuts."""
        name = place.parts[-1] if place.parts else place.path
        script = reading.format == "script"
        if (
            not script
            and not (isinstance(reading, TextReading) and _NAMES.search(name))
            and not _is_shortcut(name)
        ):
            return
        text: str = getattr(reading, "text", "")
        if _NEVER.search(name):
            yield self.finding(place, "is of a kind that Windows runs when it is opened")
        what, at = harm(text)
        if what:
            yield self.finding(replace(place, line=text.count("\n", 0, at) + 1), what)
        if script and (match := _WSH.search(text)):
            line = text.count("\n", 0, match.start()) + 1
            yield self.finding(replace(place, line=line), f"reaches the system through {match[0][:40]}")
        yield from self._tools(name, text, place, script=script)
        yield from self._settings(name, text, place)
        yield from self._shortcut(name, text, place)

    def _tools(self, name: str, text: str, place: Place, *, script: bool) -> Iterator[Finding]:
        """Settings of git and package managers, hooks, and scripts of languages that nobody needs here."""
        if _HOOK.search(name):
            yield self.finding(place, "is a hook, which git runs by itself")
        suffix = name[name.rfind(".") :].lower()
        text = _unescaped(text) if name.endswith("config.pbtxt") else text
        for pattern, message in (
            (_GIT if _GIT_NAMES.search(name) else None, "has git start a program"),
            (
                _TRITON if name.endswith("config.pbtxt") else None,
                "has the server load what lies elsewhere, or is native",
            ),
            (_LFS if name.endswith(".lfsconfig") else None, "fetches the weights from elsewhere"),
            (COPIED[1][0], "fetches packages from an address that anybody on the way can change"),
            (_REGISTRY, "fetches packages from an address that anybody on the way can change"),
            (_SYSTEM_CALLS.get(suffix) if script else None, "starts programs"),
        ):
            if pattern is not None and (match := pattern.search(text)):
                line = text.count("\n", 0, match.start()) + 1
                yield self.finding(replace(place, line=line), f"{message}: {match[0].strip()[:80]}")

    def _settings(self, name: str, text: str, place: Place) -> Iterator[Finding]:
        """Definitions of training runs: what they write, open and start."""
        if _RUNS.search(name) and (match := _SETTINGS.search(text)):
            line = text.count("\n", 0, match.start()) + 1
            yield self.finding(
                replace(place, line=line),
                f"opens, writes or starts what is not the model's: {match[0].strip()[:80]}",
            )

    def _shortcut(self, name: str, text: str, place: Place) -> Iterator[Finding]:
        """`.url` and `.desktop` files: what opening them starts."""
        if not _is_shortcut(name):
            return
        for match in _LINK.finditer(text):
            line = text.count("\n", 0, match.start(1)) + 1
            target = match[2].strip()
            word = match[1].lower()
            if _DOS.match(target) or word in ("exec", "tryexec"):
                yield self.finding(replace(place, line=line), f"opening it starts {target[:100]}")
                return


def _unescaped(text: str) -> str:
    """Text of protobuf with the escapes of printable characters written out; lines stay where they are."""

    def plain(found: re.Match[str]) -> str:
        char = chr(int(found[1], 16) if found[1] else int(found[2], 8) & 0xFF)
        return char if char.isprintable() else found[0]

    return re.sub(r"\\(?:[xX]([0-9a-fA-F]{1,2})|([0-7]{1,3}))", plain, text)


def _is_shortcut(name: str) -> bool:
    return name.lower().endswith((".url", ".desktop", ".webloc", ".scf"))
