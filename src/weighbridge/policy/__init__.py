"""Policy: what a gate asks of a model, and `judge()`, which decides on the answers. Knows no parser, key or network.

words     what a policy can say          document  the strict reader of weighbridge.toml
policy    Policy and Settings            find      the nearest file, never one inside the model
layers    a policy out of its files      lines     what is in force, and who set it
judge     evidence in, verdict out       cel       rules in CEL (extra)      cases  samples to try a policy on
"""

from weighbridge.policy.find import find_policy, ignored_policy
from weighbridge.policy.judge import answers, examined, judge, suppress
from weighbridge.policy.layers import load_policy, load_preset
from weighbridge.policy.policy import Policy, Settings, default_policy
from weighbridge.policy.preset import PRESETS, presets
from weighbridge.policy.words import QUESTION_MEANINGS, QUESTIONS

__all__ = [
    "PRESETS",
    "QUESTIONS",
    "QUESTION_MEANINGS",
    "Policy",
    "Settings",
    "answers",
    "default_policy",
    "examined",
    "find_policy",
    "ignored_policy",
    "judge",
    "load_policy",
    "load_preset",
    "presets",
    "suppress",
]
