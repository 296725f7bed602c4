"""The rule `requirements-url`."""

import re
from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading
from weighbridge.formats.reading import Reading
from weighbridge.formats.requirements import NAMES, Requirement, from_named, from_text, from_tree
from weighbridge.formats.text import TextReading
from weighbridge.scan.rule import Rule

_ELSEWHERE = late(
    r"^\s*(-i|--index-url|--extra-index-url|-f|--find-links|--trusted-host|-e|--editable|-r|--requirement|--global-option|--install-option"
    r"|--config-settings)(?=[\s=])|(?<!\w)(git|hg|svn|bzr)(\+\w+)?:|(?<!\w)(https?|ftp|file)://|(?<!\w)\\\\\w|^\s*(\.{0,2}/|~|[A-Za-z]:[\\/])|@\s*(\.{0,2}/|~)"
)
_USUAL = late(
    r"^\s*(-i|--index-url|--extra-index-url|-f|--find-links)[\s=]+https://(pypi\.org/simple|download\.pytorch\.org/[\w./]*"
    r"|data\.pyg\.org/[\w./+-]*|storage\.googleapis\.com/jax-releases/[\w./]*)/?\s*$|^\s*-r\s+[\w.-]+\s*$"
)
_INDEX = late(r"^\s*(-i|--index-url|--extra-index-url|-f|--find-links)[\s=]+(\S+)")
_KNOWN_INDEXES = late(
    r"https://((\w+\.)*(pypi\.org|pythonhosted\.org|pytorch\.org|nvidia\.com|tsinghua\.edu\.cn|aliyun\.com|ustc\.edu\.cn|douban\.com|huaweicloud\.com"
    r"|tencent\.com|anaconda\.org|conda\.io|pyg\.org|dgl\.ai|fury\.io|googleapis\.com|pkg\.dev|azure\.com|amazonaws\.com|jfrog\.io|github\.io|ngc\.nvidia\.com"
    r"|paddlepaddle\.org\.cn|alipay\.com|openmmlab\.com|huggingface\.co|intel\.com|amd\.com|wandb\.ai))(?=[/:]|$)"
)
"""Indexes that many people use; another index is one that somebody put there."""
_KNOWN_HOSTS = late(
    r"(https|git\+https|git\+ssh)://((git|[\w.-]+)@)?((\w[\w-]*\.)*(github\.com|gitlab\.com|bitbucket\.org|huggingface\.co|githubusercontent\.com|pythonhosted\.org"
    r"|pytorch\.org|nvidia\.com|googleapis\.com|pypi\.org|pyg\.org|gitee\.com|codeberg\.org|modelscope\.cn|anaconda\.org))(?=[/:]|$)"
)
_OPEN = late(r"(?i)(?<!\w)(http|ftp|git|svn|hg|bzr|git\+http|git\+git|svn\+http|hg\+http)://")
_URL = late(r"(?i)(?<!\w)((?:git|hg|svn|bzr)\+)?(https?|ssh|file|ftp)://[^\s;#]*")
_SHELL = late(
    r"[`|&<>]\s*(?![\d.=~! ])|\$\(|&&|\|\||;\s*(?!\s*(\(|['\"]|not\b|python_|platform_|sys_|os_name|implementation_|extra\b|$))"
)
_NAME = late(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_POPULAR = frozenset(
    [
        "numpy",
        "pandas",
        "torch",
        "torchvision",
        "torchaudio",
        "transformers",
        "tensorflow",
        "keras",
        "scipy",
        "scikit-learn",
        "matplotlib",
        "requests",
        "urllib3",
        "pillow",
        "opencv-python",
        "diffusers",
        "accelerate",
        "datasets",
        "tokenizers",
        "huggingface-hub",
        "sentence-transformers",
        "sentencepiece",
        "safetensors",
        "langchain",
        "openai",
        "fastapi",
        "uvicorn",
        "pydantic",
        "flask",
        "django",
        "jinja2",
        "pyyaml",
        "tqdm",
        "protobuf",
        "onnx",
        "onnxruntime",
        "xgboost",
        "lightgbm",
        "catboost",
        "gradio",
        "streamlit",
        "cryptography",
        "boto3",
        "setuptools",
        "wheel",
        "packaging",
        "typing-extensions",
        "jupyter",
        "notebook",
        "ipython",
        "seaborn",
        "nltk",
        "spacy",
        "gensim",
        "bitsandbytes",
        "peft",
        "trl",
        "einops",
        "timm",
        "mlflow",
        "wandb",
        "joblib",
        "psutil",
        "aiohttp",
        "beautifulsoup4",
        "colorama",
        "click",
    ]
)
"""Names that others are made to look like."""
_NEIGHBOURS = frozenset(
    ("torchx", "python", "jpython", "cython", "pytorch", "pandoc", "geopandas", "statsmodels")
)
"""Published packages whose names come close by themselves."""
MAX_FINDINGS = 100


class RequirementsUrl(Rule):
    """
    ## What it does
    Looks in requirements (`requirements*.txt`, `pyproject.toml`, `setup.cfg`, `Pipfile`, conda, MLflow and BentoML
    environments) for packages and indexes by address: `git+https://…`, archives by URL, local paths, `--index-url`,
    `--extra-index-url`, `--find-links`, `--trusted-host`; for text that a shell would take apart; and for names one letter
    away from those of very popular packages.

    ## Why is this bad?
    Installing runs what stands at that address on that day. A second index lets a stranger's package take a private
    one's name. Hubs and MLflow install these files without asking. An address without TLS, an index or a host that nobody
    knows, and shell characters are errors; repositories on well-known hosts are undecided.

    ## Example
    ```
    sample @ https://example.com/weighbridge-sample.tar.gz
    ```

    ## Use instead
    Names and versions from the ordinary index, with hashes (`--require-hashes`).

    ## Known problems
    The indexes of PyTorch, PyG and JAX are not reported. Other good addresses are.
    """

    name = "requirements-url"
    summary = "requirements are installed from an address, or look like others"
    severity = Severity.WARNING
    confidence = Confidence.MEDIUM
    formats = ("requirements", "text", "yaml", "json")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a line."""
        found = 0
        for requirement in _requirements(reading, place):
            harm, doubt = judged(requirement.text)
            if not harm and not doubt:
                continue
            found += 1
            if found > MAX_FINDINGS:
                return
            where = replace(place, line=requirement.line or None)
            if harm:
                yield self.finding(where, f"{harm}: {requirement.text[:160]}", severity=Severity.ERROR)
            else:
                yield self.finding(where, f"{doubt}: {requirement.text[:160]}", doubt=True)


def _requirements(reading: Reading, place: Place) -> Iterator[Requirement]:
    name = place.parts[-1] if place.parts else place.path
    if isinstance(reading, JsonReading):
        if reading.format != "json":
            for path, text in from_tree(reading.value):
                yield Requirement(text, reading.line(path))
        yield from _in_package(reading, name.rpartition("/")[2])
    elif isinstance(reading, TextReading) and reading.format == "requirements":
        yield from from_text(reading.text)
    elif isinstance(reading, TextReading) and NAMES.search(name):
        yield from from_named(reading.text, name.rpartition("/")[2])


def _in_package(reading: JsonReading, name: str) -> Iterator[Requirement]:
    """Requirements of a spaCy package (`meta.json`), and wheels that BentoML installs."""
    for path, item in reading.objects:
        key = {"meta.json": "requirements", "bentofile.yaml": "wheels"}.get(name, "")
        values = item.get(key) if key and len(path) < 2 else None
        for value in values if isinstance(values, list) else ():
            if isinstance(value, str) and "://" in value:
                yield Requirement(value, reading.line((*path, key)))


def judged(text: str) -> tuple[str, str]:
    """(harm, doubt) of one requirement; both "" for a name with its versions."""
    if (
        "://" not in text
        and not text.lstrip().startswith("-")
        and _SHELL.search(re.sub(r"[<>=!~]=?=?", " ", text))
    ):
        return "holds what a shell takes apart", ""
    if _ELSEWHERE.search(text) and not _USUAL.match(text):
        return _address(text)
    if (match := re.match(r"[\s\ufeff]*([^\s=<>!~;\[@#]{2,80})", text)) and not match[1].isascii():
        return "has letters in its name that look like others", ""
    looks_like = squatted(text)
    return "", f"is one letter away from {looks_like}" if looks_like else ""


def _address(text: str) -> tuple[str, str]:
    if re.match(r"\s*--trusted-host[\s=]", text):
        return "installs without checking who answers", ""
    if _OPEN.search(text):
        return "installs from an address that anybody on the way can change", ""
    if match := _INDEX.match(text):
        if "://" in match[2] and not _KNOWN_INDEXES.match(match[2]):
            return "installs from an index that nobody knows", ""
        return "", "installs from another index"
    if re.search(r"(?<!\w)(file://|\\\\\w)", text):
        return "installs from a path of the machine", ""
    if match := _URL.search(text):
        return (
            ("", "installs from")
            if _KNOWN_HOSTS.match(match[0])
            else ("installs from a host that nobody knows", "")
        )
    return "", "installs from"


def squatted(text: str) -> str:
    """The popular package whose name is one letter away; "" where there is none or the name is known itself."""
    match = _NAME.match(text)
    name = re.sub(r"[-_.]+", "-", match[1]).lower() if match else ""
    if len(name) < 5 or name in _POPULAR or name in _NEIGHBOURS:
        return ""
    return next((popular for popular in _POPULAR if len(popular) >= 5 and _one_apart(name, popular)), "")


def _one_apart(a: str, b: str) -> bool:
    """Whether one letter was changed, left out, put in, or two neighbours changed places."""
    if abs(len(a) - len(b)) > 1 or a == b:
        return False
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    if len(a) == len(b):
        swapped = a[start : start + 2] == b[start : start + 2][::-1] and a[start + 2 :] == b[start + 2 :]
        return a[start + 1 :] == b[start + 1 :] or swapped
    longer, shorter = (a, b) if len(a) > len(b) else (b, a)
    return longer[start + 1 :] == shorter[start:]
