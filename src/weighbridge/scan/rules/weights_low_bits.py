"""The rule `weights-low-bits`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule
from weighbridge.scan.weights.reading import Hidden, Region, WeightsReading

RUNS = frozenset({"program", "pickle", "script"})


class WeightsLowBits(Rule):
    """
    ## What it does
    With `--weights`: puts the low bits of numbers together, in the ways in which tools hide bytes there (one to eight bits of
    every number, of every byte, whole low bytes, signs and exponents, either order of bits), and looks for programs,
    pickles, scripts, archives and text. Where nothing is spelled, it looks for a stretch whose low bits are unlike those
    of the rest of the tensor.

    ## Why is this bad?
    A model works as well with its low bits replaced. They carry a program past everything that looks at files, until
    something that is already inside takes it out and starts it.

    ## Example
    ```
    bits 0 to 7 of every F32 spell an ELF program
    ```

    ## Use instead
    Weights from where they were trained. To destroy what low bits carry, round to fewer bits: write F32 as BF16.

    ## Known problems
    A program, pickle or script that is spelled is an error; the rest is a warning. Bytes that were encrypted or compressed
    cannot be told from the low bits of trained F32 numbers, which are random anyway; neither can anything that is spread
    with a key. Silence says nothing. How often an alarm is false was measured: docs/weights.md.

    ## References
    - Wang et al., EvilModel: Hiding Malware Inside of Neural Network Models, 2021
    - Hitaj et al., MaleficNet: Hiding Malware into Deep Neural Networks Using Spread-Spectrum Channel Coding, 2022
    - MITRE ATLAS AML.T0018, ATT&CK T1027.003
    """

    name = "weights-low-bits"
    summary = "the low bits of a tensor's numbers hold something else"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("weights",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding for each thing that is spelled, and for each odd stretch."""
        if isinstance(reading, WeightsReading):
            yield from (self._spelled(one, place) for one in reading.hidden if one.how)
            yield from (self._odd(one, place) for one in reading.regions)

    def _spelled(self, one: Hidden, place: Place) -> Finding:
        shown = f' "{one.excerpt}"' if one.excerpt else ""
        return self.finding(
            place.inside(one.tensor.name),
            f"{one.how}, spell {one.what}{shown} from about byte {one.at} of the tensor ({one.tensor.share})",
            severity=None if one.kind in RUNS else Severity.WARNING,
            confidence=None if one.kind in RUNS else Confidence.MEDIUM,
        )

    def _odd(self, one: Region, place: Place) -> Finding:
        return self.finding(
            place.inside(one.tensor.name),
            f"bytes {one.begin} to {one.end} of the tensor: {one.why} ({one.tensor.share})",
            severity=Severity.WARNING,
            confidence=Confidence.LOW,
        )
