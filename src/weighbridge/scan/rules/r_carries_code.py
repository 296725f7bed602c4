"""The rule `r-carries-code`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import some, visible
from weighbridge.formats.r.found import Code, RReading
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule
from weighbridge.scan.text_harm import harm

COMMANDS = frozenset(
    """
    system system2 shell.exec dyn.load install.packages download.file sys.source socketConnection
    serverSocket py_run_string py_run_file sourceCpp
    """.split()  # noqa: SIM905 - easier to read than a list
)
"""Functions that start programs, load libraries or open connections. Their names count wherever they stand in code,
since code may call them by name."""
STARTING = COMMANDS | frozenset(("shell", "pipe", "fifo", "source"))
"""The same as functions of a call only; as names of data they are ordinary."""
REACHING = STARTING | frozenset(
    """
    url parse setwd Sys.setenv Sys.chmod writeBin writeLines sink unlink file.remove library.dynam browseURL
    reg.finalizer .External2
    """.split()  # noqa: SIM905 - easier to read than a list
)
"""What code that runs by itself has no business to call. The functions of a model's package may."""
BINDINGS = frozenset({".First", ".First.sys", ".Last", ".Last.sys", ".onLoad", ".onAttach"})
"""Names under which R itself runs a function when a session starts or ends."""
PLAIN = frozenset(
    """
    ~ + - * / ^ : ( { [ [[ $ @ ! & && | || == != < > <= >= %% %/% %in% %*% :: <- = if function quote list c
    cbind rbind numeric character factor ordered data.frame matrix array I log log2 log10 log1p exp expm1
    sqrt abs poly ns bs scale offset interaction as.factor as.numeric as.integer as.character as.formula
    formula mean sum min max round lm glm gam nls loess aov prcomp princomp kmeans stepfun ecdf terms seq
    seq_len seq_along rep length nrow ncol dim names is.na TRUE FALSE NULL cut sin cos tan strata cluster
    Surv
    """.split()  # noqa: SIM905 - easier to read than a list
)
"""Functions that compute from what they are given."""
OWN_PACKAGES = frozenset(
    """
    base stats utils methods graphics grDevices datasets tools parallel splines compiler grid stats4 tcltk
    """.split()  # noqa: SIM905 - easier to read than a list
)
OWN_ALTREPS = frozenset(
    f"{name}:base"
    for name in (
        "compact_intseq", "compact_realseq", "deferred_string", "wrap_real", "wrap_integer", "wrap_logical", "wrap_complex",
        "wrap_raw", "wrap_string", "wrap_list",
    )
)  # fmt: skip
NAMES = {
    "promise": "a promise",
    "forced": "a promise that was kept",
    "closure": "a function",
    "language": "a call",
    "expression": "an expression",
    "bytecode": "byte code",
    "builtin": "a function of R's own",
}


class RCarriesCode(Rule):
    """An R object carries code.

    ## What it does
    Walks the whole stream and looks at every promise, function, call, piece of byte code and reference to a package in it.
    Errors are: a promise whose code does more than compute, or that stands where R would never put it; loose byte code; code
    that starts programs, loads libraries, opens connections, or holds such a command as text; calls outside of a function
    that write or fetch files; a function that R would run by itself when a session starts. Formulas and calls of ordinary
    modelling functions pass; other functions and calls leave the file undecided.

    ## Why is this bad?
    R keeps a promise as soon as somebody looks at the value: reading an object with `readRDS`, or only attaching a package that
    holds it, then runs the expression (CVE-2024-27322). Functions run when the model is printed, updated or asked for a
    prediction.

    ## Example
    ```r
    delayedAssign("x", system("echo weighbridge-sample"), assign.env = e); saveRDS(e, "sample.rds")
    ```

    ## Use instead
    Plain vectors and data frames, or the model's numbers in a format of their own.

    ## Known problems
    Fitted models keep the environment in which they were made, with everything that happened to stand there.

    ## References
    - CVE-2024-27322
    - https://cran.r-project.org/doc/manuals/r-release/R-ints.html#Serialization-Formats
    """

    name = "r-carries-code"
    summary = "an R object carries promises, functions, calls or byte code"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("r",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, RReading):
            return
        for code in reading.codes:
            finding = self._code(code, place)
            if finding is not None:
                yield finding
        for altrep in reading.altreps:
            yield from self._altrep(altrep, place)
        others = [name for name in reading.packages if name not in OWN_PACKAGES]
        if others:
            yield self._doubt(place, f"loading it loads the packages {some(others)}")
        if reading.hooks:
            yield self._doubt(place, "it holds objects that only a hook of the caller's can restore")

    def _code(self, code: Code, place: Place) -> Finding | None:
        what = NAMES[code.kind] + (f' bound to "{visible(code.bound, 60)}"' if code.bound else "")
        where = replace(place, offset=code.offset)
        reason = _harm(code)
        if reason:
            return self.finding(where, f"{what} {reason}")
        if code.kind in ("language", "expression") and code.called <= PLAIN:
            return None
        rest = sorted(code.called - PLAIN - {""})
        tail = f", which calls {some(rest)}" if rest else ""
        return self._doubt(where, f"{what}{tail}")

    def _altrep(self, altrep: str, place: Place) -> Iterator[Finding]:
        if altrep.startswith("mmap_"):
            yield self.finding(place, "a vector that maps a file whose path stands in the object into memory")
        elif altrep not in OWN_ALTREPS:
            yield self._doubt(
                place, f"a compact vector of the class {visible(altrep, 80)}, which its package loads"
            )

    def _doubt(self, place: Place, message: str) -> Finding:
        return self.finding(place, message, severity=Severity.WARNING, doubt=True)


def _harm(code: Code) -> str:
    """What is wrong with this code; "" where nothing can be named."""
    waits = code.kind in ("closure", "builtin") or (code.kind == "bytecode" and code.natural)
    names = (code.called & (STARTING if waits else REACHING)) | (code.words & COMMANDS)
    if names:
        return f"calls {some(sorted(names))}"
    text = next((word for word in sorted(code.words) if harm(word)), None)
    if text is not None:
        return f'holds "{visible(text, 60)}", which is {harm(text)}'
    if code.kind == "promise" and not code.natural:
        return "stands outside of an environment, where R never puts one"
    if code.kind == "promise" and not code.called <= PLAIN:
        return f"runs {some(sorted(code.called - PLAIN)) or 'code'} when somebody looks at the value"
    if code.kind == "bytecode" and not code.natural:
        return "stands outside of a function, where R never puts any"
    if code.bound in BINDINGS and code.kind == "closure":
        return "is run by R itself"
    return ""
