"""The chain as a tree for people: who says so stands in one column, whatever the depth."""

from weighbridge.core.chain import Fact, Making, Node, Standing
from weighbridge.report.trace import tree

DATA = Node(name="data", digests=("sha256:" + "cd" * 32,), standing=Standing.UNSTATED, relation="trained_on")
MODEL = Node(
    name="model",
    digests=("weighbridge-files-v1-sha256:" + "ab" * 32,),
    standing=Standing.SIGNED,
    facts=(Fact(word="review", text="approve as safety", standing=Standing.CLAIMED),),
    makings=(Making(name="train", standing=Standing.SIGNED, by=("ben",), materials=(DATA,)),),
)


def test_who_says_so_stands_in_one_column():
    assert tree(MODEL) == [
        "model  sha256:abab…abab",
        "├─ review  approve as safety              ? claimed, signed by nobody known",
        "└─ train                                  ✓ signed by ben",
        "   └─ trained on  data  sha256:cdcd…cdcd  ? nothing stated",
    ]


def test_a_title_that_is_too_long_moves_only_its_own_mark():
    long = Fact(word="review", text="x" * 100, standing=Standing.SIGNED, by="ann")
    short = Fact(word="scan", text="", standing=Standing.SIGNED, by="ann")
    node = Node(name="model", digests=(), standing=Standing.SIGNED, facts=(long, short), why="nothing more")
    first, second = tree(node)[1:3]
    assert first.endswith("x  ✓ signed by ann")
    assert second.index("✓") == 74
