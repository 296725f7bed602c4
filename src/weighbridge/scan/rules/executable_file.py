"""The rule `executable-file`."""

from collections.abc import Iterator

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

NAMES = {
    "elf": "a Linux program or library (ELF)",
    "pe": "a Windows program or library (PE)",
    "ape": "a program for several systems (llamafile, Cosmopolitan)",
    "mach-o": "a macOS program or library (Mach-O)",
    "java-class": "a Java class",
    "wasm": "a WebAssembly module",
    "pyc": "Python byte code without its source",
    "dex": "an Android program (DEX)",
    "lua-bytecode": "Lua byte code",
    "llvm-bitcode": "LLVM bitcode",
    "hermes-bytecode": "Hermes byte code",
    "script": "a script",
}


class ExecutableFile(Rule):
    """
    ## What it does
    Looks for programs, libraries, byte code and scripts by their content, whatever they are called and however deep they
    are packed.

    ## Why is this bad?
    Weights are data. Native code in a model is loaded by custom operators, by import hooks, or by somebody who is told to
    start it, and nobody can read what it does. A script is text and may be harmless: its file is undecided.

    ## Example
    ```
    libsample.so
    ```

    ## Use instead
    Publish code as a package of its own, built and signed apart from the weights.

    ## Known problems
    A llamafile is a program that holds a model; it is reported, and rightly so.
    """

    name = "executable-file"
    summary = "a program, library or script stands in the model"
    severity = Severity.ERROR
    formats = tuple(NAMES)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a file."""
        script = reading.format == "script"
        severity = Severity.WARNING if script else None
        yield self.finding(place, f"this is {NAMES[reading.format]}", severity=severity, doubt=script)
