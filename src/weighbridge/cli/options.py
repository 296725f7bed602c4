"""The shared groups of options, and the parser that reports mistakes as our errors.

Every option can also be set as `WEIGHBRIDGE_NAME` in the environment; the command line wins. A group is a table of rows,
so that an option of several commands stands once, and means the same in all of them.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any, NoReturn

from weighbridge.core.errors import UsageError
from weighbridge.core.pattern import late
from weighbridge.core.text import visible

FORMATS = ("human", "json", "sarif", "html", "markdown", "junit", "github", "gitlab")
PREFIX = "WEIGHBRIDGE_"
BOTH = ("human", "json")
SWITCH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def columns() -> int:
    """Columns of the terminal, 80 off one. (`shutil` says the same and takes 8 ms to be imported.)"""
    try:
        found = int(os.environ.get("COLUMNS") or os.get_terminal_size(sys.stdout.fileno()).columns)
    except (OSError, ValueError, AttributeError):
        return 80
    return max(60, min(found, 120))


_CHOICE = late(r"invalid choice: ['\"](.*?)['\"] \(choose from (.*)\)", re.DOTALL)


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

        if choice := _CHOICE.search(message):
            close = get_close_matches(choice[1], re.findall(r"[\w.-]+", choice[2]), n=1)
            return [f"did you mean {one}" for one in close]
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


# ------------------------------------------------------------------------------------------------- rows and groups

Row = tuple[tuple[str, ...], dict[str, Any]]
"""One option: its flags, and what argparse is told of it."""


def value(flag: str, metavar: str, text: str, **more: Any) -> Row:
    """An option with a value."""
    return (flag,), {"metavar": metavar, "help": text, **more}


def many(flag: str, metavar: str, text: str, **more: Any) -> Row:
    """An option that may be given several times."""
    return value(flag, metavar, text, action="append", **more)


def switch(flag: str, text: str) -> Row:
    """An option without a value."""
    return (flag,), {"action": "store_true", "help": text}


def add(where: argparse._ActionsContainer, rows: Iterable[Row]) -> None:
    """Hang rows on a parser or a group."""
    for flags, settings in rows:
        where.add_argument(*flags, **settings)


def group(parser: argparse.ArgumentParser, title: str, rows: Iterable[Row]) -> argparse._ArgumentGroup:
    """Hang rows on a parser, under a heading."""
    made = parser.add_argument_group(title)
    add(made, rows)
    return made


def verbs(parser: argparse.ArgumentParser, names: Sequence[str]) -> "argparse._SubParsersAction[Parser]":
    """Where the verbs of a command hang."""
    return parser.add_subparsers(dest="verb", metavar="|".join(names), required=True, parser_class=Parser)


def examples(verb: argparse.ArgumentParser, *lines: str) -> None:
    """One or two calls, below the help of a verb."""
    verb.epilog = "examples:\n" + "".join(f"  {line}\n" for line in lines)


# ---------------------------------------------------------------------------------------------- what a value may be


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


def moment(text: str) -> datetime:
    """A date or time; UTC where no offset is given."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{visible(text, 40)}" is no date such as 2026-11-22') from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


# -------------------------------------------------------------------------------------------------------- the tables


def model(parser: argparse.ArgumentParser) -> None:
    """The one argument that means the same everywhere."""
    parser.add_argument("model", metavar="MODEL", help="a model's folder or file")


def output(parser: argparse.ArgumentParser, formats: tuple[str, ...] = FORMATS) -> None:
    """`--format -o -q -v --color --no-progress`: every command and every verb has them."""
    more = "" if formats == BOTH else "; human when left out"
    how = {"metavar": "FORMAT", "choices": formats, "default": "human"}
    shown = "human (default) or json" if formats == BOTH else ", ".join(formats)
    first = (("-f", "--format"), {**how, "help": f"how to print the answer: {shown}{more}"})
    group(parser, "Output", (first, *_OUTPUT))


_OUTPUT: tuple[Row, ...] = (
    (("-o", "--output"), {"metavar": "FILE", "help": "write the answer to FILE instead of standard output"}),
    (("-q", "--quiet"), {"action": "store_true", "help": "only the line that says what came of it"}),
    (("-v", "--verbose"), {"action": "count", "default": 0,
                           "help": "show everything, not only the worst and the first"}),
    value("--color", "WHEN", "colour: auto (default: only on a terminal), always or never",
          choices=("auto", "always", "never"), default="auto"),
    switch("--no-progress", "no progress line"),
)  # fmt: skip

KEYRING = "the keyring's folder; yours when left out"
_ANCHORS: dict[str, Row] = {
    row[0][0]: row
    for row in (
        many("--key", "PUBLIC.pem", "trust this public key; may be given several times"),
        many("--root", "ROOTS.pem", "trust certificates that this authority issued, directly or through others"),
        many("--crl", "CRL", "which certificates the authority of --root has withdrawn"),
        many("--by", "IDENTITY",
             "count only this signer: a name in the keyring, with --root a name in the certificate"),
        value("--threshold", "N", "how many different signers must have signed", type=positive),
        value("--trust", "DIR", f"{KEYRING}, unless keys are given"),
        many("--signature", "FILE", "a signature that does not lie beside the model"),
        value("--issuer", "URL", "with --trusted-root: who vouches for the identity of --by"),
        value("--trusted-root", "JSON", "trust keyless signatures under this Sigstore trusted root"),
        many("--tsa", "ROOTS.pem", "trust what this authority says about the time of signing"),
        switch("--ignore-unsigned", "let files pass that the signature does not name"),
        many("--allow-uncovered", "PATH",
             "let this file or folder be there although the signer left it out"),
        switch("--offline", "never use the network; these commands never do"),
    )
}  # fmt: skip


