"""The rule `spacy-registry`."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.reading import Reading
from weighbridge.formats.text import TextReading
from weighbridge.scan import config_targets
from weighbridge.scan.rule import Rule
from weighbridge.scan.text_harm import OUTSIDE, harm

_IS_CONFIG = late(r"^\[(?:nlp|components(?:\.[^\]]+)?|initialize|training)\]\s*$", re.MULTILINE)
_REFERENCE = late(r'"?@([a-z_]{1,40})"?\s*[=:]\s*"([^"\n]{0,300})"')
_FACTORY = late(r'^factory\s*=\s*"([^"\n]{0,300})"', re.MULTILINE)
_VALUE = late(r"^[^\[#;\n][^=\n]*=(.*)$", re.MULTILINE)
OWN = late(
    r"(?:spacy|spacy-legacy|spacy-loggers|spacy-transformers|spacy-curated-transformers|spacy-experimental|srsly|thinc)"
    r"\.[A-Za-z0-9_.-]{1,100}\Z"
)
THINC = late(
    r"(?:Adam|RAdam|SGD|Optimizer|compounding|constant|constant_then|decaying|warmup_linear|cyclic_triangular|slanted_triangular"
    r"|linear|batch_by_\w+|minibatch\w*|ints|[A-Z]\w{1,40}|\w+_activation|glorot_\w+|zero_init|uniform_init|normal_init)\.v[0-9]+\Z"
)
"""Functions that thinc and spaCy register without a prefix."""
FACTORIES = frozenset(
    """
    attribute_ruler beam_ner beam_parser doc_cleaner entity_linker entity_ruler
    experimental_char_ner_tokenizer experimental_edit_tree_lemmatizer future_entity_ruler
    curated_transformer lemmatizer lookup_lemmatizer merge_entities merge_noun_chunks merge_subtokens
    morphologizer ner parser sentencizer senter span_cleaner span_finder span_ruler spancat
    spancat_singlelabel tagger textcat textcat_multilabel tok2vec token_splitter tokenizer
    trainable_lemmatizer transformer
    """.split()  # noqa: SIM905 - easier to read than a list
)


class SpacyRegistry(Rule):
    """A spaCy pipeline asks for functions that are none of spaCy's own.

    ## What it does
    Reads the registered functions (`@architectures`, `@callbacks`, `@misc`, …) and component factories that `config.cfg` names
    and compares them with those of spaCy, thinc and their own extensions. Commands, system files and paths out of the folder
    in any value are an error.

    ## Why is this bad?
    `spacy.load` calls every function that the configuration names, with the arguments that stand there. A function of
    somebody's own comes from a package or from the code beside the model.

    ## Example
    ```ini
    [nlp]
    before_creation = {"@callbacks": "sample.callback.v1"}
    ```

    ## Use instead
    spaCy's own components, or the package with the code, signed like the model.

    ## Known problems
    Functions are known by the prefix of the package that registers them. What an installed package registers under that
    name cannot be seen here.

    ## References
    - https://spacy.io/api/data-formats#config
    """

    name = "spacy-registry"
    summary = "a spaCy configuration names functions of somebody's own"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("text",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if (
            not isinstance(reading, TextReading)
            or "[" not in reading.text
            or not _IS_CONFIG.search(reading.text)
        ):
            return
        text = reading.text
        references = list(_REFERENCE.finditer(text))
        factories = list(_FACTORY.finditer(text))
        for match in references:
            if not OWN.match(match[2]) and not THINC.match(match[2]):
                message = f'@{match[1]} asks for "{visible(match[2], 80)}", which is none of spaCy\'s own'
                severity = Severity.ERROR if config_targets.harm(match[2]) else None
                yield self.finding(_line(place, text, match.start()), message, severity=severity, doubt=True)
        for match in factories:
            if match[1] not in FACTORIES and not OWN.match(match[1]):
                message = f'the component "{visible(match[1], 80)}" is none of spaCy\'s own'
                yield self.finding(_line(place, text, match.start()), message, doubt=True)
        for match in _VALUE.finditer(text):
            found = harm(match[1])
            if found is not None:
                message = f'"{visible(match[1].strip(), 80)}" is {found}'
                aside = found == OUTSIDE and "../../.." not in match[1]
                severity = Severity.WARNING if aside else Severity.ERROR
                yield self.finding(_line(place, text, match.start()), message, severity=severity, doubt=aside)


def _line(place: Place, text: str, offset: int) -> Place:
    return replace(place, line=text.count("\n", 0, offset) + 1)
