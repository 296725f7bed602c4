"""The shared groups of options, and the parser that reports mistakes as our errors.

Every option can also be set as `WEIGHBRIDGE_NAME` in the environment; the command line wins.
"""

import argparse
import os
import sys
from typing import Any, NoReturn

from weighbridge.core.errors import UsageError

FORMATS = ("human", "json", "sarif", "html", "markdown", "junit", "github", "gitlab")
PREFIX = "WEIGHBRIDGE_"


def columns() -> int:
    """Columns of the terminal, 80 off one. (`shutil` says the same and takes 8 ms to be imported.)"""
    try:
        found = int(os.environ.get("COLUMNS") or os.get_terminal_size(sys.stdout.fileno()).columns)
    except (OSError, ValueError, AttributeError):
        return 80
    return max(60, min(found, 120))


class Help(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal; argparse makes a formatter for every option, so this one costs little."""

    def __init__(self, prog: str, width: int | None = None) -> None:
        super().__init__(prog, width=width or columns())


class Parser(argparse.ArgumentParser):
    """argparse with our errors, no abbreviations, and defaults from the environment."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", Help)
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and exiting: the door decides how it is told."""
        raise UsageError(
            "bad-option", message.replace("'", '"'), *self._meant(message), f"{self.prog} --help"
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse after taking defaults from the environment."""
        for action in self._actions:
            _default_from_environment(action)
        return super().parse_known_args(args, namespace)

    def _meant(self, message: str) -> list[str]:
        from difflib import get_close_matches

        known = [option for action in self._actions for option in action.option_strings]
        unknown = [word.partition("=")[0] for word in message.split() if word.startswith("--")]
        close = [match for word in unknown for match in get_close_matches(word, known, n=1)]
        return [f"did you mean {close[0]}"] if close and "unrecognized" in message else []


def _default_from_environment(action: argparse.Action) -> None:
    name = next((o[2:].replace("-", "_").upper() for o in action.option_strings if o.startswith("--")), None)
    value = os.environ.get(PREFIX + name) if name and name not in ("HELP", "VERSION") else None
    if value is None:
        return
    if isinstance(action, argparse._StoreTrueAction):
        action.default = value.lower() in ("1", "true", "yes")
    elif isinstance(action, argparse._AppendAction):
        action.default = value.split(os.pathsep)
    else:
        action.default = value  # argparse converts string defaults with the option's type


def model(parser: argparse.ArgumentParser) -> None:
    """The one argument that means the same everywhere."""
    parser.add_argument("model", metavar="MODEL", help="a model's folder or file")


def output(parser: argparse.ArgumentParser, formats: tuple[str, ...] = FORMATS) -> None:
    """`--format -o -q -v --color --no-progress`."""
    group = parser.add_argument_group("Output")
    group.add_argument(
        "-f", "--format", metavar="FORMAT", choices=formats, default="human",
        help=f"how to print the answer: {', '.join(formats)}; human when left out",
    )  # fmt: skip
    group.add_argument(
        "-o", "--output", metavar="FILE", help="write the answer to FILE instead of standard output"
    )
    group.add_argument("-q", "--quiet", action="store_true", help="only the verdict line")
    group.add_argument(
        "-v", "--verbose", action="count", default=0, help="show everything, not only the worst and the first"
    )
    group.add_argument(
        "--color",
        metavar="WHEN",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour: auto (default: only on a terminal), always or never",
    )
    group.add_argument("--no-progress", action="store_true", help="no progress line")


def trust(parser: argparse.ArgumentParser) -> None:
    """`--key --certificate-chain … --trust --by --signature --offline`."""
    group = parser.add_argument_group("Trust")
    group.add_argument(
        "--key",
        metavar="PUBLIC.pem",
        action="append",
        help="trust this public key; may be given several times",
    )
    group.add_argument(
        "--root",
        metavar="ROOTS.pem",
        action="append",
        help="trust certificates that this authority issued, directly or through others",
    )
    group.add_argument(
        "--crl",
        metavar="CRL",
        action="append",
        help="which certificates the authority of --root has withdrawn",
    )
    group.add_argument(
        "--by",
        metavar="IDENTITY",
        action="append",
        help="count only this signer: a name in the keyring, with --root a name in the certificate",
    )
    group.add_argument(
        "--threshold", metavar="N", type=int, help="how many different signers must have signed"
    )
    group.add_argument(
        "--trust", metavar="DIR", help="the keyring's folder; yours when left out, unless keys are given"
    )
    group.add_argument(
        "--signature", metavar="FILE", action="append", help="a signature that does not lie beside the model"
    )
    group.add_argument(
        "--issuer", metavar="URL", help="with --trusted-root: who vouches for the identity of --by"
    )
    group.add_argument(
        "--trusted-root", metavar="JSON", help="trust keyless signatures under this Sigstore trusted root"
    )
    group.add_argument(
        "--tsa",
        metavar="ROOTS.pem",
        action="append",
        help="trust what this authority says about the time of signing",
    )
    group.add_argument(
        "--ignore-unsigned", action="store_true", help="let files pass that the signature does not name"
    )
    group.add_argument(
        "--allow-uncovered",
        metavar="PATH",
        action="append",
        help="let this file or folder be there although the signer left it out",
    )
    group.add_argument(
        "--offline", action="store_true", help="never use the network; these commands never do"
    )


def policy(parser: argparse.ArgumentParser) -> None:
    """`--policy --exit-zero --min-severity`."""
    group = parser.add_argument_group("Policy")
    group.add_argument(
        "--policy",
        metavar="FILE|PRESET",
        help="a weighbridge.toml or a preset (default, production, strict, field, research); the nearest file when left out",
    )
    group.add_argument(
        "--min-severity",
        metavar="SEVERITY",
        choices=("note", "warning", "error"),
        help="show only findings at least this bad: note (default), warning or error; the verdict stays",
    )
    group.add_argument(
        "--exit-zero",
        action="store_true",
        help="exit 0 also when refused or undecided; what is printed stays",
    )


def limits(parser: argparse.ArgumentParser) -> None:
    """`--max-bytes --max-depth --max-members --timeout --jobs --links`."""
    group = parser.add_argument_group("Limits")
    group.add_argument(
        "--max-bytes",
        metavar="SIZE",
        type=size,
        help="bytes to read and unpack, such as 40G; 64G when left out",
    )
    group.add_argument(
        "--max-depth",
        metavar="N",
        type=positive,
        help="levels of containers inside containers; 16 when left out",
    )
    group.add_argument(
        "--max-members", metavar="N", type=positive, help="entries over all containers; 1000000 when left out"
    )
    group.add_argument(
        "--timeout", metavar="SECONDS", type=seconds, help="time for the whole model; 3600 when left out"
    )
    group.add_argument(
        "--jobs", metavar="N", type=positive, help="threads that hash; one a core when left out"
    )
    group.add_argument(
        "--links",
        metavar="WHICH",
        choices=("inside", "refuse", "follow"),
        default="inside",
        help="symbolic links to follow: inside (default: those that stay in the model), refuse (none) or follow (all)",
    )


def size(text: str) -> int:
    """`40G`, `512M`, `1000`: bytes, binary units."""
    units = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
    number, unit = (text[:-1], units[text[-1].upper()]) if text[-1:].upper() in units else (text, 1)
    return positive(number) * unit


def positive(text: str) -> int:
    """A whole number above zero."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def seconds(text: str) -> float:
    """A time above zero."""
    value = float(text)
    if not 0 < value < 1e9:
        raise ValueError
    return value
