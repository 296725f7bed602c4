"""The conformance suite of the graph: what is taken in, what is one thing, what questions answer."""

import random
from pathlib import Path

import pytest

from tests.statements import Person, judged, thing
from weighbridge.attest.step import Relation
from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.statement import Named
from weighbridge.lineage import Edge, Grade, Lineage, Link, ancestors, ask, descendants, feed, index, way

ANN, BOB = Person("ann"), Person("bob")
DATA, BASE, MODEL, QUANT = (
    thing(name, place) for place, name in enumerate(["data", "base", "model", "quant"], 1)
)


def key(number: int) -> str:
    return f"sha256:{number:064x}"


def edge(
    child: int, parent: int, grade: Grade = Grade.ATTESTED, issuer: str = "ann", statement: str = ""
) -> Edge:
    return Edge(key(child), key(parent), Relation.DERIVED_FROM, grade, issuer, statement)


def titles(answer: ask.Answer) -> list[tuple[str, bool]]:
    return sorted((row.node.title, row.sure) for row in answer.rows)


def test_statements_become_edges_and_the_same_again_changes_nothing(lineage: Lineage) -> None:
    lines = ANN.ran("train", MODEL, (Relation.TRAINED_ON, DATA), (Relation.FINE_TUNED_FROM, BASE))
    lines += BOB.ran("quantize", QUANT, (Relation.QUANTIZED_FROM, MODEL))
    fed = feed(lineage, judged(lines, [ANN, BOB]))
    assert (fed.statements, fed.steps, fed.claimed, fed.added) == (2, 2, 0, (3, 3, 0))
    assert feed(lineage, judged(lines, [ANN, BOB])).added == (3, 0, 0)
    assert lineage.counts() == (4, 3)
    answer = descendants(lineage, DATA.digests)
    assert titles(answer) == [("model", True), ("quant", True)]
    assert [row.trusted for row in answer.rows] == [("ann",), ("bob",)]
    assert answer.rows[0].edges[0].statement.startswith("sha256:")
    found = way(lineage, DATA.digests, QUANT.digests)
    assert found is not None
    assert found.sure
    assert [node.title for node in found.nodes] == ["quant", "model", "data"]


def test_what_nobody_trusted_signed_is_perhaps(lineage: Lineage) -> None:
    lines = ANN.ran("train", MODEL, (Relation.TRAINED_ON, DATA)) + BOB.ran(
        "q", QUANT, (Relation.QUANTIZED_FROM, MODEL)
    )
    assert feed(lineage, judged(lines, [ANN])).claimed == 1
    answer = descendants(lineage, DATA.digests)
    assert titles(answer) == [("model", True), ("quant", False)]
    assert (answer.total, answer.sure) == (2, 1)
    found = way(lineage, QUANT.digests, DATA.digests)
    assert found is not None
    assert not found.sure


def test_a_crowd_of_strangers_is_one_claim(lineage: Lineage) -> None:
    crowd = b"".join(Person(f"p{n}").ran("train", MODEL, (Relation.TRAINED_ON, DATA)) for n in range(20))
    feed(lineage, judged(crowd, [ANN]))
    (row,) = ancestors(lineage, MODEL.digests).rows
    assert (row.sure, row.trusted, {one.issuer for one in row.edges}) == (False, (), {""})


def test_one_signer_counts_once_however_often_they_say_it(lineage: Lineage) -> None:
    lines = b"".join(ANN.ran(f"train{n}", MODEL, (Relation.TRAINED_ON, DATA)) for n in range(5))
    feed(lineage, judged(lines + BOB.ran("train", MODEL, (Relation.TRAINED_ON, DATA)), [ANN, BOB]))
    (row,) = ancestors(lineage, MODEL.digests).rows
    assert (row.trusted, len(row.edges)) == (("ann", "bob"), 6)


def test_contradictions_both_stand(lineage: Lineage) -> None:
    lines = ANN.ran("train", MODEL, (Relation.TRAINED_ON, DATA)) + BOB.ran(
        "train", MODEL, (Relation.TRAINED_ON, BASE)
    )
    feed(lineage, judged(lines, [ANN, BOB]))
    assert titles(ancestors(lineage, MODEL.digests)) == [("base", True), ("data", True)]


