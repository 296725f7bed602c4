"""From any weights to a safe copy, with proof: nothing is unpickled, every tensor is compared, all that is left out is named.

Read `work` first: it is the whole conversion on one page. `recipe` is what was asked, `gather` finds the tensors of each
file, `pickles` what stands in a checkpoint beside them, `plan` settles names, shards and what is left out, `safetensors`,
`gguf` and `onnx` write, `proof` reads the copy again and compares, `again` does so later from a receipt.
"""

from weighbridge.convert.again import Again, compare_again
from weighbridge.convert.recipe import Recipe, Target
from weighbridge.convert.work import Conversion, convert

__all__ = ["Again", "Conversion", "Recipe", "Target", "compare_again", "convert"]
