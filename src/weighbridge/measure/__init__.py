"""From the bytes of an artifact to its Manifest, in one read that examiners share.

`engine` does the work, `hashes` is what is computed, `tap` the sharing, `tensors` where tensors lie, `progress` who
hears of it, `diff` what changed between two manifests.
"""

from weighbridge.measure.diff import difference
from weighbridge.measure.engine import Measurement, Plan, measure
from weighbridge.measure.progress import Progress, ProgressLine

__all__ = ["Measurement", "Plan", "Progress", "ProgressLine", "difference", "measure"]
