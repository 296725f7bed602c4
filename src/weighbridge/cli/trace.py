"""`weighbridge trace`: where did this model come from, step by step, and who says so?"""

import argparse

from weighbridge.cli import options as shared

EXAMPLES = (
    "weighbridge trace ./minilm --key builder.pub",
    "weighbridge trace ./minilm --statements ./statements --format svg -o minilm.svg",
)
FORMATS = ("human", "json", "dot", "svg")


def configure(parser: argparse.ArgumentParser) -> None:
    """The model, whom to trust, and where statements lie."""
    shared.model(parser)
    shared.output(parser, FORMATS)
    shared.trust(parser)
    shared.statements(parser)
    shared.policy(parser)
    shared.limits(parser)


def run(options: argparse.Namespace) -> int:
    """Follow the statements back and draw them."""
    from weighbridge.check import Ask, weigh
    from weighbridge.cli.measuring import progress_line
    from weighbridge.cli.output import emit, write
    from weighbridge.cli.request import build

    request = build(options, frozenset({Ask.STATEMENTS}))
    with progress_line(request.paths, options) as progress:
        report = weigh(request, progress)
    if options.format not in ("dot", "svg") or report.chain is None:
        return emit(report, options)
    from weighbridge.report import trace

    write(trace.dot(report.chain) if options.format == "dot" else trace.svg(report.chain), options.output)
    return int(report.verdict.decision.exit_code)
