"""Makes `made/torch_casts.safetensors` and `made/q8_0.gguf`, `made/q4_0.gguf`: casts and quantisations by the real libraries.

python tests/convert/make_relate.py torch   # in an environment with torch and safetensors
python tests/convert/make_relate.py gguf    # in an environment with gguf
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent / "made"


def casts() -> None:
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(7)
    edges = [0x7F800000, 0x7FC00001, 0x7F800001, 0x7FA5A5A5, 0x477FEFFF, 0x477FF000, 0x477FE000, 0x38800000,
             0x387FE000, 0x33000000, 0x33000001, 0x32FFFFFF, 0x00000001, 0x007FFFFF, 0x3F808000, 0x3F818000,
             0x7F7FFFFF, 0x7F7F8000, 0x3F801000, 0x3F803000, 0, 0x00008000]  # fmt: skip
    edges += [value | 0x80000000 for value in edges]
    signed = [value - (1 << 32) if value >> 31 else value for value in edges]
    wide = torch.cat([torch.tensor(signed, dtype=torch.int32).view(torch.float32), torch.randn(213) * 100])
    double = torch.cat([wide.double(), torch.randn(213, dtype=torch.float64) / 3])
    double[-1] = 1.0 + 2.0**-11 + 2.0**-40  # two roundings, or one
    # One at a time too: the vector instructions of a processor write another NaN than its plain ones.
    single = torch.cat([value.reshape(1).to(torch.bfloat16) for value in wide])
    tensors = {
        "F32": wide, "F32.F16": wide.half(), "F32.BF16": wide.bfloat16(), "F32.BF16 single": single,
        "F32.F64": wide.double(), "F64": double, "F64.F16": double.half(), "F64.BF16": double.bfloat16(),
        "F64.F32": double.float(), "F16": wide.half(), "F16.F32": wide.half().float(),
        "F16.BF16": wide.half().bfloat16(), "BF16": wide.bfloat16(), "BF16.F32": wide.bfloat16().float(),
        "BF16.F16": wide.bfloat16().half(),
    }  # fmt: skip
    save_file({name: one.clone() for name, one in tensors.items()}, HERE / "torch_casts.safetensors")


def quants() -> None:
    import gguf
    import numpy as np

    numbers = np.random.default_rng(7).normal(0, 1, (16, 64)).astype("<f4")
    numbers[0] = 0
    numbers[1, :32] = 1e-30
    numbers[2, 5] = 3e4
    for kind, name in ((None, "f32"), ("Q8_0", "q8_0"), ("Q4_0", "q4_0")):
        writer = gguf.GGUFWriter(HERE / f"{name}.gguf", "llama")
        if kind is None:
            writer.add_tensor("blk.0.attn_q.weight", numbers)
        else:
            quant = getattr(gguf.GGMLQuantizationType, kind)
            writer.add_tensor("blk.0.attn_q.weight", gguf.quants.quantize(numbers, quant), raw_dtype=quant)
        writer.add_tensor("output_norm.weight", np.ones(64, "<f4"))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    {"torch": casts, "gguf": quants}[sys.argv[1]]()
