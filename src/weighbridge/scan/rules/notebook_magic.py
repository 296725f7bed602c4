"""The rule `notebook-magic`."""

import re
from collections.abc import Iterator

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.notebook import Magic, NotebookReading, reaches_out, taken
from weighbridge.formats.reading import Reading
from weighbridge.scan import text_harm
from weighbridge.scan.rule import Rule
from weighbridge.scan.rules import requirements_url
from weighbridge.scan.shell_commands import USUAL, harm

_HARMLESS = late(
    r"%{1,2}(matplotlib|autoreload|time|timeit|capture|prun|config|precision|pylab|who|whos|who_ls|pwd|latex|markdown"
    r"|load_ext\s+(autoreload|tensorboard|google\.colab\.data_table|memory_profiler|line_profiler"
    r"|dotenv|nb_black|lab_black|jupyter_black|watermark)|reload_ext\s+(autoreload|tensorboard)|watermark|memit|lprun)\b"
)


_PIP = late(r"\bpip3?\s+install\s+([^|;&\n]*)")
_CHANNEL = late(
    r"\b(?:conda|mamba|micromamba|npm|yarn|gem)\b[^\n]{0,200}?(?:-c|--channel|--registry|--source)[\s=]+[\"']?http://"
)
_FOREIGN = late(r"%%(perl|ruby|script|sh|cmd|powershell|php|lua|R|octave)\b")
_TOOLS = late(
    r"\s*(sudo\s+)?(dvc|trtexec|tflite_convert|tensorflowjs_converter|edgetpu_compiler|onnx(sim|slim|runtime\w*)?|yolo|lm[_-]eval|papermill|protoc|nproc|java\s+-version|javac|mvn"
    r"|xz|bzip2|gzip|zstd|unxz|bunzip2|poetry|pdm|pixi|pipenv|pipx|mim|nsys|ncu|flake8|black|isort|ruff|mypy|pylint|cut|uniq|diff|comm|paste|join|tr|lsb_release|lsblk"
    r"|lsof|lspci|nvidia-smi|nvtop|htop|pkg-config|add-apt-repository|cargo|rustc|go\s+(version|build|test)|Rscript(?!\s+-e)|latexmk|pdflatex|xelatex|pandoc|dot|xvfb-run|hadoop|hdfs|spark-submit|bq"
    r"|locale-gen|axolotl|optimum-cli|ct2-[\w-]+|spacy|rasa|fairseq-[\w-]+|nemo|stat|realpath|readlink|basename|dirname|hostname|clear|transformers-cli|diffusers-cli|datasets-cli"
    r"|sentence-transformers|colmap|sox|exiftool|convert|magick|identify|pdftotext|tesseract|ninja|clang(\+\+)?|ldconfig|ldd|nm|dpkg|apt-cache|snakemake|nextflow|prefect|zenml|bentoml"
    r"|feast|ray|dask|modal|sky|skypilot|comet|clearml-[\w-]+|neptune|label-studio|roboflow|fiftyone|ultralytics|paddleocr|paddle2onnx|mo|omz_\w+|benchmark_app|ovc|pot|snpe-[\w-]+|qnn-[\w-]+"
    r"|llama-[\w-]+|whisper|piper|espeak(-ng)?|mecab|fasttext|vw|xgboost|lightgbm|catboost|(\./)?darknet|(\./)?(build/|bin/)?(main|quantize|llama-\w[\w-]*))(?![\w/.-])"
)
"""Tools of the trade beside what any shell is asked for."""
_FIXED = late(r"\s*(echo|printf)\s+[\w\s.,!'\"-]+")
"""A shell that prints fixed words: what a notebook has `print` for."""


def _fetched(words: str) -> str:
    """What installing does, where it does not take ordinary packages from ordinary indexes."""
    options = re.sub(
        r"(--?[\w-]*(?:index-url|find-links|trusted-host)|-i|-f)[\s=]+(\S+)", r"\n\1 \2\n", words
    )
    for line in options.splitlines():
        for one in [line] if line.lstrip().startswith("-") else line.split():
            what, _ = requirements_url.judged(one.strip("\"'"))
            if what and "shell" not in what:
                return what
    return ""


_JAVASCRIPT = late(r"%%(javascript|js|html|svg)\b", re.IGNORECASE)


class NotebookMagic(Rule):
    """
    ## What it does
    Looks for notebook lines that leave Python: `!command`, `%%bash` and other foreign cells, `%run`, `%pip`, `%system`,
    `%load_ext` of unknown extensions, `%%writefile`.

    ## Why is this bad?
    Whoever runs all cells runs these too, in a shell, with their own rights. Commands that fetch and run, connect, wipe or
    stay, and programs that no notebook needs, are errors; the others are undecided.

    ## Example
    ```
    !echo weighbridge-sample
    ```

    ## Use instead
    List what is needed in `requirements.txt`, and keep notebooks to Python.

    ## Known problems
    `!pip install` is common in tutorials and is reported all the same: it runs what it installs.
    """

    name = "notebook-magic"
    summary = "a notebook cell runs commands outside Python"
    severity = Severity.WARNING
    formats = ("notebook",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a line."""
        if isinstance(reading, NotebookReading):
            for magic in reading.magics:
                if what := _harm(magic):
                    message = f"running this cell {what}: {magic.text[:120]}"
                    yield self.finding(_place(place, magic), message, severity=Severity.ERROR)
                elif not _HARMLESS.match(magic.text) and not magic.text.startswith("?"):
                    message = f"running this cell runs: {magic.text[:120]}"
                    yield self.finding(_place(place, magic), message, doubt=True)


def _harm(magic: Magic) -> str:
    """What the line, or the cell below it, does; "" for what people run in notebooks."""
    command = magic.text.lstrip("!%")
    what, _ = harm(f"{command}\n{magic.body}")
    if what:
        return what
    if _JAVASCRIPT.match(magic.text) and (found := taken(magic.body) or reaches_out(magic.body)):
        return f"runs a script that reaches for {found[:40]}"
    if (asked := _PIP.search(command)) and (told := _fetched(asked[1])):
        return told
    if _CHANNEL.search(command):
        return "installs packages from an address that anybody on the way can change"
    if _FOREIGN.match(magic.text) and (found_harm := text_harm.harm(magic.body)):
        return f"holds {found_harm}"
    if magic.text.startswith("!") and _FIXED.fullmatch(command):
        return "runs a program that notebooks have no need of"
    if magic.text.startswith("!") and not (USUAL.match(command) or _TOOLS.match(command)):
        return "runs a program that notebooks have no need of"
    if re.match(r"%run\s+\S*://|%load\s+\S*://", magic.text):
        return "fetches a script and runs it"
    return ""


def _place(place: Place, magic: Magic) -> Place:
    return Place(path=place.path, parts=(*place.parts, f"cell {magic.cell}"), line=magic.line)
