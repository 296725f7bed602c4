"""docs/policy.md: its examples are read, its tables name every word."""

import re
from datetime import UTC, datetime
from pathlib import Path

from weighbridge.policy import PRESETS, QUESTION_MEANINGS, load_policy, load_preset
from weighbridge.policy.cases import read_cases, run_cases
from weighbridge.policy.cel import VARIABLES, check_rules
from weighbridge.policy.document import TABLES

PAGE = (Path(__file__).parents[2] / "docs/policy.md").read_text()
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_examples_are_policies_and_cases(tmp_path: Path) -> None:
    cases = [block for block in BLOCKS if "[[case]]" in block]
    assert (len(BLOCKS), len(cases)) == (7, 1)
    for number, block in enumerate(block for block in BLOCKS if "[[case]]" not in block):
        path = tmp_path / f"{number}.toml"
        path.write_text(block)
        policy = load_policy(path)
        assert not policy.rules or check_rules(policy) == ()
    results = run_cases(load_preset("production"), read_cases(cases[0].encode(), "cases"), datetime.now(UTC))
    assert [result.as_expected for result in results] == [True, True]


def test_every_word_is_on_the_page() -> None:
    for table, keys in TABLES.items():
        assert f"[{table}" in PAGE
        for key in keys:
            assert re.search(rf"`{key}`|^{key} +=|\.{key}\]\]", PAGE, re.MULTILINE), key
    for name in (*PRESETS, *QUESTION_MEANINGS, *VARIABLES):
        assert f"`{name}`" in PAGE, name
    for line in (*PRESETS.values(), *(QUESTION_MEANINGS[q] for q in ("signed", "intact", "safe", "read"))):
        assert line in PAGE
