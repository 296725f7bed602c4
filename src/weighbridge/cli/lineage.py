"""`weighbridge lineage`: what is this made of, what came of it, and who says so?"""

import argparse
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.cli import options as shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weighbridge.attest.attestation import Attestation
    from weighbridge.core.artifact import Artifact
    from weighbridge.core.manifest import Manifest
    from weighbridge.lineage import Lineage
    from weighbridge.lineage.ask import Direction
    from weighbridge.lineage.known import Kin, Sketched
    from weighbridge.sign.bundle import Bundle

EXAMPLES = (
    "weighbridge lineage import cards.jsonl",
    "weighbridge lineage add ./chat-7b --key builder.pub",
    "weighbridge lineage descendants hf:datasets/acme/support",
    "weighbridge lineage infer ./unknown-model",
)
VERBS = ("ancestors", "descendants", "path", "import", "add", "remember", "infer")
WHAT = "algorithm:hex, hf:org/name, name:… or a model's folder or file, which is then measured"


def configure(parser: argparse.ArgumentParser) -> None:
    """The seven verbs."""
    verbs = shared.verbs(parser, VERBS)
    _asking(verbs.add_parser("ancestors", help="what it is made of"), "ancestors ./chat-7b")
    _asking(
        verbs.add_parser("descendants", help="what came of it"),
        "descendants hf:datasets/acme/support --limit 20",
    )
    path = verbs.add_parser("path", help="how two things hang together")
    path.add_argument("what", metavar="ONE", help=WHAT)
    path.add_argument("other", metavar="OTHER", help="the same")
    path.set_defaults(run=run_path)
    shared.examples(path, "weighbridge lineage path ./chat-7b hf:acme/base-7b")
    _importing(verbs.add_parser("import", help="take in cards, edges and bundles"))
    _adding(verbs.add_parser("add", help="take in the statements that lie beside a model, or one edge"))
    _remembering(verbs.add_parser("remember", help="keep what a model's tensors look like"))
    _inferring(verbs.add_parser("infer", help="find likely parents among the models that are remembered"))
    place = shared.value("--db", "URL", "the lineage: a file or postgresql://…; yours when left out")
    for name, verb in verbs.choices.items():
        shared.output(verb, shared.BOTH)
        shared.add(verb, [place])
        if name != "import":
            shared.limits(verb)


def _asking(verb: argparse.ArgumentParser, example: str) -> None:
    verb.add_argument("what", metavar="WHAT", help=WHAT)
    rows = "rows to list, 100 when left out"
    shared.add(verb, [shared.value("--limit", "N", rows, type=shared.positive, default=100)])
    verb.set_defaults(run=run_ask)
    shared.examples(verb, f"weighbridge lineage {example}")


def _importing(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "files", metavar="FILE", nargs="+", help="a file of one a line (.jsonl), or a folder of READMEs"
    )
    own = "edges of the files are our own: their grades stand as they are"
    shared.add(verb, [shared.switch("--own", own)])
    verb.set_defaults(run=run_import)
    shared.trust(verb, "--key", "--trust")
    shared.examples(verb, "weighbridge lineage import cards.jsonl", "weighbridge lineage import ./readmes")