def test_digests_of_one_thing_are_one_node_where_somebody_trusted_says_so(lineage: Lineage) -> None:
    both = Named(name="both", others=(("sha256", "aa" * 32), ("sha512", "bb" * 64)))
    feed(lineage, judged(ANN.ran("train", both, (Relation.TRAINED_ON, DATA)), [ANN]))
    for digest in both.digests:
        assert titles(ancestors(lineage, [digest])) == [("data", True)]
    (start,) = ancestors(lineage, [both.digests[1]]).starts
    assert set(start.keys) == set(both.digests)
    assert {one.digests[0] for one in start.things} == set(both.digests)


def test_a_stranger_makes_nothing_one(lineage: Lineage) -> None:
    """Else anybody could hang their model under the digest of somebody else's."""
    forged = Named(name="x", others=(("sha256", f"{3:064x}"), ("sha512", "bb" * 64)))
    lines = ANN.ran("train", MODEL, (Relation.TRAINED_ON, DATA))
    lines += BOB.ran("train", forged, (Relation.TRAINED_ON, BASE))
    feed(lineage, judged(lines, [ANN]))
    (start,) = ancestors(lineage, MODEL.digests).starts
    assert start.keys == MODEL.digests
    answer = ancestors(lineage, ["sha512:" + "bb" * 64])
    assert not any(row.sure for row in answer.rows)
    assert not answer.circular


def test_things_become_one_after_their_edges_are_there(lineage: Lineage, arithmetic: None) -> None:
    lineage.add([edge(2, 1), edge(4, 3), edge(5, 5 + 1)])
    lineage.join([key(2), key(3)], Grade.ATTESTED, "ann")
    assert descendants(lineage, [key(1)]).total == 2
    index.load(lineage)
    assert descendants(lineage, [key(1)]).total == 2
    assert descendants(lineage, [key(3)]).total == 1
    with pytest.raises(UsageError, match="not made one"):
        lineage.join([key(8), key(9)], Grade.INFERRED, "eve")


def test_self_parents_are_kept_apart(lineage: Lineage) -> None:
    assert lineage.add([edge(1, 1), edge(2, 1)]) == (2, 2, 1)
    answer = descendants(lineage, [key(1)])
    assert (answer.total, answer.circular, len(answer.selves)) == (1, False, 1)


@pytest.mark.parametrize("indexed", [False, True])
def test_circles_are_told_and_end(lineage: Lineage, arithmetic: None, indexed: bool) -> None:
    lineage.add([edge(1, 2), edge(2, 3), edge(3, 1, Grade.DECLARED, ""), edge(9, 1)])
    if indexed:
        index.load(lineage)
    for limit in (1, 1000):
        answer = ancestors(lineage, [key(1)], limit)
        assert (answer.total, answer.sure, answer.circular, len(answer.circle)) == (2, 2, True, 3)
    assert not ancestors(lineage, [key(9)]).circular


def test_a_name_means_each_of_its_revisions(lineage: Lineage) -> None:
    exact, name, child = "hf:acme/base@" + "ab" * 20, "hf:acme/base", "hf:eve/tuned"
    lineage.add([
        Edge(name, exact, Link.NAMED),
        Edge(child, name, Relation.FINE_TUNED_FROM),
        Edge(exact, "hf:datasets/acme/data", Relation.TRAINED_ON),
    ])  # fmt: skip
    assert child in [row.node.title for row in descendants(lineage, [exact]).rows]
    assert titles(ancestors(lineage, [name])) == [("hf:datasets/acme/data", False)]
    assert not ancestors(lineage, [name]).circular
    lineage.join([key(7), exact], Grade.REPRODUCED, "measured here")
    assert descendants(lineage, [key(7)]).total == 2


def test_a_better_grade_stays_and_distrust_lowers_it(lineage: Lineage) -> None:
    one = edge(2, 1, Grade.DECLARED, "ann", "sha256:" + "00" * 32)
    assert lineage.add([one, one._replace(grade=Grade.ATTESTED), one]) == (3, 2, 0)
    assert lineage.add([one]).new == 0
    assert ancestors(lineage, [key(2)]).sure == 1
    assert lineage.distrust("ann") == 1
    assert ancestors(lineage, [key(2)]).sure == 0


