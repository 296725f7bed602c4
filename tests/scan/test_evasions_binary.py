"""Ways past a scanner through binary formats, and files that only look like them: which fail, and which must pass.

Payloads are `echo weighbridge-sample`, a header of a program, or zeros.
"""

import base64
import io
import lzma
import struct
import zipfile
import zlib

import pytest

from tests.frameworkfiles import booster, ubj
from tests.scan.samples import scan
from tests.tensorfiles import attribute, external, message, model, node, number, safetensors, tensor
from weighbridge.core.evidence import Outcome
from weighbridge.scan.engine import MAX_FINDINGS

CALL = b"\x80\x02cposix\nsystem\nX\x17\0\0\0echo weighbridge-sample\x85R."
FRAMED = b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x8c\x17echo weighbridge-sample\x94\x85\x94R\x94."
ELF = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHI", 3, 62, 1) + bytes(200)
MACHO = struct.pack("<IIIIIII", 0xFEEDFACF, 0x01000007, 3, 2, 4, 100, 0) + bytes(200)
NOISE = b"\xf3\xf4\xf5\xf6" + bytes(60)
FLOATS = "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }"
LONG = struct.Struct("<Q")


def outcome(name: str, data: bytes) -> tuple[Outcome, set[str]]:
    found = scan({name: data})
    assert not [u for u in found.unread if u.code == "internal-error"], found.unread
    assert len(found.findings) <= MAX_FINDINGS
    return found.files[0].outcome, {finding.rule for finding in found.findings if finding.severity == "error"}


def npy(header: str, data: bytes = bytes(16)) -> bytes:
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + data


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def jpeg(*, comment: bytes, behind: bytes = b"") -> bytes:
    note = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment
    return b"\xff\xd8" + note + b"\xff\xda\x00\x02" + bytes(4) + b"\xff\xd9" + behind


def text(value: str) -> bytes:
    return LONG.pack(len(value.encode())) + value.encode()


def gguf(*pairs: tuple[str, int, bytes], data: bytes = b"") -> bytes:
    """Metadata, and one tensor of four floats where there is data."""
    head = b"GGUF" + struct.pack("<IQQ", 3, 1 if data else 0, len(pairs))
    head += b"".join(text(key) + struct.pack("<I", kind) + value for key, kind, value in pairs)
    head += text("w") + struct.pack("<IQIQ", 1, 4, 0, 0) if data else b""
    return head + bytes(-len(head) % 32) + data


def strings(*values: str) -> bytes:
    return struct.pack("<IQ", 8, len(values)) + b"".join(map(text, values))


def zipped(name: str, data: bytes, mode: int = 0o100644) -> bytes:
    buffer = io.BytesIO()
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, data)
    return buffer.getvalue()


def matlab(packed: bytes) -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\x01IM" + struct.pack("<II", 15, len(packed)) + packed


def noted(value: str) -> bytes:
    return safetensors({"w": ("U8", [4], 0, 4)}, bytes(4), metadata={"note": value})


def deflated(data: bytes, bits: int) -> bytes:
    run = zlib.compressobj(9, zlib.DEFLATED, bits)
    return run.compress(data) + run.flush()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 10\n"
ESCAPE = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
PROPERTIES = [{"id": lzma.FILTER_LZMA1, "lc": 0, "lp": 2, "pb": 0}]

