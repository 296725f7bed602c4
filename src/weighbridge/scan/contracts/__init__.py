"""Contracts: what a pickle may do at load time and still only build data. Reviewed data, one file an ecosystem.

`judge(program)` is the one question; `book` reads the files, `shapes` says what arguments look like, `harm` names
what well-known callables do. A name that no file lists is unproved: nothing is safe by pattern.
"""

from weighbridge.scan.contracts.judge import judge
from weighbridge.scan.contracts.judged import Judged, Judgement, Level

__all__ = ["Judged", "Judgement", "Level", "judge"]