def test_nothing_is_known_of_what_was_never_seen(lineage: Lineage) -> None:
    assert ancestors(lineage, [key(1)]).starts == ()
    assert way(lineage, [key(1)], [key(2)]) is None
    for bad in ("", "sha256:", "sha256:xyz", "hf:", "name:a\nb", "nonsense"):
        with pytest.raises(InputError, match="neither a digest nor a name"):
            lineage.add([Edge(bad, key(1), Relation.TRAINED_ON)])


def by_hand(edges: list[Edge], start: str, down: bool, grades: set[Grade]) -> set[str]:
    seen, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for one in edges:
            near, far = (one.parent, one.child) if down else (one.child, one.parent)
            if near == here and far not in seen and one.grade in grades:
                seen.add(far)
                waiting.append(far)
    return seen - {start}


@pytest.mark.parametrize("seed", range(4))
def test_index_sql_and_a_search_by_hand_agree(lineage: Lineage, arithmetic: None, seed: int) -> None:
    """Law: whatever the graph (circles too), all three find the same, and the same of it for sure."""
    dice = random.Random(seed)
    edges = [edge(dice.randrange(1, 40), dice.randrange(1, 40), dice.choice(list(Grade))) for _ in range(70)]
    edges = [one for one in edges if one.child != one.parent]
    best: dict[tuple[str, str], Edge] = {}
    for one in edges:  # one statement of one signer: the better grade stays
        old = best.get(one[:2])
        best[one[:2]] = one if old is None or one.grade.rank > old.grade.rank else old
    lineage.add(edges)
    for indexed in (False, True):
        if indexed:
            index.load(lineage)
        for number in range(1, 40):
            for ask_for, down in ((ancestors, False), (descendants, True)):
                answer = ask_for(lineage, [key(number)], dice.choice([1, 5, 1000]))
                if not answer.starts:
                    continue
                every = by_hand(list(best.values()), key(number), down, set(Grade))
                sure = by_hand(list(best.values()), key(number), down, {Grade.ATTESTED, Grade.REPRODUCED})
                assert (answer.total, answer.sure) == (len(every), len(sure))
                if len(answer.rows) == answer.total:
                    assert {row.node.title for row in answer.rows} == every
                    assert {row.node.title for row in answer.rows if row.sure} == sure


def test_a_graph_that_is_filled_at_once_is_whole(lineage: Lineage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weighbridge.lineage.taking.MANY", 10)
    monkeypatch.setattr("weighbridge.lineage.graph.BATCH", 50)
    edges = [edge(number + 1, number, statement=f"s{number}") for number in range(1, 301)]

    def interrupted() -> object:
        for place, one in enumerate(edges):
            if place == 120:  # somebody else writes between two batches
                lineage.join([key(500), key(501)], Grade.ATTESTED, "bob")
            if place == 160:
                lineage.add([edge(600, 1)])
            yield one

    assert lineage.add(interrupted()).new == 300
    assert lineage.add(edges) == (300, 0, 0)
    assert descendants(lineage, [key(1)]).total == 301
    assert lineage.counts() == (301 + 1 + 1, 301)


def test_a_damaged_index_is_made_again(tmp_path: Path) -> None:
    with Lineage(tmp_path / "l.db") as lineage:
        lineage.add([edge(2, 1), edge(3, 2)])
        file = tmp_path / "l.db.index"
        index.load(lineage)
        whole = file.read_bytes()
        for damaged in (
            b"",
            whole[:-4],
            whole[:-1] + b"\x07",
            whole.replace(b'"last":3', b'"last":9'),
            b"x" * len(whole),
        ):
            file.write_bytes(damaged)
            if damaged != whole.replace(b'"last":3', b'"last":9'):
                assert index.load(lineage, build=False) is None
            assert descendants(lineage, [key(1)]).total == 2
        index.load(lineage)
        lineage.add([edge(4, 3)])
        assert index.load(lineage, build=False) is None
        assert descendants(lineage, [key(1)]).total == 3


def test_a_deep_chain_is_answered(lineage: Lineage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "SHALLOW", 50)
    lineage.add([edge(number + 1, number) for number in range(1, 3001)])
    answer = descendants(lineage, [key(1)], 10)
    assert (answer.total, answer.sure, len(answer.rows)) == (3000, 3000, 10)
    found = way(lineage, [key(3001)], [key(1)])
    assert found is not None
    assert len(found.nodes) == 3001
