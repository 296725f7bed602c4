"""Every published bypass of a scanner, and every published weakness of a loader that a file can use: one table.

A row is one advisory: what it was, files that use it with a harmless payload, and the rule that names it here. The page
`docs/bypasses.md` is made of it (`make docs`). Ids come from the advisories themselves; what has no id of a database stands
under the number of the public report. Nothing is loaded, unpickled or rendered.
"""

from collections.abc import Iterable, Iterator

from tests.scan.published import (
    fickling,
    gguf,
    keras,
    modelscan,
    onnx,
    others,
    picklescan,
    pytorch,
    tensorflow,
    transformers,
)
from tests.scan.published.row import Bypass

CHAPTERS: tuple[tuple[str, tuple[Bypass, ...]], ...] = (
    ("picklescan", picklescan.ROWS),
    ("fickling", fickling.ROWS),
    ("modelscan, saferpickle, modelaudit", modelscan.ROWS),
    ("PyTorch and what loads its files", pytorch.ROWS),
    ("Keras", keras.ROWS),
    ("transformers and diffusers", transformers.ROWS),
    ("GGUF and chat templates", gguf.ROWS),
    ("ONNX", onnx.ROWS),
    ("TensorFlow, TensorFlow Lite and MXNet", tensorflow.ROWS),
    ("Others", others.ROWS),
)
BYPASSES: tuple[Bypass, ...] = tuple(row for _, rows in CHAPTERS for row in rows)

HEAD = """\
# Published bypasses

Every advisory that we know of a scanner that was passed, and of a loader that a model file can attack. Each has a test named
after its id (`tests/scan/published/`, `pytest -k CVE-2025-1550`): files of that shape with a harmless payload, and none of
them passes. **fail** says that the harm is named; **unknown** that the file is held back, with the reason.

{count} rows, {ids} ids: {fail} fail, {unknown} unknown.
"""


def ids() -> Iterator[str]:
    """Every id that has a row."""
    for row in BYPASSES:
        yield from (row.id, *row.also)


def page() -> str:
    """`docs/bypasses.md`."""
    fail = sum(row.outcome == "fail" for row in BYPASSES)
    head = HEAD.format(count=len(BYPASSES), ids=len(list(ids())), fail=fail, unknown=len(BYPASSES) - fail)
    return head + "".join(f"\n## {title}\n\n{_table(rows)}" for title, rows in CHAPTERS)


def _table(rows: Iterable[Bypass]) -> str:
    lines = ["| id | product | affected | what it was | named by | outcome |", "|---|---|---|---|---|---|"]
    lines += map(_line, rows)
    return "\n".join(lines) + "\n"


def _line(row: Bypass) -> str:
    named = "<br>".join((row.id, *row.also))
    rule = f"[{row.rule}](rules/{row.rule}.md)" if row.rule in _rules() else f"`{row.rule}`"
    outcome = f"{row.outcome}: {row.why}" if row.why else str(row.outcome)
    cells = (named, row.product, row.affected, row.what, rule, outcome)
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _rules() -> frozenset[str]:
    from weighbridge.scan.rules import RULES

    return frozenset(name for name, _ in RULES)
