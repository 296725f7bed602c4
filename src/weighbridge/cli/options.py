"""The shared groups of options, and the parser that reports mistakes as our errors.

Every option can also be set as `WEIGHBRIDGE_NAME` in the environment; the command line wins.
"""

import argparse
import os
import sys
from datetime import date
from typing import Any, NoReturn

from weighbridge.core.errors import UsageError
from weighbridge.core.text import visible

FORMATS = ("human", "json", "sarif", "html", "markdown", "junit", "github", "gitlab")
PREFIX = "WEIGHBRIDGE_"
SWITCH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


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
        lists = [action for action in self._actions if self._default_from_environment(action)]
        found, rest = super().parse_known_args(args, namespace)
        for (
            action
        ) in lists:  # not as a default: argparse would add the command line's to it, and that shall win
            if getattr(found, action.dest) is None:
                setattr(found, action.dest, _said(action).split(os.pathsep))
        return found, rest

    def _default_from_environment(self, action: argparse.Action) -> bool:
        """Take an option's default from the environment, as strictly as from the command line; True for a list."""
        name, value = _setting(action), _said(action)
        if not value:
            return False
        if isinstance(action, argparse._StoreTrueAction):
            if value.lower() not in SWITCH:
                self.error(f'{name}: "{visible(value, 80)}" is neither 1 nor 0')
            action.default = SWITCH[value.lower()]
        elif isinstance(action, argparse._AppendAction):
            action.required = False
            return True
        else:
            try:
                action.default = (
                    int(value)
                    if isinstance(action, argparse._CountAction)
                    else self._get_value(action, value)
                )
                self._check_value(action, action.default)
            except argparse.ArgumentError as error:
                self.error(f"{name}: {error.message}")
            except ValueError:
                self.error(f'{name}: "{visible(value, 80)}" is no whole number')
            action.required = False
        return False

    def _meant(self, message: str) -> list[str]:
        from difflib import get_close_matches

        known = [option for action in self._actions for option in action.option_strings]
        unknown = [word.partition("=")[0] for word in message.split() if word.startswith("--")]
        close = [match for word in unknown for match in get_close_matches(word, known, n=1)]
        return [f"did you mean {close[0]}"] if close and "unrecognized" in message else []


def _setting(action: argparse.Action) -> str:
    """The variable that sets an option, such as WEIGHBRIDGE_MAX_BYTES; "" for what cannot be set."""
    name = next((o[2:].replace("-", "_").upper() for o in action.option_strings if o.startswith("--")), "")
    return PREFIX + name if name not in ("", "HELP", "VERSION") else ""


def _said(action: argparse.Action) -> str:
    name = _setting(action)
    return os.environ.get(name, "") if name else ""


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
        "--threshold", metavar="N", type=positive, help="how many different signers must have signed"
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


def statements(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Where statements lie that are not beside the model, and a layout that they must hold. Returns the group."""
    group = parser.add_argument_group("Evidence")
    group.add_argument(
        "--statements",
        metavar="PLACE",
        action="append",
        help="a file of signed statements (.jsonl) or a store of them; those beside the model are always read",
    )
    group.add_argument("--layout", metavar="FILE", help="an in-toto layout that the model's chain must hold")
    group.add_argument(
        "--layout-key", metavar="PUBLIC.pem", action="append", help="the key of the layout's owner"
    )
    group.add_argument(
        "--link-dir", metavar="DIR", help="the folder of its links; beside the layout when left out"
    )
    group.add_argument(
        "--log-policy", metavar="FILE", help="which logs and witnesses count for MODEL.tlog-proof"
    )
    recalls(group)
    return group


def recalls(group: argparse._ArgumentGroup) -> None:
    """What was called back."""
    group.add_argument(
        "--recalls",
        metavar="FILE",
        action="append",
        help="a list of recalls; the newest that this machine has seen is always asked",
    )


def policy(parser: argparse.ArgumentParser) -> None:
    """`--policy --min-severity --exit-zero`."""
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


def findings(parser: argparse.ArgumentParser) -> None:
    """`--baseline --write-baseline --reason --until --sarif --rules --loader --weights`."""
    group = parser.add_argument_group("Findings")
    group.add_argument(
        "--baseline",
        metavar="FILE",
        help="count only findings that this baseline does not hold; the others are listed",
    )
    group.add_argument(
        "--write-baseline",
        metavar="FILE",
        help="accept what is found now: write it to FILE with --reason and --until",
    )
    group.add_argument(
        "--reason", metavar="TEXT", help="with --write-baseline: why these findings are accepted"
    )
    group.add_argument(
        "--until",
        metavar="DATE",
        type=day,
        help="with --write-baseline: the last day on which they are, such as 2027-03-31",
    )
    group.add_argument(
        "--sarif",
        metavar="FILE",
        action="append",
        help="count the results of another scanner too, from its SARIF log",
    )
    group.add_argument(
        "--loader", metavar="NAME==VERSION", action="append",
        help="judge for this version, such as torch==2.5; what is not named counts as any version",
    )  # fmt: skip
    group.add_argument(
        "--rules", metavar="NAME", action="append", help="let the rules of this installed package look too"
    )
    group.add_argument(
        "--weights",
        action="store_true",
        help="look at the numbers too: NaN, constants, twins, unused tensors, what low bits spell; slower",
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
    if not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f'"{visible(text, 40)}" is no size such as 512M, 40G or 1T')
    return int(number) * unit


def positive(text: str) -> int:
    """A whole number above zero."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{visible(text, 40)}" is no whole number above zero')
    return int(text)


def day(text: str) -> date:
    """A day, as ISO 8601 writes it."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{visible(text, 40)}" is no day such as 2027-03-31') from None


def seconds(text: str) -> float:
    """A time above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f'"{visible(text, 40)}" is no number of seconds above zero')
    return value
