"""`weighbridge explain`: what a code in square brackets means, and what to do about it."""

import argparse
import tomllib
from difflib import get_close_matches
from importlib.resources import files

from weighbridge.cli import options as shared
from weighbridge.core.errors import UsageError

EXAMPLES = ("weighbridge explain no-signature", "weighbridge explain limit-bytes")


def configure(parser: argparse.ArgumentParser) -> None:
    """The code."""
    parser.add_argument("code", metavar="CODE", help="a code, as it stands in square brackets")
    shared.output(parser, shared.BOTH)


def run(options: argparse.Namespace) -> int:
    """Print the code's page; the name of a rule is answered with the rule's page."""
    from weighbridge.cli.output import tell
    from weighbridge.scan.rules import RULES

    if options.code in {name for name, _ in RULES}:
        from weighbridge.cli import rule

        options.name = options.code
        return rule.run(options)
    codes = known_codes()
    if options.code not in codes:
        close = get_close_matches(options.code, codes, n=1)
        raise UsageError(
            "unknown-code", f'there is no code "{options.code}"', *[f"weighbridge explain {c}" for c in close]
        )
    text = codes[options.code]
    return tell(options, {"code": options.code, "text": text}, [options.code, "", text], verdict=-1)


def known_codes() -> dict[str, str]:
    """Code → explanation, from `codes.toml` beside this file."""
    data = tomllib.loads(files("weighbridge.cli").joinpath("codes.toml").read_text("utf-8"))
    return {code: text.strip() for code, text in data.items()}
