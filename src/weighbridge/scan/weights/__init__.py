"""Cheap looks at the weights themselves, asked for with `--weights`: what numbers alone can and cannot show.

Read `look` first. `sample` says which bytes of a tensor are looked at, `numbers` what is wrong with single values,
`planes` takes bits out of items, `payload` recognises what such bits spell, `regions` finds a stretch whose low bits are
unlike those around it, `reading` is what all of it adds up to; the rules `weights-…` judge that.

What this cannot show: a backdoor that was trained in, anything encrypted or compressed in low bits that are random
anyway (as those of trained F32 weights are), anything spread with a key, and whatever lies where no sample was taken. A
model that nothing is said about is not thereby clean; docs/weights.md says how often an alarm is false.
"""

from weighbridge.scan.weights.look import look_at_weights
from weighbridge.scan.weights.reading import WeightsReading

__all__ = ["WeightsReading", "look_at_weights"]
