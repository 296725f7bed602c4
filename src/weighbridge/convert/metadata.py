"""What goes along in `__metadata__`: short texts and numbers of a checkpoint; all the rest is named.

Values are texts, as the format wants them. What looks like a template is left out, since some loader would render it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from weighbridge.convert import names
from weighbridge.convert.gather import Weights
from weighbridge.core.receipt import Dropped, Kind
from weighbridge.formats.safetensors import looks_like_template

LABELS = (
    ("pytorch", "pt"), ("torchscript", "pt"), ("hdf5", "tf"), ("keras", "tf"), ("tensorflow", "tf"), ("tf-", "tf"),
    ("flax", "flax"), ("msgpack", "flax"), ("npy", "np"), ("npz", "np"), ("joblib", "np"), ("paddle", "paddle"),
)  # fmt: skip
"""Beginning of a format's name → `__metadata__.format`, which transformers wants to see."""

MAX_METADATA = 64 * 1024
"""Characters of all texts and numbers that go along."""


def metadata_of(weights: Weights, beginnings: Mapping[str, str]) -> tuple[dict[str, str], list[Dropped]]:
    """The metadata of one file, and what is left out. `beginnings` are of names that are left out as a whole."""
    found = {"format": label} if (label := _label(weights.formats)) else {}
    found |= {key: value for key, value in weights.metadata if not looks_like_template(key, value)}
    dropped = list(_code(weights))
    inside = weights.contents
    if inside is None:
        return found, dropped
    room, over = MAX_METADATA, 0
    for name, text in inside.plain:
        if names.is_training(name, beginnings):
            continue
        room -= len(name) + len(text)
        if not name or names.bad_name(name) or names.bad_name(text) or looks_like_template(name, text):
            why = "its text could be taken for something else"
            dropped.append(Dropped(Kind.VALUE, weights.path, name, why))
        elif room < 0:
            over += 1
        else:
            found.setdefault(name, text)
    if over:
        why = f"more than {MAX_METADATA} characters of metadata"
        dropped.append(Dropped(Kind.VALUE, weights.path, "", why, over))
    objects = [(name, what) for name, what in inside.objects if not names.is_training(name, beginnings)]
    dropped += [Dropped(Kind.VALUE, weights.path, name, what) for name, what in objects]
    return found, [*dropped, *_training(weights, beginnings)]


def _code(weights: Weights) -> Iterator[Dropped]:
    if weights.code:
        why = "program text has no place beside plain tensors"
        yield Dropped(Kind.CODE, weights.path, "TorchScript", why, weights.code)


def _training(weights: Weights, beginnings: Mapping[str, str]) -> Iterator[Dropped]:
    """Values of training state, by the outermost key, where no tensor stands for them."""
    assert weights.contents is not None  # noqa: S101 - asked for pickles only
    tensors = {names.beginning(one.name, beginnings) for one in weights.found}
    values = [name for name, _ in (*weights.contents.plain, *weights.contents.objects)]
    count = Counter(names.beginning(name, beginnings) for name in values)
    for beginning, number in count.items():
        if beginning and beginning not in tensors:
            yield Dropped(Kind.VALUE, weights.path, beginning[:-1], beginnings[beginning], number)


def _label(formats: Sequence[str]) -> str:
    return next((label for beginning, label in LABELS for name in formats if name.startswith(beginning)), "")