def trust(parser: argparse.ArgumentParser, *flags: str) -> None:
    """`--key --root … --trust --by --signature --offline`; or only those that are named."""
    group(parser, "Trust", [_ANCHORS[flag] for flag in flags or _ANCHORS])


def keyring(parser: argparse.ArgumentParser) -> None:
    """`--trust`, where only the keyring's folder counts."""
    add(parser, [value("--trust", "DIR", KEYRING)])


def believed(parser: argparse.ArgumentParser) -> None:
    """`--trust --policy --cedar`: who of the keyring has which role, and may do what."""
    group(parser, "Trust", (
        value("--trust", "DIR", "the keyring's folder, which says who has which role; yours when left out"),
        value("--policy", "FILE|PRESET", "a weighbridge.toml; the nearest file when left out"),
        value("--cedar", "FILE", "a Cedar policy that says who may do what (extra: cedar)"),
    ))  # fmt: skip


def signer(
    parser: argparse.ArgumentParser, *, flag: str = "--key", required: bool = True, text: str = ""
) -> argparse._ArgumentGroup:
    """`--key --certificate --password-file --trust-config --identity-token`: who signs."""
    usual = "private key: a PEM file, pkcs11:…, or sigstore: for keyless; several sign side by side"
    return group(parser, "Signer", (
        many(flag, "KEY", text or usual, required=required),
        value("--certificate", "CHAIN.pem", "sign as this certificate, leaf first"),
        value("--password-file", "FILE", "the key's password or PIN; else WEIGHBRIDGE_PASSWORD or asked"),
        value("--trust-config", "JSON", "Sigstore client trust configuration, for sigstore:"),
        value("--identity-token", "TOKEN", "OIDC token, for sigstore:"),
    ))  # fmt: skip


def statements(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Where statements lie that are not beside the model, and a layout that they must hold. Returns the group."""
    return group(parser, "Evidence", (
        many("--statements", "PLACE",
             "a file of signed statements (.jsonl) or a store of them; those beside the model are always read"),
        value("--layout", "FILE", "an in-toto layout that the model's chain must hold"),
        many("--layout-key", "PUBLIC.pem", "the key of the layout's owner"),
        value("--link-dir", "DIR", "the folder of its links; beside the layout when left out"),
        value("--log-policy", "FILE", "which logs and witnesses count for MODEL.tlog-proof"),
        _RECALLS, RECALL_KEY,
    ))  # fmt: skip


_RECALLS = many(
    "--recalls", "FILE", "a list of recalls; the newest that this machine has seen is always asked"
)
RECALL_KEY = many(
    "--recall-key",
    "PUBLIC.pem",
    "believe lists of recalls by this key, besides those of the role recall; nothing else",
)


def recalls(group: argparse._ArgumentGroup) -> None:
    """What was called back."""
    add(group, [_RECALLS, RECALL_KEY])


PRESETS = "a weighbridge.toml or a preset (default, production, strict, field, research); the nearest file when left out"


def policy(parser: argparse.ArgumentParser) -> None:
    """`--policy --min-severity --exit-zero`."""
    judging(group(parser, "Policy", [value("--policy", "FILE|PRESET", PRESETS)]))


def judging(group: argparse._ActionsContainer) -> None:
    """`--min-severity --exit-zero`: how a verdict is told."""
    add(group, (
        value("--min-severity", "SEVERITY",
              "show only findings at least this bad: note (default), warning or error; the verdict stays",
              choices=("note", "warning", "error")),
        switch("--exit-zero", "exit 0 also when refused or undecided; what is printed stays"),
    ))  # fmt: skip


def findings(parser: argparse.ArgumentParser) -> None:
    """`--baseline --write-baseline --reason --until --sarif --rules --loader --weights`."""
    group(parser, "Findings", (
        value("--baseline", "FILE", "count only findings that this baseline does not hold; the others are listed"),
        value("--write-baseline", "FILE",
              "accept what is found now: write it to FILE with --reason and --until"),
        value("--reason", "TEXT", "with --write-baseline: why these findings are accepted"),
        value("--until", "DATE", "with --write-baseline: the last day on which they are, such as 2027-03-31",
              type=day),
        many("--sarif", "FILE", "count the results of another scanner too, from its SARIF log"),
        many("--loader", "NAME==VERSION",
             "judge for this version, such as torch==2.5; what is not named counts as any version"),
        many("--rules", "NAME", "let the rules of this installed package look too"),
        switch("--weights",
               "look at the numbers too: NaN, constants, twins, unused tensors, what low bits spell; slower"),
    ))  # fmt: skip


def limits(parser: argparse.ArgumentParser) -> None:
    """`--max-bytes --max-depth --max-members --timeout --jobs --links`."""
    group(parser, "Limits", (
        value("--max-bytes", "SIZE", "bytes to read and unpack, such as 40G; 64G when left out", type=size),
        value("--max-depth", "N", "levels of containers inside containers; 16 when left out", type=positive),
        value("--max-members", "N", "entries over all containers; 1000000 when left out", type=positive),
        value("--timeout", "SECONDS", "time for the whole model; 3600 when left out", type=seconds),
        value("--jobs", "N", "threads that hash; one a core when left out", type=positive),
        value("--links", "WHICH",
              "symbolic links to follow: inside (default: those that stay in the model), refuse (none) or follow (all)",
              choices=("inside", "refuse", "follow"), default="inside"),
    ))  # fmt: skip