ATTACKS: dict[str, tuple[str, bytes, str]] = {
    # programs and pickles in bytes that no reader understands
    "unknown-elf": ("model.bin", NOISE + ELF, "executable-file"),
    "unknown-macho": ("model.bin", NOISE + MACHO, "executable-file"),
    "unknown-pickle": ("model.bin", NOISE + CALL, "framework-text-payload"),
    "unknown-framed-pickle": ("model.bin", NOISE + FRAMED, "framework-text-payload"),
    "text-then-pickle": ("notes.txt", b"hello\n\xff" + CALL, "framework-text-payload"),
    "plan-pickle": ("m.engine", b"ftrt" + bytes(40) + FRAMED, "framework-text-payload"),
    "plan-macho": ("m.engine", b"ftrt" + bytes(40) + MACHO, "executable-file"),
    "plan-base64": ("m.engine", b"ftrt" + bytes(40) + base64.b64encode(ELF), "executable-file"),
    # byte code and scripts without their names
    "dex": ("m.bin", b"dex\n035\0" + bytes(100), "executable-file"),
    "lua": ("m.bin", b"\x1bLuaR\0\x01\x04\x04\x04\x08\0" + bytes(50), "executable-file"),
    "bitcode": ("m.bc", b"BC\xc0\xde" + bytes(50), "executable-file"),
    "batch": ("weights", b"@echo off\r\npowershell -enc QUJDREVGR0hJSktMTU5PUA==\r\n", "script-does-harm"),
    # streams whose first byte is not the usual one
    "zlib-window": ("weights", deflated(CALL, 9), "pickle-unsafe-call"),
    "lzma-properties": ("weights", lzma.compress(CALL, format=lzma.FORMAT_ALONE, filters=PROPERTIES), "pickle-unsafe-call"),
    "lfs-then-pickle": ("m.bin", POINTER + CALL, "pickle-unsafe-call"),
    # NumPy
    "npy-word": ("a.npy", npy(FLOATS.replace("<f4", "object"), CALL), "pickle-unsafe-call"),
    "npy-joined": ("a.npy", npy(FLOATS.replace("'<f4'", "'|' 'O'"), CALL), "pickle-unsafe-call"),
    "npy-call": ("a.npy", npy(FLOATS.replace("'<f4'", "__import__('os').system('id')")), "npy-odd-header"),
    "npy-negative": ("a.npy", npy(FLOATS.replace("(4,)", "(-1,)")), "npy-odd-header"),
    "npy-overflow": ("a.npy", npy(FLOATS.replace("(4,)", "(4611686018427387905, 4)")), "npy-odd-header"),
    "npy-deep": ("a.npy", npy(FLOATS.replace("(4,)", "(" * 9000 + ")" * 9000)), "npy-odd-header"),
    "npy-long": ("a.npy", b"\x93NUMPY\x02\0\xff\xff\xff\xff" + FLOATS.encode(), "npy-odd-header"),
    "npy-program": ("a.npy", npy(FLOATS.replace("<f4", "|u1").replace("4,", f"{len(ELF)},"), ELF), "executable-file"),
    # GGUF
    "gguf-templates": ("m.gguf", gguf(("tokenizer.chat_templates", 9, strings("{{ x }}", ESCAPE))), "template-sandbox-escape"),
    "gguf-base64": ("m.gguf", gguf(("note", 8, text(base64.b64encode(CALL).decode()))), "pickle-unsafe-call"),
    "gguf-many-templates": ("m.gguf", gguf(("tokenizer.chat_templates", 9, strings(ESCAPE, *["x"] * 40))), "template-sandbox-escape"),
    "gguf-padding": ("m.gguf", gguf(data=bytes(16) + ELF), "executable-file"),
    "gguf-scores": ("m.gguf", gguf(("tokenizer.ggml.tokens", 9, strings("a", "b")), ("tokenizer.ggml.scores", 9, struct.pack("<IQf", 6, 1, 0))), "gguf-malformed"),
    "gguf-layers": ("m.gguf", gguf(("llama.block_count", 4, b"\xff" * 4)), "gguf-malformed"),
    # safetensors and ONNX
    "metadata-base64": ("m.safetensors", noted(base64.b64encode(ELF).decode()), "executable-file"),
    "metadata-call": ("m.safetensors", noted("__import__('os').system('echo weighbridge-sample')"), "framework-text-payload"),
    "tensor-path": ("m.safetensors", safetensors({"../../x": ("U8", [4], 0, 4)}, bytes(4)), "safetensors-malformed"),
    "onnx-metadata": ("m.onnx", model(node("Relu"), extra=message(14, message(1, "x"), message(2, "os.system('echo x')"))), "framework-text-payload"),
    "onnx-string": ("m.onnx", model(tensor(5, "w", [1], 8, message(6, CALL))), "pickle-unsafe-call"),
    "onnx-home": ("m.onnx", model(tensor(5, "w", [2], 1, external("~/.ssh/id_rsa"))), "onnx-external-path"),
    "onnx-encoded": ("m.onnx", model(tensor(5, "w", [2], 1, external("%2e%2e/x"))), "onnx-external-path"),
    "onnx-context": ("m.onnx", model(node("EPContext", domain="com.microsoft", attributes=attribute("ep_cache_context", message(4, "../../x.bin"), number(20, 3)))), "onnx-malformed"),
    # pictures
    "png-chunk": ("i.png", png(chunk(b"prVt", ELF)), "executable-file"),
    "png-pickle": ("i.png", png(chunk(b"zzZz", CALL)), "pickle-unsafe-call"),
    "png-text": ("i.png", png(chunk(b"tEXt", b"Comment\0" + base64.b64encode(CALL))), "pickle-unsafe-call"),
    "jpeg-comment": ("i.jpg", jpeg(comment=CALL), "pickle-unsafe-call"),
    "jpeg-script": ("i.jpg", jpeg(comment=b"x", behind=b"<?php system('id'); ?>"), "image-trailing-data"),
    # archives and the rest
    "zip-device": ("m.zip", zipped("sda", b"", 0o060600), "tar-device"),
    "zip-fifo": ("m.zip", zipped("pipe", b"", 0o010600), "tar-device"),
    "zip-keys": ("m.zip", zipped(".ssh/authorized_keys", b"ssh-rsa AAAA x\n"), "archive-path-escape"),
    "zip-hook": ("m.zip", zipped("model/.git/hooks/post-checkout", b"echo weighbridge-sample\n"), "archive-path-escape"),
    "matlab-bomb": ("m.mat", matlab(zlib.compress(bytes(80 * 1024**2))), "framework-malformed"),
    "spacy-path": ("config.cfg", b'[paths]\ninit_tok2vec = "/etc/passwd"\n[nlp]\nlang = "en"\n', "spacy-registry"),
}  # fmt: skip


