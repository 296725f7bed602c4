"""Makes the binary samples of the rules about exported programs, packages, ExecuTorch and mobile bytecode.

Not a test; run it by hand from the repository's root: `PYTHONPATH=. python tests/samples/make_torch_samples.py`. The real files
that it starts from are made by `tests/formats/data/make_exported.py`.
"""

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

DATA = Path(__file__).parents[1] / "formats" / "data"
SAMPLES = Path(__file__).parent
ELF = b"\x7fELF\x02\x01\x01" + bytes(121)


def rezipped(name: str, changes: Mapping[str, tuple[bytes, bytes]], extra: Mapping[str, bytes]) -> bytes:
    """The archive with texts replaced in some records, and others added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(DATA / name) as old, zipfile.ZipFile(buffer, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        for member in old.namelist():
            before, after = changes.get(member.partition("/")[2], (b"", b""))
            content = old.read(member)
            if before:
                assert before in content, member
                content = content.replace(before, after, 1)
            new.writestr(member, content)
        for record, content in extra.items():
            new.writestr(f"{root}/{record}", content)
    return buffer.getvalue()


def write(name: str, data: bytes) -> None:
    """As hexadecimal text, 32 bytes a line."""
    path = SAMPLES / f"{name}.hex"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{data[at : at + 32].hex()}\n" for at in range(0, len(data), 32)))


def main() -> None:
    model = "models/model.json"
    sizes = (b'{"as_int": 3}', b'{"as_expr": {"expr_str": "eval(\'1\')", "hint": null}}')
    write("pt2-unsafe-program/sample.pt2", rezipped("exported.pt2", {model: sizes}, {}))
    operator = (b"torch.ops.aten.relu.default", b"torch.hub.load")
    write("pt2-unsafe-program/sample-operator.pt2", rezipped("exported.pt2", {model: operator}, {}))
    write("pt2-unsafe-program/benign.pt2", rezipped("exported.pt2", {}, {}))
    compiled = {
        "data/aotinductor/model/kernel.so": ELF,
        "data/aotinductor/model/kernel.cpp": b"int kernel() { return 0; }\n",
    }
    write("pt2-native-code/sample.pt2", rezipped("exported.pt2", {}, compiled))
    write(
        "pt2-native-code/benign.pt2",
        rezipped("exported.pt2", {}, {"extra/notes.txt": b"compiled elsewhere\n"}),
    )
    write("torch-package-code/sample.pt", rezipped("torch-package.pt", {}, {}))
    write(
        "torch-package-code/sample-shadow.pt",
        rezipped("torch-package.pt", {}, {"collections.py": b"OrderedDict = dict\n"}),
    )
    code = zipfile.ZipFile(DATA / "torch-lite.ptl").read(_member("torch-lite.ptl", "bytecode.pkl"))
    size = code.index(b"register_size")
    at = code.index(b"K", size)
    register = (code[size : at + 2], code[size:at] + b"K\x00")
    write(
        "torchscript-bytecode-malformed/sample.ptl",
        rezipped("torch-lite.ptl", {"bytecode.pkl": register}, {}),
    )
    write("torchscript-bytecode-malformed/benign.ptl", rezipped("torch-lite.ptl", {}, {}))
    program = (DATA / "executorch.pte").read_bytes()
    write("executorch-malformed/sample.pte", program[:24] + struct.pack("<Q", 1 << 40) + program[32:])
    write("executorch-malformed/benign.pte", program)
    write("executorch-unproved/sample.pte", program.replace(b"aten::relu\0", b"aten::xxxx\0"))
    write("executorch-unproved/sample-foreign.pte", program.replace(b"aten::relu\0", b"mine::relu\0"))
    write("executorch-unproved/benign.pte", program)


def _member(archive: str, record: str) -> str:
    with zipfile.ZipFile(DATA / archive) as file:
        return next(name for name in file.namelist() if name.endswith(f"/{record}"))


if __name__ == "__main__":
    main()
