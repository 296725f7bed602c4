"""The rule `file-disguised`."""

from collections.abc import Iterator

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

PROMISES: dict[str, frozenset[str]] = {
    ".safetensors": frozenset(("safetensors",)),
    ".gguf": frozenset(("gguf",)),
    ".onnx": frozenset(("onnx",)),
    ".npy": frozenset(("npy",)),
    ".json": frozenset(("json", "jsonl")),
    ".skops": frozenset(("zip",)),
    ".nemo": frozenset(("tar", "gzip", "tar-gz")),
    ".pdf": frozenset(("pdf",)),
    ".toml": frozenset(("text",)),
    ".png": frozenset(("png",)),
    ".jpg": frozenset(("jpeg",)),
    ".jpeg": frozenset(("jpeg",)),
    ".gif": frozenset(("gif",)),
    ".webp": frozenset(("webp",)),
    ".svg": frozenset(("svg",)),
    ".txt": frozenset(("text", "requirements", "lightgbm")),
    ".md": frozenset(("text",)),
    ".csv": frozenset(("text",)),
    ".yaml": frozenset(("yaml",)),
    ".yml": frozenset(("yaml",)),
}
"""Suffixes of data formats → what may stand under them without a word."""
WEIGHTS = frozenset(
    (
        ".bin",
        ".pt",
        ".pth",
        ".ckpt",
        ".pkl",
        ".pickle",
        ".joblib",
        ".h5",
        ".hdf5",
        ".keras",
        ".npz",
        ".tflite",
        ".pb",
        ".onnx",
        ".safetensors", ".gguf", ".npy", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".lzma", ".zst", ".lz4", ".7z", ".nemo",
        ".png", ".jpg", ".jpeg", ".gif", ".webp", ".cbm", ".ubj", ".mat", ".rds", ".rda", ".rdata", ".t7", ".caffemodel", ".pdiparams", ".pdmodel", ".engine", ".trt", ".mlmodel", ".msgpack", ".ftz", ".so", ".dll", ".exe",
    )
)  # fmt: skip
"""Suffixes under which text is no model, picture or archive: an error page, or lines that `site` runs (`.pth`)."""
TEXTS = frozenset(("text", "html", "requirements", "yaml", "python", "script"))
NEUTRAL = frozenset(("empty", "lfs-pointer", "text", "html", "requirements", "yaml", "json", "jsonl", "zarr"))
"""Contents that run nothing and load as nothing else."""
CODE = (
    "pickle",
    "pytorch",
    "torch",
    "joblib",
    "executorch",
    "tar",
    "zip",
    "keras",
    "wheel",
    "jar",
    "compressed",
    "gzip",
)
"""Beginnings of format names whose loaders can run code, or unpack what can."""
NATIVE = frozenset(
    (
        "elf",
        "pe",
        "ape",
        "windows-shortcut",
        "mach-o",
        "java-class",
        "wasm",
        "pyc",
        "dex",
        "lua-bytecode",
        "llvm-bitcode",
        "hermes-bytecode",
        "script",
    )
)


class FileDisguised(Rule):
    """
    ## What it does
    Looks for files whose content is another format than their name promises. A pickle, an archive or a program under the
    name of a pure data format (`.safetensors`, `.gguf`, `.onnx`, `.npy`, `.json`, pictures, text) is an error; another
    mismatch, text under the name of a weights file, or a second format inside a valid file, is a warning.

    ## Why is this bad?
    Nobody names a pickle `model.safetensors` by mistake. The name is what people, policies and careless scanners go by;
    loaders that look at the content unpickle it.

    ## Example
    ```
    model.safetensors    begins with a pickle
    ```

    ## Use instead
    Names that say what is inside, and formats that cannot carry code, such as safetensors.

    ## Known problems
    A zip archive that is appended to a valid picture or tensor file is reported here and as trailing bytes.
    """

    name = "file-disguised"
    summary = "a file is not what its name says"
    severity = Severity.WARNING
    formats = ("*",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a reading that the name does not promise."""
        name = place.parts[-1] if place.parts else place.path
        dot = name.rfind(".")
        suffix = name[dot:].lower() if dot >= 0 else ""
        if suffix in WEIGHTS and reading.format in TEXTS:
            yield self.finding(place, f"named {suffix}, but the content is {reading.format}", doubt=True)
            return
        promised = PROMISES.get(suffix)
        if promised is None or reading.format in promised or reading.format in NEUTRAL:
            return
        error = reading.format in NATIVE or reading.format.startswith(CODE)
        yield self.finding(
            place,
            f"named {suffix}, but the content is {reading.format}",
            severity=Severity.ERROR if error else None,
            doubt=True,
        )
