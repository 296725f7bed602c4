"""A late pattern is the compiled one as far as anybody can see."""

import re

import pytest

from weighbridge.core.pattern import METHODS, late


def test_it_does_what_a_compiled_pattern_does():
    ours, standard = late(r"(a+)b", re.IGNORECASE), re.compile(r"(a+)b", re.IGNORECASE)
    for _ in range(2):  # compiled by the first use
        for method in ("match", "search", "fullmatch"):
            assert getattr(ours, method)("AAb").groups() == getattr(standard, method)("AAb").groups()
        assert ours.sub("-", "xab") == standard.sub("-", "xab")
        assert ours.split("1ab2") == standard.split("1ab2")
    assert (ours.pattern, ours.flags, ours.groups) == (standard.pattern, standard.flags, standard.groups)


def test_nothing_is_compiled_before_it_is_used():
    wrong = late("(")
    with pytest.raises(re.error):
        wrong.search("(")


def test_every_method_of_patterns_is_there():
    methods = {name for name in dir(re.compile("")) if not name.startswith("_")}
    assert set(METHODS) == methods - {"flags", "groups", "groupindex", "pattern", "scanner"}
