"""The rule `config-absurd-limit`."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading, Path
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

_LIMITS: tuple[tuple[re.Pattern[str], float], ...] = (
    (late(r"(max_new_tokens|min_new_tokens|min_length|max_length|max_gen(eration)?_len(gth)?|max_tokens|n_predict|num_predict|max_decode_steps?)\Z"), 1e12),
    (late(r"(num_beams|num_beam_groups|num_return_sequences|best_of|num_assistant_tokens)\Z"), 1e5),
    (late(r"(vocab_size|n_vocab|hidden_size|hidden_dim|d_model|n_embd|n_embed|embed_dim|dim|intermediate_size|ffn_dim|d_ff|n_inner|model_dim|proj(ection)?_dim|in_channels|out_channels|num_channels|num_labels|num_classes)\Z"), 1e9),
    (late(r"(num_hidden_layers|n_layers?|num_layers|encoder_layers|decoder_layers|num_blocks|num_experts|n_experts|num_local_experts|depth|num_attention_heads|n_heads?|num_heads|num_key_value_heads)\Z"), 1e6),
    (late(r"(max_position_embeddings|n_positions|n_ctx|max_seq_len(gth)?|max_sequence_length|context_length|sliding_window|max_target_positions|max_source_positions|type_vocab_size)\Z"), 1e12),
    (late(r"(image_size|patch_size|crop_size|height|width|size|shortest_edge|longest_edge|resample|n_mels|n_fft|hop_length|feature_size|num_mel_bins|max_frames|num_frames)\Z"), 1e8),
    (late(r"(lora_rank|lora_r|batch_size|max_batch_size|num_workers|num_threads|n_threads|n_jobs|num_inference_steps|num_train_timesteps)\Z"), 1e9),
)  # fmt: skip
"""Keys of sizes that a loader allocates or counts to, and what no machine has."""
_NEVER_BELOW = late(
    r"(vocab_size|hidden_size|d_model|n_embd|embed_dim|intermediate_size|ffn_dim|num_hidden_layers|n_layers?|num_layers|num_attention_heads|n_heads?|num_heads"
    r"|num_key_value_heads|num_channels|patch_size|num_beams|num_return_sequences|n_positions|max_position_embeddings)\Z"
)
"""Sizes that have no word for "none", as -1 is elsewhere."""
_CONFIG = late(
    r"(?i)(^|/)([^/]*config[^/]*|params|hparams|hyperparameters|model_args|scheduler[^/]*|preprocessor[^/]*|generation[^/]*)\.(json|ya?ml)$"
)
MAX_FINDINGS = 10
MAX_OBJECTS = 5000


class ConfigAbsurdLimit(Rule):
    """
    ## What it does
    Looks in the configs of models and of generation for sizes that no machine has (a thousand million layers, a million
    beams, a length of 10¹⁵ tokens) and for sizes below zero.

    ## Why is this bad?
    The loader allocates what the config says before it looks at the weights, and a server generates until the limit: one
    file, and the machine is out of memory or busy for ever.

    ## Example
    ```json
    {"max_new_tokens": 1000000000000000}
    ```

    ## Use instead
    The sizes that the weights have, and limits that end.

    ## Known problems
    The `model_max_length` of tokenizers, which is 10³⁰ where nobody set it, allocates nothing and is left out.

    ## References
    - CWE-770, CWE-789
    """

    name = "config-absurd-limit"
    summary = "a config asks for sizes that no machine has"
    severity = Severity.ERROR
    since = "0.1"
    formats = ("json", "yaml")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a value, ten at most."""
        name = place.parts[-1] if place.parts else place.path
        if not isinstance(reading, JsonReading) or not _CONFIG.search(name):
            return
        for path, value in islice(_absurd(reading), MAX_FINDINGS):
            where = replace(place, line=reading.line(path))
            yield self.finding(where, f'"{path[-1]}" is {str(value)[:60]}, which no machine has')


def _absurd(reading: JsonReading) -> Iterator[tuple[Path, float]]:
    for path, item in islice(reading.objects, MAX_OBJECTS):
        for key, value in item.items():
            for number in value if isinstance(value, list) and len(value) <= 64 else (value,):
                if isinstance(number, bool) or not isinstance(number, int | float) or number != number:
                    continue
                if _beyond(key, number):
                    yield (*path, key), number
                    break


def _beyond(key: str, number: float) -> bool:
    if -math.inf < number < 0:
        return number < -1 and _NEVER_BELOW.match(key) is not None
    return any(number > most and pattern.match(key) for pattern, most in _LIMITS)
