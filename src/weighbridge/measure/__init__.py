"""From the bytes of an artifact to its Manifest, in one read that examiners share.

Read `engine` first. `plan` is what goes in and comes out, `hashes` what is computed, `stream` how the bytes get
there, `tap` how an examiner shares them, `look` and `tensors` where tensors lie, `ledger` what is known so far,
`progress` who hears of it, `diff` what changed between two manifests.
"""

from weighbridge.measure.diff import difference
from weighbridge.measure.engine import measure
from weighbridge.measure.plan import Measurement, Plan
from weighbridge.measure.progress import Progress, ProgressLine

__all__ = ["Measurement", "Plan", "Progress", "ProgressLine", "difference", "measure"]