def _adding(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("files", metavar="MODEL", nargs="*", help="a model, or a file of its statements")
    verb.add_argument(
        "--edge", nargs=3, metavar=("CHILD", "RELATION", "PARENT"), help="one edge by your own word: declared"
    )
    verb.set_defaults(run=run_add)
    shared.trust(verb, "--key", "--trust")
    shared.examples(
        verb,
        "weighbridge lineage add ./chat-7b --key builder.pub",
        "weighbridge lineage add --edge name:chat-7b fine_tuned_from hf:acme/base-7b",
    )


NAME = "hf:org/name@revision, hf:org/name or name:…"


def _remembering(verb: argparse.ArgumentParser) -> None:
    shared.model(verb)
    shared.add(verb, [shared.value("--name", "NAME", f"what it is: {NAME}")])
    verb.set_defaults(run=run_remember)
    shared.examples(verb, "weighbridge lineage remember ./base-7b --name hf:acme/base-7b@4f1c")


def _inferring(verb: argparse.ArgumentParser) -> None:
    shared.model(verb)
    shared.add(verb, (
        shared.value("--name", "NAME", "what it says it is, for what cards declare of it"),
        shared.switch("--record", "put what is found into the lineage, as inferred"),
    ))  # fmt: skip
    verb.set_defaults(run=run_infer)
    shared.examples(verb, "weighbridge lineage infer ./unknown-model --name hf:acme/chat-7b")


# ------------------------------------------------------------------------------------------------------- questions


def run_ask(options: argparse.Namespace) -> int:
    """Ancestors or descendants."""
    from weighbridge.lineage import ancestors, descendants, show

    keys = _keys(options.what, options)
    with _open(options) as lineage:
        answer = (ancestors if options.verb == "ancestors" else descendants)(lineage, keys, options.limit)
    if options.format == "json":
        return _say(options, show.answer_document(answer), [], 0 if answer.starts else 3)
    if not answer.starts:
        return _say(options, {}, [f'UNKNOWN: the lineage has nothing about "{_shown(options.what)}"'], 3)
    last = f"{answer.total:,} {options.verb.removesuffix('s') if answer.total == 1 else options.verb}: {answer.sure:,} for sure, {answer.total - answer.sure:,} perhaps."
    return _say(options, {}, [*show.tree(answer, options.verb), last], 0)


def run_path(options: argparse.Namespace) -> int:
    """How two things hang together."""
    from weighbridge.lineage import show, way

    one, other = _keys(options.what, options), _keys(options.other, options)
    with _open(options) as lineage:
        found = way(lineage, one, other)
    if found is None:
        return _say(options, show.way_document(found), ["UNKNOWN: no way between the two is known."], 3)
    from weighbridge.core.text import counted

    word = "DESCENDS for sure" if found.sure else "MAY DESCEND"
    return _say(
        options,
        show.way_document(found),
        [*show.way_lines(found), f"{word}: {counted(len(found.hops), 'step')}."],
        0,
    )


# ------------------------------------------------------------------------------------------------------- taking in


def run_import(options: argparse.Namespace) -> int:
    """Cards, edges and bundles in bulk."""
    from weighbridge.lineage import show
    from weighbridge.lineage.intake import Intake

    judge = _judge(options)
    with _open(options) as lineage:
        taken = Intake(judge, own=options.own).run(lineage, map(Path, options.files))
        nodes, edges = lineage.counts()
    code = 3 if taken.counts or taken.added.own else 0
    facts = {**show.taken_document(taken), "nodes": nodes, "edges_total": edges}
    return _say(options, facts, [*show.taken_lines(taken), f"holds  {nodes:,} nodes, {edges:,} edges"], code)


def run_add(options: argparse.Namespace) -> int:
    """Statements beside models, or one edge."""
    from weighbridge.core.errors import UsageError
    from weighbridge.core.text import counted, visible
    from weighbridge.lineage import Edge, feed
    from weighbridge.lineage.edge import RELATIONS
    from weighbridge.lineage.nodes import check_key

    relations = {relation.value: relation for relation in RELATIONS}
    if bool(options.files) == bool(options.edge):
        raise UsageError("bad-option", "name models or files of statements, or one --edge")
    with _open(options) as lineage:
        if options.edge:
            child, word, parent = options.edge
            if word not in relations:
                raise UsageError("bad-option", f'"{visible(word, 40)}" is no relation', " ".join(relations))
            edge = Edge(check_key(child), check_key(parent), relations[word], time=int(time.time()))
            added = lineage.add([edge])
            own = "; a self-parent, kept apart" if added.own else ""
            return _say(
                options,
                {"new": added.new, "self_parents": added.own},
                [f"added {added.new}{own}"],
                3 if own else 0,
            )
        judge = _judge(options)
        fed = feed(lineage, [judge(one) for name in options.files for one in _statements(Path(name))])
    facts = {
        "statements": fed.statements, "steps": fed.steps, "claimed": fed.claimed, "stated": fed.added.given,
        "new": fed.added.new, "self_parents": fed.added.own,
        "problems": [{"place": p, "code": c, "message": w} for p, c, w in fed.problems],
    }  # fmt: skip
    what = f"{counted(fed.statements, 'statement')}, {counted(fed.steps, 'step')}"
    new = counted(fed.added.new, "new edge")
    lines = [f"fed  {what} ({fed.claimed} signed by nobody known): {new}"]
    lines += [
        f"?    {visible(place)}: {visible(why, 200)} [{code}]" for place, code, why in fed.problems[:20]
    ]
    lines += [f"!    {counted(fed.added.own, 'self-parent')}, kept apart"] if fed.added.own else []
    return _say(options, facts, lines, 3 if fed.problems or fed.added.own else 0, verdict=0)


def _statements(path: Path) -> "tuple[Bundle, ...]":
    from weighbridge.core.errors import UsageError
    from weighbridge.core.text import visible
    from weighbridge.evidence.find import find_statements, open_places

    if path.is_file() and path.suffix == ".jsonl":
        return open_places([str(path)])[0]
    if not path.exists():
        raise UsageError("no-such-path", f'there is nothing at "{visible(str(path))}"')
    return find_statements(path)


def _judge(options: argparse.Namespace) -> Any:
    """Who signed a bundle, by the keyring."""
    from weighbridge.attest.attestation import judge_one
    from weighbridge.cli.request import chosen_keyring, chosen_policy

    keyring = chosen_keyring(options, chosen_policy(None, ()), None)
    now = datetime.now(UTC)

    def judge(bundle: "Bundle") -> "Attestation":
        return judge_one(bundle, keyring.anchors, keyring.authorities, now)

    return judge


# ------------------------------------------------------------------------------------------------------- inference


def run_remember(options: argparse.Namespace) -> int:
    """Keep a model's tensors."""
    from weighbridge.lineage import Edge, Grade, Link
    from weighbridge.lineage.edge import is_digest
    from weighbridge.lineage.known import HERE, remember
    from weighbridge.lineage.nodes import check_key

    artifact, manifest, keys = _measured(options.model, options)
    tensors = _sketched(artifact, manifest)
    name = check_key(options.name) if options.name else ""
    with _open(options) as lineage:
        exact = [name] if name and (is_digest(name) or "@" in name) else []
        node = lineage.join([*keys, *exact], Grade.REPRODUCED, HERE, "", artifact.name)
        if name and not exact:
            lineage.add([Edge(name, keys[0], Link.NAMED, Grade.REPRODUCED, HERE)])
        kept = remember(lineage, node, name or artifact.name, tensors)
    facts = {"name": name or artifact.name, "keys": list(keys), "tensors": len(tensors), "telling": kept}
    text = f"remembered  {_shown(name or artifact.name)}: {kept} of {len(tensors)} tensors say something"
    return _say(options, facts, [text], 0 if kept else 3)


def run_infer(options: argparse.Namespace) -> int:
    """Likely parents, and whether what is declared fits them."""
    from weighbridge.lineage import Grade
    from weighbridge.lineage.known import HERE, count_known, inferred, kin

    artifact, manifest, keys = _measured(options.model, options)
    tensors = _sketched(artifact, manifest)
    with _open(options) as lineage:
        own = lineage.find(keys)
        declared = {**_stated(lineage, options.name), **_declared(Path(options.model))}
        asked = {parent: lineage.find([parent]) for parent in declared}
        every = kin(lineage, tensors, own, least=0.0, also=[one for found in asked.values() for one in found])
        found, known = _likely(every), count_known(lineage)
        fit = any(one.sketch for one in tensors)
        claims = [
            (parent, *_held(lineage, asked[parent], every, comparable=fit and comparable))
            for parent, comparable in declared.items()
        ]
        told = [(one, _direction(lineage, own, one, claims, asked)) for one in found]
        if options.record and found:
            lineage.join(keys, Grade.REPRODUCED, HERE, "", artifact.name)
            lineage.add(inferred(keys[0], told, int(time.time())))
    missing = bool(found) and not any(word == "holds" for _, word, _ in claims)
    code = 1 if any(word == "false" for _, word, _ in claims) else 3
    if all(word == "holds" for _, word, _ in claims) and not missing and known and fit:
        code = 0
    facts = {
        "models_known": known, "tensors": len(tensors), "telling": sum(bool(one.sketch) for one in tensors),
        "likely": [_kin_document(*one) for one in told],
        "declared": [{"parent": p, "outcome": word, "measured": share} for p, word, share in claims],
        "missing": missing,
    }  # fmt: skip
    return _say(options, facts, _inferred_lines(artifact.name, told, claims, known, missing), code)


def _direction(
    lineage: "Lineage",
    own: tuple[int, ...],
    one: "Kin",
    claims: "list[tuple[str, str, float | None]]",
    asked: "dict[str, tuple[int, ...]]",
) -> "Direction":
    """What the other is to this model: by what is declared and fits the weights, else by what the lineage has."""
    from weighbridge.lineage.ask import Direction, direction

    stated = direction(lineage, own, one.node.id) if own else Direction.UNKNOWN
    declared = any(word == "holds" and one.node.id in asked[parent] for parent, word, _ in claims)
    if declared and stated is not Direction.DESCENDANT:
        return Direction.ANCESTOR
    return Direction.UNKNOWN if declared else stated


def _likely(every: "tuple[Kin, ...]") -> "tuple[Kin, ...]":
    from weighbridge.lineage.known import KIN

    return tuple(one for one in every if one.alike >= KIN)


def _declared(path: Path) -> dict[str, bool]:
    """What the card in the model's folder says it comes from, and whether weights can tell: those of an adapter cannot."""
    from weighbridge.attest.step import Relation
    from weighbridge.core.errors import InputError, LimitError
    from weighbridge.lineage.cards import read_card
    from weighbridge.lineage.intake import MAX_CARD, front_matter
    from weighbridge.store import read_beside

    data = read_beside(path / "README.md", MAX_CARD) if path.is_dir() else None
    try:
        told = read_card(front_matter(data or b""), "model")
    except (InputError, LimitError):
        return {"name:the card, which cannot be read": False}
    adapter = (path / "adapter_config.json").exists()
    edges = [edge for edge in told.edges if not edge.parent.startswith("hf:datasets/")]
    return {edge.parent: not adapter and edge.relation is not Relation.ADAPTER_OF for edge in edges}


def _stated(lineage: "Lineage", name: str | None) -> dict[str, bool]:
    """The same, of what cards that were imported say about this name."""
    from weighbridge.attest.step import Relation
    from weighbridge.lineage import Link, ancestors

    rows = ancestors(lineage, [name]).rows if name else ()
    edges = [edge for row in rows if row.depth == 1 for edge in row.edges if edge.relation is not Link.NAMED]
    return {
        edge.parent: edge.relation is not Relation.ADAPTER_OF
        for edge in edges
        if not edge.grade.is_sure and edge.relation is not Relation.TRAINED_ON and edge.issuer == ""
    }


def _held(
    lineage: "Lineage", nodes: tuple[int, ...], every: "tuple[Kin, ...]", *, comparable: bool
) -> tuple[str, float | None]:
    """(holds, false or unknown; the measured share) of one declared parent."""
    from weighbridge.lineage.known import KIN

    with lineage.reading() as transaction:
        remembered = {row[0] for row in transaction.rows("SELECT node FROM lineage_model")}
    share = max((one.alike for one in every if one.node.id in nodes), default=0.0)
    if share >= KIN:
        return "holds", share
    if not comparable or not remembered & set(nodes):
        return "unknown", None
    return "false", share


def _kin_document(one: "Kin", direction: "Direction") -> dict[str, Any]:
    return {
        "direction": direction.value,
        "name": one.name, "keys": list(one.node.keys), "grade": "inferred", "equal": round(one.equal, 4),
        "alike": round(one.alike, 4), "likeness": round(one.likeness, 4), "tensors_equal": one.tensors[0],
        "tensors_alike": one.tensors[1],
    }  # fmt: skip


_WORDS = {
    "ancestor": "inferred, an ancestor by what is stated",
    "descendant": "inferred, a descendant by what is stated",
    "unknown": "inferred, direction unknown",
}


def _inferred_lines(
    name: str,
    found: "Sequence[tuple[Kin, Direction]]",
    claims: list[tuple[str, str, float | None]],
    known: int,
    missing: bool,
) -> list[str]:
    from weighbridge.core.text import counted

    lines = [_shown(name)]
    lines += [
        f"├─ likely kin  {_shown(one.name):<32}  {one.equal:.0%} equal, {one.alike:.0%} alike  ? {_WORDS[direction]}"
        for one, direction in found[:20]
    ]
    words = {
        "holds": "✓ measured",
        "false": "✗ the weights have nothing to do with it",
        "unknown": "? not remembered here, or an adapter: not compared",
    }
    lines += [f"├─ declared    {_shown(parent):<32}  {words[word]}" for parent, word, _ in claims]
    if missing:
        lines.append("├─ missing     none of the likely kin is declared  ?")
    if not found:
        lines.append(f"├─ nothing alike among {counted(known, 'remembered model')}  ?")
    return [
        *lines,
        f"└─ compared with {counted(known, 'remembered model')}; kinship is measured, not who came first",
    ]


# ------------------------------------------------------------------------------------------------------- shared


def _open(options: argparse.Namespace) -> "Lineage":
    import hashlib

    from weighbridge.core.database import is_server
    from weighbridge.evidence.mark import state_dir
    from weighbridge.lineage import Lineage

    state = state_dir(os.environ, Path.home())
    place = options.db or state / "lineage.db"
    if is_server(place):
        return Lineage(place, state / f"lineage-{hashlib.sha256(str(place).encode()).hexdigest()[:16]}.index")
    return Lineage(place)


def _keys(text: str, options: argparse.Namespace) -> tuple[str, ...]:
    """What somebody means: a key as it stands, a hub's name, or the digests of something that is measured."""
    from weighbridge.core.errors import InputError, UsageError
    from weighbridge.lineage.nodes import check_key

    if Path(text).exists():
        return _measured(text, options)[2]
    try:
        return (check_key(text),)
    except InputError:
        raise UsageError(
            "no-such-path",
            f'there is nothing at "{_shown(text)}", and it is neither a digest nor a name',
            "hf:org/name, name:NAME, sha256:…, or a path that is there",
        ) from None


def _measured(path: str, options: argparse.Namespace) -> "tuple[Artifact, Manifest, tuple[str, ...]]":
    """A model as it lies there, and the keys by which a lineage may know it."""
    from weighbridge.attest.subject import subject_of
    from weighbridge.check import bundles_of
    from weighbridge.core.errors import InputError
    from weighbridge.measure import Plan, measure
    from weighbridge.store import Links, open_artifact

    artifact = open_artifact(path, links=Links(options.links), exclude=bundles_of(Path(path))[1])
    manifest = measure(artifact, Plan(tensors=True), jobs=options.jobs, seconds=options.timeout).manifest
    keys = subject_of(artifact.name, manifest, single=artifact.single).what.digests
    if not keys:
        raise InputError("no-digest", f'"{_shown(path)}" has no digest: not all of it could be read')
    return artifact, manifest, keys


def _sketched(artifact: "Artifact", manifest: "Manifest") -> "list[Sketched]":
    from weighbridge.lineage.known import sketches

    return sketches(artifact, manifest.tensors or ())


def _shown(text: str) -> str:
    from weighbridge.core.text import visible

    return visible(text, 100)


def _say(
    options: argparse.Namespace, facts: dict[str, Any], lines: list[str], code: int, verdict: int = -1
) -> int:
    from weighbridge.cli.output import schema, tell

    document = {"schema": schema("lineage"), "command": f"lineage {options.verb}", **facts}
    return tell(options, document, lines, code=code, verdict=verdict)