@pytest.mark.parametrize("case", ATTACKS)
def test_evasions_fail_under_their_rule(case: str) -> None:
    name, data, rule = ATTACKS[case]
    found, errors = outcome(name, data)
    assert found is Outcome.FAIL
    assert rule in errors


TOKENS = ("tokenizer.ggml.tokens", 9, strings("<s>", "import os", "__class__", "| sh", "../x"))
HARMLESS: dict[str, tuple[str, bytes]] = {
    "metadata-record": ("m.safetensors", noted("python train.py --out ../out/x --log /home/me/lib.so")),
    "metadata-prose": ("m.safetensors", noted("Download it with curl https://example.com/x or ask us.")),
    "metadata-picture": ("m.safetensors", noted("data:image/png;base64," + base64.b64encode(bytes(range(256))).decode())),
    "tensor-dots": ("m.safetensors", safetensors({"a/../b": ("U8", [4], 0, 4)}, bytes(4))),
    "gguf-tokens": ("m.gguf", gguf(TOKENS, ("llama.block_count", 4, struct.pack("<I", 32)))),
    "gguf-names": ("m.gguf", gguf(("tokenizer.chat_templates", 9, strings("default", "tool_use")))),
    "npy": ("a.npy", npy(FLOATS)),
    "onnx-metadata": ("m.onnx", model(node("Relu"), extra=message(14, message(1, "stack"), message(2, 'File "../x.py", line 3, in f')))),
    "onnx-strings": ("m.onnx", model(tensor(5, "w", [1], 8, message(6, "import os")))),
    "png-text": ("i.png", png(chunk(b"tEXt", b"parameters\0a cat, steps: 20"), chunk(b"prVt", bytes(80)))),
    "jpeg-comment": ("i.jpg", jpeg(comment=b"made with a camera")),
    "zip-samples": ("m.zip", zipped(".git/hooks/pre-commit.sample", b"echo weighbridge-sample\n")),
    "xgboost-note": ("m.ubj", ubj({**booster(), "learner": {**booster()["learner"], "attributes": {"note": "trained on x, see ../readme"}}})),
    "matlab": ("m.mat", matlab(zlib.compress(struct.pack("<II", 14, 0)))),
    "zlib": ("notes.txt.zlib", deflated(b"hello world\n", 12)),
}  # fmt: skip


@pytest.mark.parametrize("case", HARMLESS)
def test_lookalikes_pass(case: str) -> None:
    name, data = HARMLESS[case]
    assert outcome(name, data) == (Outcome.PASS, set())


@pytest.mark.parametrize(
    "name", ["m.zip", "m.npy", "m.safetensors", "m.gguf", "m.7z", "i.png", "m.cbm", "m.t7"]
)
def test_a_text_under_the_name_of_a_binary_format_never_passes(name: str) -> None:
    assert outcome(name, b"PK")[0] is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "data", [NOISE * 50, b"\x18\x95" + NOISE, bytes(5000), NOISE + b"\xcf\xfa\xed\xfe" + NOISE]
)
def test_bytes_that_nobody_understands_stay_unknown(data: bytes) -> None:
    assert outcome("weights.raw", data) == (Outcome.UNKNOWN, set())
