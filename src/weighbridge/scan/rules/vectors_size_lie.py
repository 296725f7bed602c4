"""The rule `vectors-size-lie`."""

from collections.abc import Iterator

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.reading import Reading
from weighbridge.formats.text import KEPT_TEXT, TextReading
from weighbridge.scan.rule import Rule

_NAMES = late(
    r"(?i)\.(vec|w2v|word2vec|glove|vectors?)(\.txt)?$|(^|/)(glove|word2vec|wiki|crawl)[\w.-]*\.txt$",
    needs=(".vec", ".w2v", "word2vec", "glove", "wiki", "crawl"),
)
_HEADER = late(r"\ufeff?[ \t]*(-?\d{1,400})[ \t]+(-?\d{1,400})[ \t]*\r?\n")


class VectorsSizeLie(Rule):
    """
    ## What it does
    Holds the header of word vectors in text (`words dimensions`) against the length of the file: each number takes two
    characters at least.

    ## Why is this bad?
    Loaders allocate the matrix that the header promises before they read the first word.

    ## Example
    ```text
    999999999999 300
    weighbridge-sample 0.1 0.2
    ```

    ## Use instead
    Vectors as fastText and gensim write them.

    ## Known problems
    A file that was cut off looks the same. Beyond 16 MiB of text the header is not held against the length.

    ## References
    - CWE-789
    """

    name = "vectors-size-lie"
    summary = "word vectors promise more numbers than the file holds"
    severity = Severity.ERROR
    since = "0.1"
    formats = ("text",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding at most."""
        name = place.parts[-1] if place.parts else place.path
        if not isinstance(reading, TextReading) or not _NAMES.search(name):
            return
        match = _HEADER.match(reading.text)
        if match is None:
            return
        words, size = int(match[1]), int(match[2])
        whole = len(reading.text) < KEPT_TEXT
        if (
            words < 0
            or size < 0
            or words * size >= 2**40
            or (whole and words * (2 * size + 1) > len(reading.text))
        ):
            yield self.finding(
                place, f"promises {words} words of {size} numbers, and the file ends before them"
            )
