"""Small models, real keys and measured manifests for the tests of room `sign`.

`measured` is an independent, slow and obvious measuring of a folder: hashlib over whole files, every file of the folder
but the signature files.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from blake3 import blake3

from weighbridge.core.manifest import Entry, Manifest, TensorEntry
from weighbridge.core.report import SignatureResult
from weighbridge.sign import bundle, dsse, keys, oms
from weighbridge.sign.anchor import KeyAnchor
from weighbridge.sign.signer import PemSigner, sign_statement
from weighbridge.sign.verify import verify

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
VECTORS = Path(__file__).parent.parent / "vectors" / "oms"

CURVES = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521")
SIGNATURES = ("model.sig", "model.sig.jsonl")


@cache
def private_key(algorithm: str = "ecdsa-p256", number: int = 1) -> bytes:
    """PEM of a private key; the same one for the same arguments within a run."""
    return keys.private_pem(keys.generate(algorithm))


def public_key(private_pem: bytes) -> bytes:
    return keys.public_pem(keys.load_private(private_pem).public_key())


def anchor(private_pem: bytes | None = None, name: str = "release@acme.example", **more: Any) -> KeyAnchor:
    return KeyAnchor(name=name, public_key_pem=public_key(private_pem or private_key()), **more)


def safetensors(tensors: dict[str, tuple[str, Sequence[int], bytes]]) -> bytes:
    """A safetensors file."""
    header, body = {}, b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {
            "dtype": dtype,
            "shape": list(shape),
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def weights(layers: int = 3, fill: int = 1) -> bytes:
    """A little transformer: `model.layers.N.{mlp.up,mlp.down,attn.q}.weight` and an embedding."""
    tensors = {"model.embed.weight": ("F32", (2, 2), bytes([fill]) * 16)}
    for layer in range(layers):
        for part in ("mlp.up", "mlp.down", "attn.q"):
            data = hashlib.sha256(f"{layer}{part}{fill}".encode()).digest()[:16]
            tensors[f"model.layers.{layer}.{part}.weight"] = ("F32", (2, 2), data)
    return safetensors(tensors)


def read_tensors(path: str, data: bytes) -> list[TensorEntry]:
    """Tensors of a well-formed safetensors file."""
    if not path.endswith(".safetensors") or len(data) < 8:
        return []
    (length,) = struct.unpack("<Q", data[:8])
    try:
        header = json.loads(data[8 : 8 + length])
    except ValueError:
        return []
    body = data[8 + length :]
    return [
        TensorEntry(
            name, one["dtype"], tuple(one["shape"]), blake3(body[slice(*one["data_offsets"])]).digest(), path
        )
        for name, one in header.items()
    ]


def measured(
    root: Path,
    *,
    skip: Iterable[str] = SIGNATURES,
    shards: Iterable[tuple[str, int]] = (),
    hashes: Iterable[str] = ("sha256", "blake3"),
    tensors: bool = True,
    blake2b: bool = False,
) -> Manifest:
    """The manifest of a folder or of one file. Links are followed and recorded."""
    found = {root.name: root} if root.is_file() else dict(_walk(root, root, frozenset()))
    entries, rows, listed = [], [], []
    for path, file in sorted(found.items()):
        if path in skip:
            continue
        data = file.read_bytes()
        link = _link(root, path)
        entries.append(
            Entry(
                path,
                len(data),
                hashlib.sha256(data).digest() if "sha256" in hashes else None,
                blake3(data).digest() if "blake3" in hashes else None,
                link,
            )
        )
        listed += read_tensors(path, data)
        for algorithm, size in shards:
            new = {"sha256": hashlib.sha256, "blake2b": hashlib.blake2b, "blake3": blake3}[algorithm]
            for start in range(0, len(data), size):
                part = data[start : start + size]
                rows.append((path, start, start + len(part), algorithm, new(part).digest()))
        if blake2b:
            rows.append((path, 0, len(data), "blake2b", hashlib.blake2b(data).digest()))
    return Manifest(entries=tuple(entries), tensors=tuple(listed) if tensors else None, shards=tuple(rows))


def _walk(root: Path, folder: Path, seen: frozenset[str]) -> Iterable[tuple[str, Path]]:
    here = os.path.realpath(folder)
    if here in seen:
        return
    for file in folder.iterdir():
        if file.is_dir():
            yield from _walk(root, file, seen | {here})
        elif file.is_file():
            yield file.relative_to(root).as_posix(), file


def _link(root: Path, path: str) -> str | None:
    """The target of the first link on the way from the root to the path."""
    if root.is_file():
        return str(root.readlink()) if root.is_symlink() else None
    step = root
    for part in path.split("/"):
        step = step / part
        if step.is_symlink():
            return str(step.readlink())
    return None


def write_model(root: Path, files: dict[str, bytes] | None = None) -> Path:
    """A model folder; the default is a small one with every shape of name that sorting can get wrong."""
    for path, data in (files or FILES).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


FILES: dict[str, bytes] = {
    "README.md": b"# A model\n",
    "config.json": b'{"layers": 3}\n',
    "model.safetensors": weights(),
    "d/x": b"one",
    "d-x": b"two",
    "d.b": b"three",
    "empty.txt": b"",
    "tokenizer/vocab.txt": "wörter\n".encode(),
}


def signed(manifest: Manifest, signer: PemSigner | None = None, **how: Any) -> bytes:
    """One bundle over everything in the manifest."""
    payload = oms.statement(manifest, **({"name": "model"} | how))
    return sign_statement(payload, signer or PemSigner(private_key()))


def sign_value(value: Any, private_pem: bytes | None = None) -> bytes:
    """A bundle over any JSON value, or over raw bytes: what a signer with the right key could have signed."""
    payload = value if isinstance(value, bytes) else json.dumps(value).encode()
    return sign_statement(payload, PemSigner(private_pem or private_key()))


def payload_of(data: bytes) -> dict[str, Any]:
    """The statement inside a bundle."""
    (one,) = bundle.read_bundles(data, "model.sig")
    assert one.code == "", one.why
    return json.loads(one.envelope.payload)


def resigned(data: bytes, edit: Any, private_pem: bytes | None = None) -> bytes:
    """The bundle with its statement edited and signed again with the right key."""
    value = payload_of(data)
    edit(value)
    return sign_value(value, private_pem)


def with_root(value: dict[str, Any]) -> dict[str, Any]:
    """The statement with the root digest that its resources have."""
    digests = [bytes.fromhex(one["digest"]) for one in value["predicate"]["resources"]]
    value["subject"][0]["digest"]["sha256"] = oms.root_digest(digests)
    return value


def judge(
    data: bytes, manifest: Manifest, anchors: Any = None, name: str = "model.sig", **how: Any
) -> SignatureResult:
    """Verify the one bundle in `data` as of `NOW`, against the default key."""
    (one,) = bundle.read_bundles(data, name)
    authorities = how.pop("authorities", ())
    now = how.pop("now", NOW)
    return verify(one, [anchor()] if anchors is None else anchors, authorities, now, manifest, **how)


@dataclass(frozen=True)
class Model:
    """A signed model on disk, as somebody received it."""

    root: Path
    signature: bytes
    private_pem: bytes

    def judge(self, **how: Any) -> SignatureResult:
        return judge(self.signature, measured(self.root), [anchor(self.private_pem)], **how)


def signed_model(root: Path, files: dict[str, bytes] | None = None, **how: Any) -> Model:
    """Write a model, sign it with the default key, leave `model.sig` inside."""
    write_model(root, files)
    data = signed(measured(root), **how)
    (root / "model.sig").write_bytes(data)
    return Model(root, data, private_key())


def envelope_of(data: bytes) -> dsse.Envelope:
    return bundle.read_bundles(data, "model.sig")[0].envelope
