"""`weighbridge completion`: a script that a shell reads to complete commands and options."""

import argparse

from weighbridge.cli import options as shared
from weighbridge.cli.options import Parser

EXAMPLES = (
    "weighbridge completion bash > ~/.local/share/bash-completion/completions/weighbridge",
    "weighbridge completion zsh > ~/.zfunc/_weighbridge",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """The shell's name."""
    parser.add_argument("shell", metavar="SHELL", choices=("bash", "zsh", "tcsh"), help="bash, zsh or tcsh")
    shared.output(parser, shared.BOTH)


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from weighbridge.cli.app import COMMANDS, configure_command
    from weighbridge.cli.output import tell, write

    whole = Parser(prog="weighbridge")
    commands = whole.add_subparsers(parser_class=Parser)
    for name, (_, _, line) in COMMANDS.items():
        configure_command(name, commands.add_parser(name, help=line))
    script = shtab.complete(whole, shell=options.shell)
    if options.format == "json":
        return tell(options, {"shell": options.shell, "script": script}, [])
    write(script, options.output)
    return 0
