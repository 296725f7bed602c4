"""What an ONNX model calls: its operators, functions that call themselves or grow, and calls that make too much.

No weights here; the calls were counted on the way through the graphs (`formats.onnx.walk`).
"""

from collections import Counter
from collections.abc import Iterator

from weighbridge.formats.allocation import too_many
from weighbridge.formats.onnx.reading import Operator
from weighbridge.formats.onnx.work import Key, Work

MAX_EXPANSION = 10_000_000
"""Nodes after all functions are inlined."""


def note_function_calls(work: Work) -> None:
    """No function calls itself over any number of steps, and inlining all of them stays affordable."""
    inner = {
        key: Counter({called: count for called, count in calls.items() if called in work.functions})
        for key, calls in work.functions.items()
    }
    _note_faults(work, _costs(work, inner))


def _costs(work: Work, inner: dict[Key, Counter[Key]]) -> dict[Key, int]:
    """Nodes of every function once all that it calls is inlined; those that never end have none."""
    waiting = {key: len(calls) for key, calls in inner.items()}
    callers: dict[Key, list[Key]] = {key: [] for key in inner}
    for key, calls in inner.items():
        for called in calls:
            callers[called].append(key)
    ready = [key for key, count in waiting.items() if not count]
    costs: dict[Key, int] = {}
    while ready:
        key = ready.pop()
        own = sum(work.functions[key].values()) - sum(inner[key].values())
        costs[key] = min(MAX_EXPANSION, own + sum(costs[c] * n for c, n in inner[key].items()))
        for caller in callers[key]:
            waiting[caller] -= 1
            if not waiting[caller]:
                ready.append(caller)
    return costs


def _note_faults(work: Work, costs: dict[Key, int]) -> None:
    for key in work.functions:
        if key not in costs:
            work.odd("function-cycle", "the function calls itself, directly or through others", part=key[1])
        elif costs[key] >= MAX_EXPANSION:
            work.odd("function-expansion", f"inlining gives {MAX_EXPANSION} nodes or more", part=key[1])


def note_allocations(work: Work) -> None:
    """Operators that make more out of constants than any memory holds."""
    for made in work.made:
        given = [work.numbers.get(made.scope + name) or work.numbers.get(name, ()) for name in made.inputs]
        if words := too_many(made.op, given):
            work.odd("constant-bomb", words, offset=made.at)


def operators(work: Work) -> Iterator[Operator]:
    """Every operator that is called, its overloads together, by domain and name."""
    local = {(domain, name) for domain, name, _ in work.functions}
    calls: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], int] = {}
    for (domain, name, overload), count in work.nodes.items():
        calls[domain, name] += count
        offset = work.first[domain, name, overload]
        first[domain, name] = min(offset, first.get((domain, name), offset))
    for (domain, name), count in sorted(calls.items()):
        offset = first[domain, name]
        known = (domain, name) in local
        yield Operator(domain=domain, name=name, count=count, offset=offset, local=known)
