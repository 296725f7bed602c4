"""Makes the exported programs, packages and ExecuTorch files in this folder.

Not a test; run it by hand in an environment with `torch executorch`: `python tests/formats/data/make_exported.py`. Places in
source files, which exporters write down, are taken out again.
"""

import io
import re
import zipfile
from pathlib import Path

import torch
from executorch.exir import ExecutorchBackendConfig, to_edge
from torch import nn, package

OUT = Path(__file__).parent


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("shift", torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x).relu() + self.shift


def rewritten(data: bytes) -> bytes:
    """The same archive without places in source files, and without the records that hold nothing else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            if not name.endswith(".debug_pkl"):
                content = old.read(name)
                new.writestr(
                    name, re.sub(rb'"stack_trace": "(?:[^"\\]|\\.)*"', b'"stack_trace": ""', content)
                )
    return buffer.getvalue()


def saved(save: object) -> bytes:
    buffer = io.BytesIO()
    save(buffer)  # type: ignore[operator]
    return rewritten(buffer.getvalue())


def packaged(buffer: io.BytesIO) -> None:
    with package.PackageExporter(buffer) as exporter:
        source = (
            "import torch\n\n\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        return x + 1\n"
        )
        exporter.save_source_string("mymodel", source)
        exporter.extern(["torch.**"])
        exporter.save_text("notes", "about.txt", "hello")
        exporter.save_pickle("model", "model.pkl", nn.Linear(2, 2))


def main() -> None:
    torch.manual_seed(0)
    program = torch.export.export(Tiny(), (torch.rand(2, 4),))
    (OUT / "exported.pt2").write_bytes(saved(lambda buffer: torch.export.save(program, buffer)))
    scripted = torch.jit.script(nn.Sequential(nn.Linear(4, 3), nn.ReLU()))
    (OUT / "torch-lite.ptl").write_bytes(rewritten(scripted._save_to_buffer_for_lite_interpreter()))
    (OUT / "torch-package.pt").write_bytes(saved(packaged))
    (OUT / "executorch.pte").write_bytes(to_edge(program).to_executorch().buffer)
    apart = to_edge(program).to_executorch(ExecutorchBackendConfig(external_constants=True))
    apart.write_tensor_data_to_file(str(OUT))
    (OUT / "_default_external_constant.ptd").rename(OUT / "executorch.ptd")


if __name__ == "__main__":
    main()
