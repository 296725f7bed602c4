"""A table of tamperings: whatever somebody does to a signed model, verify never passes and says what it was.

Every case starts from the same signed folder, which passes; does one thing to the folder, the signature file or the
trust; and is judged from disk again, with the quorum of room `trust` on top.
"""

import json
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.pki import DAY, Issued, authority, leaf, revocation_list, usages
from tests.sign.helpers import (
    NOW,
    SIGNATURES,
    anchor,
    measured,
    payload_of,
    private_key,
    resigned,
    safetensors,
    sign_value,
    signed,
    weights,
    with_root,
    write_model,
)

from weighbridge.core.artifact import Obstacle
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.manifest import Difference, Manifest
from weighbridge.core.report import SignatureResult
from weighbridge.sign import bundle, dsse, oms
from weighbridge.sign.anchor import Anchor, CertificateAnchor
from weighbridge.sign.signer import PemSigner, sign_all, sign_statement
from weighbridge.sign.verify import verify
from weighbridge.trust.quorum import Requirement, judge_signatures

MODEL: dict[str, bytes] = {
    "model.safetensors": weights(4),
    "model.gguf": b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(64),
    "model.onnx": b"\x08\x07\x12\x07weights" + bytes(range(64)),
    "pytorch_model.bin": b"PK\x03\x04" + bytes(range(128)),
    "optimizer.pkl": b"\x80\x04K\x01.",
    "head.npy": b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f4'}" + bytes(32),
    "config.json": b'{"layers": 4, "auto_map": {}}\n',
    "tokenizer.json": b'{"vocab": {"a": 1}}\n',
    "chat_template.jinja": b"{{ messages }}\n",
    "modeling_acme.py": b"class Model: pass\n",
    "README.md": b"# Acme chat\n",
    "LICENSE": b"Apache-2.0\n",
    "sub/.gitignore": b"*.tmp\n",
    "empty.txt": b"",
}


@dataclass
class Case:
    """A received model, its signature files, and what the receiver trusts."""

    root: Path
    anchors: list[Anchor]
    authorities: list[Any] = field(default_factory=list)
    now: datetime = NOW
    obstacles: list[Obstacle] = field(default_factory=list)
    requirement: Requirement = field(default_factory=Requirement)

    @property
    def signature(self) -> bytes:
        return (self.root / "model.sig").read_bytes()

    @signature.setter
    def signature(self, data: bytes) -> None:
        (self.root / "model.sig").write_bytes(data)

    def edit(self, path: str, change: Callable[[bytes], bytes]) -> None:
        (self.root / path).write_bytes(change((self.root / path).read_bytes()))

    def edit_bundle(self, change: Callable[[dict[str, Any]], Any]) -> None:
        value = json.loads(self.signature)
        change(value)
        self.signature = json.dumps(value).encode()

    def results(self) -> list[SignatureResult]:
        manifest = measured(self.root)
        found = [
            one
            for name in SIGNATURES
            if (self.root / name).is_file()
            for one in bundle.read_bundles((self.root / name).read_bytes(), name)
        ]
        return [
            verify(one, self.anchors, self.authorities, self.now, manifest, obstacles=self.obstacles)
            for one in bundle.distinct(found)
        ]

    def evidence(self) -> Evidence:
        return judge_signatures(self.results(), self.requirement)


@cache
def signed_once() -> bytes:
    """One signature for all cases over the same model: the folder's name is not part of it."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return signed(measured(write_model(Path(folder), MODEL)), ignore_paths=["notes"], name="acme")


@pytest.fixture
def case(tmp_path: Path) -> Case:
    root = write_model(tmp_path / "model", MODEL)
    (root / "model.sig").write_bytes(signed_once())
    return Case(root, [anchor()])


def test_the_untouched_model_passes(case: Case) -> None:
    (result,) = case.results()
    assert (result.outcome, result.code, result.covers) == ("pass", "", "14 of 14 files")
    assert case.evidence().outcome is Outcome.PASS


# ------------------------------------------------------------------------------------------------- things done to files


def flip(path: str, offset: int) -> Callable[[Case], None]:
    def act(case: Case) -> None:
        def change(data: bytes) -> bytes:
            at = offset % len(data)
            return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

        case.edit(path, change)

    return act


def changed(*paths: str, tensors: Sequence[str] = ()) -> Difference:
    return Difference(changed=paths, tensors_changed=tuple(tensors))


def retensor(case: Case) -> None:
    """Another model's weights in a file of the same shape."""
    case.edit("model.safetensors", lambda _: weights(4, fill=2))


def drop_tensor(case: Case) -> None:
    case.edit("model.safetensors", lambda _: weights(3))


def swap(case: Case) -> None:
    one, other = case.root / "config.json", case.root / "tokenizer.json"
    a, b = one.read_bytes(), other.read_bytes()
    one.write_bytes(b)
    other.write_bytes(a)


def rename(case: Case) -> None:
    (case.root / "README.md").rename(case.root / "README.txt")


def rename_case(case: Case) -> None:
    (case.root / "config.json").rename(case.root / "Config.json")


def add(path: str) -> Callable[[Case], None]:
    return lambda case: write_model(case.root, {path: b"planted"}) and None


def remove(path: str) -> Callable[[Case], None]:
    return lambda case: (case.root / path).unlink()


def to_folder(case: Case) -> None:
    (case.root / "config.json").unlink()
    write_model(case.root, {"config.json/config.json": MODEL["config.json"]})


def to_pipe(case: Case) -> None:
    """What `store` reports for a FIFO; opening one would hang."""
    (case.root / "config.json").unlink()
    os.mkfifo(case.root / "config.json")
    case.obstacles.append(Obstacle("config.json", "not-a-file", "a FIFO"))


def unreadable(case: Case) -> None:
    """What `store` reports for a file without permission; as root every file can be read, so it is taken away."""
    (case.root / "model.gguf").unlink()
    case.obstacles.append(Obstacle("model.gguf", "unreadable", "permission denied"))


def broken_link(case: Case) -> None:
    (case.root / "new.bin").symlink_to("nowhere")
    case.obstacles.append(Obstacle("new.bin", "link-broken", "leads nowhere"))


def link_to_same(case: Case) -> None:
    (case.root / "config.json").rename(case.root.parent / "outside.json")
    (case.root / "config.json").symlink_to(case.root.parent / "outside.json")


def link_folder(case: Case) -> None:
    (case.root / "sub").rename(case.root.parent / "sub")
    (case.root / "sub").symlink_to(case.root.parent / "sub")


def link_swap(case: Case) -> None:
    (case.root / "config.json").unlink()
    (case.root / "config.json").symlink_to("tokenizer.json")


LAYER_3 = tuple(f"model.layers.3.{part}.weight" for part in ("attn.q", "mlp.down", "mlp.up"))
ALL_TENSORS = tuple(
    sorted(
        [
            "model.embed.weight",
            *(f"model.layers.{n}.{p}.weight" for n in range(4) for p in ("attn.q", "mlp.down", "mlp.up")),
        ]
    )
)

FILES_TAMPERED: dict[str, tuple[Callable[[Case], None], Difference]] = {
    "one bit of one tensor": (
        flip("model.safetensors", -1),
        changed("model.safetensors", tensors=LAYER_3[:1]),
    ),
    "safetensors header": (
        flip("model.safetensors", 20),
        Difference(
            changed=("model.safetensors",),
            tensors_added=("model.embee.weight",),
            tensors_removed=("model.embed.weight",),
        ),
    ),
    "all weights of another model": (retensor, changed("model.safetensors", tensors=ALL_TENSORS)),
    "a layer taken out": (drop_tensor, Difference(changed=("model.safetensors",), tensors_removed=LAYER_3)),
    "a byte of GGUF": (flip("model.gguf", 30), changed("model.gguf")),
    "a byte of ONNX": (flip("model.onnx", 3), changed("model.onnx")),
    "a byte of a PyTorch zip": (flip("pytorch_model.bin", 50), changed("pytorch_model.bin")),
    "a byte of a pickle": (flip("optimizer.pkl", 3), changed("optimizer.pkl")),
    "a byte of numpy": (flip("head.npy", -1), changed("head.npy")),
    "a byte of the config": (flip("config.json", 0), changed("config.json")),
    "a byte of the tokenizer": (flip("tokenizer.json", 12), changed("tokenizer.json")),
    "a byte of the chat template": (flip("chat_template.jinja", 5), changed("chat_template.jinja")),
    "a byte of code": (flip("modeling_acme.py", 8), changed("modeling_acme.py")),
    "a byte of the card": (flip("README.md", 2), changed("README.md")),
    "a byte of the licence": (flip("LICENSE", 0), changed("LICENSE")),
    "a nested .gitignore": (flip("sub/.gitignore", 0), changed("sub/.gitignore")),
    "content in an empty file": (lambda c: c.edit("empty.txt", lambda _: b"\n"), changed("empty.txt")),
    "a file emptied": (lambda c: c.edit("LICENSE", lambda _: b""), changed("LICENSE")),
    "a byte appended": (lambda c: c.edit("model.gguf", lambda d: d + b"\0"), changed("model.gguf")),
    "a byte cut off": (lambda c: c.edit("model.gguf", lambda d: d[:-1]), changed("model.gguf")),
    "a file truncated to half": (
        lambda c: c.edit("pytorch_model.bin", lambda d: d[:66]),
        changed("pytorch_model.bin"),
    ),
    "line ends changed": (
        lambda c: c.edit("README.md", lambda d: d.replace(b"\n", b"\r\n")),
        changed("README.md"),
    ),
    "two files swapped": (swap, changed("config.json", "tokenizer.json")),
    "a file renamed": (rename, Difference(added=("README.txt",), removed=("README.md",))),
    "a file renamed by case": (rename_case, Difference(added=("Config.json",), removed=("config.json",))),
    "a file added": (add("adapter.bin"), Difference(added=("adapter.bin",))),
    "a hidden file added": (add(".hidden"), Difference(added=(".hidden",))),
    "a file added deep down": (add("a/b/c/d.py"), Difference(added=("a/b/c/d.py",))),
    "a nested .git added": (add("sub/.git/config"), Difference(added=("sub/.git/config",))),
    "a look-alike of an ignored name added": (add(".gitattributes "), Difference(added=(".gitattributes ",))),
    "a second signature file added": (add("other.sig"), Difference(added=("other.sig",))),
    "a name with direction marks added": (add("a\u202ebin.exe"), Difference(added=("a\u202ebin.exe",))),
    "an empty file added": (
        lambda c: write_model(c.root, {"__init__.py": b""}) and None,
        Difference(added=("__init__.py",)),
    ),
    "a file removed": (remove("tokenizer.json"), Difference(removed=("tokenizer.json",))),
    "an empty file removed": (remove("empty.txt"), Difference(removed=("empty.txt",))),
    "a file became a folder": (
        to_folder,
        Difference(added=("config.json/config.json",), removed=("config.json",)),
    ),
    "a file became a FIFO": (to_pipe, Difference(removed=("config.json",))),
    "a file became unreadable": (unreadable, Difference(removed=("model.gguf",))),
    "a broken link added": (broken_link, Difference(added=("new.bin",))),
    "a link to another signed file": (link_swap, changed("config.json")),
}


@pytest.mark.parametrize("name", FILES_TAMPERED)
def test_a_tampered_file_is_named(case: Case, name: str) -> None:
    act, difference = FILES_TAMPERED[name]
    act(case)
    (result,) = case.results()
    assert (result.outcome, result.code) == ("fail", "contents-differ")
    assert result.difference == difference
    assert case.evidence().outcome is Outcome.FAIL
    assert case.evidence().code == "contents-differ"


# ----------------------------------------------------------------------------------------- things done to signature, trust


def other_model(case: Case) -> None:
    """The signature of another model by the same signer."""
    case.signature = signed(
        measured(write_model(case.root.parent / "other", {"a": b"1", "model.gguf": b"2"}))
    )


def other_key(case: Case) -> None:
    """Tampered with and signed again by somebody else."""
    flip("model.gguf", 1)(case)
    case.signature = signed(measured(case.root), PemSigner(private_key("ecdsa-p256", 2)))


def other_key_same_hint(case: Case) -> None:
    other_key(case)
    hint = json.loads(signed_once())["verificationMaterial"]["publicKey"]["hint"]
    case.edit_bundle(lambda value: value["verificationMaterial"]["publicKey"].update(hint=hint))


def payload(change: Callable[[dict[str, Any]], Any]) -> Callable[[Case], None]:
    """The statement edited, its signature left as it was."""

    def act(case: Case) -> None:
        value = payload_of(case.signature)
        change(value)
        text = dsse.encode_base64(json.dumps(value).encode())
        case.edit_bundle(lambda outer: outer["dsseEnvelope"].update(payload=text))

    return act


def resign(change: Callable[[dict[str, Any]], Any]) -> Callable[[Case], None]:
    """The statement edited and signed with the right key: a signer who went wrong, or a key in wrong hands."""

    def act(case: Case) -> None:
        case.signature = resigned(case.signature, change)

    return act


def resources(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Case], None]:
    def edit(value: dict[str, Any]) -> None:
        change(value["predicate"]["resources"])
        with_root(value)

    return resign(edit)


def twice_good_and_bad(listed: list[dict[str, Any]]) -> None:
    """model-signing takes the last of two: a wrong digest first, the right one second."""
    listed.insert(0, listed[0] | {"digest": "00" * 32})


def second_signature(case: Case) -> None:
    case.edit_bundle(lambda value: value["dsseEnvelope"]["signatures"].append({"sig": "AAAA", "keyid": "x"}))


def junk_first(case: Case) -> None:
    case.edit_bundle(lambda value: value["dsseEnvelope"]["signatures"].insert(0, {"sig": "AAAA"}))


def chain_swapped(case: Case) -> None:
    """A chain of the attacker's put where the key was."""
    pem = {"certificates": [{"rawBytes": dsse.encode_base64(leaf(authority()).der)}]}
    case.edit_bundle(lambda value: value.update(verificationMaterial={"x509CertificateChain": pem}))


def certified(
    *,
    make: Callable[[Issued], Issued] = leaf,
    trusted: Issued | None = None,
    later: timedelta = timedelta(),
    **how: Any,
) -> Callable[[Case], None]:
    """The model signed with a certificate that is wrong in one way."""

    def act(case: Case) -> None:
        root = authority()
        one = make(root)
        case.signature = signed(measured(case.root), PemSigner(one.key_pem, None, one.pem))
        crls = how.pop("crls", lambda *_: ())(root, one)
        anchor_root = trusted or root
        case.anchors = [
            CertificateAnchor(name="acme", roots_pem=anchor_root.pem, crls_pem=tuple(crls), **how)
        ]
        case.now = NOW + later

    return act


def stolen_chain(case: Case) -> None:
    """A trusted person's certificate, shown beside a signature of another key."""
    root = authority()
    one = leaf(root)
    case.signature = signed(measured(case.root), PemSigner(private_key("ecdsa-p256", 2)))
    pem = {"certificates": [{"rawBytes": dsse.encode_base64(one.der)}]}
    case.edit_bundle(lambda value: value.update(verificationMaterial={"x509CertificateChain": pem}))
    case.anchors = [CertificateAnchor(name="acme", roots_pem=root.pem)]


def one_key_twice(case: Case) -> None:
    """Two signatures of one key towards a threshold of two."""
    payload_bytes = oms.statement(measured(case.root), name="m")
    lines = [sign_statement(payload_bytes, PemSigner(private_key())) for _ in range(2)]
    (case.root / "model.sig.jsonl").write_bytes(bundle.write_siblings(lines))
    case.requirement = Requirement(threshold=2)


def one_key_under_two_names(case: Case) -> None:
    one_key_twice(case)
    case.anchors = [anchor(name="alice"), anchor(name="bob")]


def one_of_two(case: Case) -> None:
    """Both signed, but one signed something else."""
    (case.root / "model.sig").unlink()
    other = signed(
        measured(write_model(case.root.parent / "o", {"a": b"1"})), PemSigner(private_key("ed25519"))
    )
    mine = signed(measured(case.root))
    (case.root / "model.sig.jsonl").write_bytes(bundle.write_siblings([mine, other]))
    case.anchors = [anchor(name="alice"), anchor(private_key("ed25519"), name="bob")]
    case.requirement = Requirement(threshold=2)


def strip_signature(case: Case) -> None:
    (case.root / "model.sig").unlink()


def strip_hybrid_half(case: Case) -> None:
    """The post-quantum half of a hybrid signature is taken away, where two people are wanted."""
    pq = PemSigner(private_key("ml-dsa-65"))
    both = sign_all(oms.statement(measured(case.root), name="m"), [PemSigner(private_key()), pq])
    case.signature = both.primary
    case.anchors = [anchor(name="alice"), anchor(private_key("ml-dsa-65"), name="bob")]
    case.requirement = Requirement(threshold=2)


def text(change: Callable[[bytes], bytes]) -> Callable[[Case], None]:
    return lambda case: case.edit("model.sig", change)


def signed_by(**window: Any) -> Callable[[Case], None]:
    return lambda case: case.anchors.__setitem__(0, anchor(**window))


def old_clock(case: Case) -> None:
    signed_by(not_after=NOW)(case)
    case.now = datetime(1980, 1, 1, tzinfo=UTC)


SLASHES = {"dot dot": "../escape", "absolute": "/etc/passwd", "not canonical": "a//b", "nul": "a\x00b"}

SIGNATURE_TAMPERED: dict[str, tuple[Callable[[Case], None], str, str]] = {
    "signature of another model": (other_model, "fail", "contents-differ"),
    "signed again with another key": (other_key, "fail", "signer-unknown"),
    "signed again with another key under our hint": (other_key_same_hint, "fail", "signature-wrong"),
    "trusting another key": (signed_by(private_pem=private_key("ecdsa-p256", 2)), "fail", "signer-unknown"),
    "key not valid yet": (signed_by(not_before=NOW + DAY), "fail", "anchor-not-yet-valid"),
    "key expired": (signed_by(not_after=NOW - DAY), "fail", "anchor-expired"),
    "key revoked": (signed_by(revoked_at=NOW - DAY, revocation_reason="stolen"), "fail", "anchor-revoked"),
    "clock before 1990": (
        old_clock,
        "unknown",
        "clock-implausible",
    ),
    "a digest edited in the payload": (
        payload(lambda v: v["predicate"]["resources"][0].update(digest="00" * 32)),
        "fail",
        "signature-wrong",
    ),
    "a file taken out of the payload": (
        payload(lambda v: v["predicate"]["resources"].pop()),
        "fail",
        "signature-wrong",
    ),
    "an ignored path put into the payload": (
        payload(lambda v: v["predicate"]["serialization"]["ignore_paths"].append("model.gguf")),
        "fail",
        "signature-wrong",
    ),
    "links allowed in the payload": (
        payload(lambda v: v["predicate"]["serialization"].update(allow_symlinks=True)),
        "fail",
        "signature-wrong",
    ),
    "the payload only reformatted": (payload(lambda _: None), "fail", "signature-wrong"),
    "a resource listed twice": (resources(twice_good_and_bad), "fail", "name-twice"),
    "a statement over no file": (resources(lambda r: r.clear()), "fail", "no-resources"),
    "an empty statement": (lambda c: setattr(c, "signature", sign_value({})), "fail", "bad-statement"),
    "a root digest of other files": (
        resign(lambda v: v["subject"][0]["digest"].update(sha256="00" * 32)),
        "fail",
        "root-digest-wrong",
    ),
    "several subjects": (resign(lambda v: v["subject"].append(v["subject"][0])), "fail", "several-subjects"),
    "a predicate of another kind": (
        resign(lambda v: v.update(predicateType="https://example.com/x")),
        "unknown",
        "predicate-unknown",
    ),
    "a predicate of version 2": (
        resign(lambda v: v.update(predicateType="https://model_signing/signature/v2.0")),
        "unknown",
        "predicate-version",
    ),
    "a weak hash": (
        resign(lambda v: v["predicate"]["serialization"].update(hash_type="md5")),
        "unknown",
        "algorithm-unknown",
    ),
    "everything ignored": (
        resign(lambda v: v["predicate"]["serialization"].update(ignore_paths=["."])),
        "fail",
        "bad-ignore-path",
    ),
    "a key twice in the statement": (
        lambda c: setattr(
            c, "signature", sign_value(json.dumps(payload_of(c.signature)).encode()[:-1] + b',"_type":"x"}')
        ),
        "fail",
        "duplicate-key",
    ),
    **{
        f"a {kind} name": (
            resources(lambda r, name=name: r.append(r[0] | {"name": name})),
            "fail",
            f"name-{code}",
        )
        for (kind, name), code in zip(
            SLASHES.items(), ("escapes", "absolute", "not-canonical", "nul"), strict=True
        )
    },
    "a second junk signature": (second_signature, "fail", "several-signatures"),
    "a junk signature before the right one": (junk_first, "fail", "several-signatures"),
    "no signature in the envelope": (
        lambda c: c.edit_bundle(lambda v: v["dsseEnvelope"].update(signatures=[])),
        "fail",
        "no-signatures",
    ),
    "another payload type": (
        lambda c: c.edit_bundle(lambda v: v["dsseEnvelope"].update(payloadType="text/plain")),
        "fail",
        "payload-type",
    ),
    "another media type": (
        lambda c: c.edit_bundle(lambda v: v.update(mediaType="application/json")),
        "fail",
        "media-type",
    ),
    "a bundle of version 1": (
        lambda c: c.edit_bundle(lambda v: v.update(mediaType="application/vnd.dev.sigstore.bundle.v1+json")),
        "unknown",
        "bundle-version",
    ),
    "the key's material taken out": (
        lambda c: c.edit_bundle(lambda v: v.update(verificationMaterial={})),
        "unknown",
        "material-unknown",
    ),
    "a foreign chain instead of the key": (chain_swapped, "fail", "signer-unknown"),
    "a chain beside the key": (
        lambda c: c.edit_bundle(
            lambda v: v["verificationMaterial"].update(x509CertificateChain={"certificates": []})
        ),
        "fail",
        "material-ambiguous",
    ),
    "the bundle truncated": (text(lambda d: d[: len(d) // 2]), "fail", "bad-json"),
    "the bundle emptied": (text(lambda _: b""), "fail", "bad-json"),
    "text behind the bundle": (text(lambda d: d + b"{}"), "fail", "bad-json"),
    "a key twice in the bundle": (text(lambda d: d[:-1] + b',"mediaType":"x"}'), "fail", "duplicate-key"),
    "a bundle of 100 MB": (
        text(lambda d: d[:-1] + b',"x":"' + b"y" * 100_000_000 + b'"}'),
        "unknown",
        "limit-json",
    ),
    "a bundle of a million values": (
        text(lambda d: d[:-1] + b',"x":[' + b"0," * 1_000_000 + b"0]}"),
        "unknown",
        "limit-json",
    ),
    "a bundle nested 15,000 deep": (text(lambda d: d[:-1] + b',"x":' + b"[" * 15_000), "fail", "bad-json"),
    "a planted .git": (add(".git/hooks/post-checkout"), "unknown", "uncovered-files"),
    "a planted .github": (add(".github/workflows/x.yml"), "unknown", "uncovered-files"),
    "a file where the signer ignored": (add("notes/pytorch_model.bin"), "unknown", "uncovered-files"),
    "a file replaced by a link to the same content": (link_to_same, "fail", "link-not-signed"),
    "a folder replaced by a link": (link_folder, "fail", "link-not-signed"),
    "certificate expired": (certified(make=lambda ca: leaf(ca, end=-DAY)), "fail", "certificate-expired"),
    "certificate not valid yet": (
        certified(make=lambda ca: leaf(ca, start=DAY)),
        "fail",
        "certificate-not-yet-valid",
    ),
    "certificate for TLS servers": (
        certified(make=lambda ca: leaf(ca, purposes=[Purpose.SERVER_AUTH])),
        "fail",
        "certificate-wrong-usage",
    ),
    "certificate for encryption": (
        certified(make=lambda ca: leaf(ca, key_usage=usages("key_encipherment"))),
        "fail",
        "certificate-wrong-usage",
    ),
    "certificate for somebody else": (
        certified(make=lambda ca: leaf(ca, emails=["mallory@acme.example"]), names=("release@acme.example",)),
        "fail",
        "certificate-name",
    ),
    "certificate of another authority": (
        certified(trusted=authority("Other")),
        "fail",
        "certificate-untrusted",
    ),
    "certificate revoked": (
        certified(crls=lambda ca, one: [revocation_list(ca, [(one, NOW - DAY)])]),
        "fail",
        "certificate-revoked",
    ),
    "revocation list out of date": (
        certified(crls=lambda ca, _: [revocation_list(ca, until=-DAY / 2)]),
        "unknown",
        "crl-stale",
    ),
    "certificate's authority no longer trusted": (certified(revoked_at=NOW - DAY), "fail", "anchor-revoked"),
    "somebody's certificate beside another key's signature": (stolen_chain, "fail", "signature-wrong"),
}


@pytest.mark.parametrize("name", SIGNATURE_TAMPERED)
def test_a_tampered_signature_says_its_cause(case: Case, name: str) -> None:
    act, outcome, code = SIGNATURE_TAMPERED[name]
    act(case)
    (result,) = case.results()
    assert (result.outcome, result.code) == (outcome, code), result.why
    assert result.why
    assert result.why.isprintable()
    evidence = case.evidence()
    assert evidence.outcome is (Outcome.FAIL if outcome == "fail" else Outcome.UNKNOWN)
    assert evidence.code == code


QUORUM_TAMPERED: dict[str, tuple[Callable[[Case], None], str]] = {
    "the signature taken away": (strip_signature, "no-signature"),
    "threshold met by one key twice": (one_key_twice, "threshold-not-met"),
    "threshold met by one key under two names": (one_key_under_two_names, "threshold-not-met"),
    "one of two signed another model": (one_of_two, "threshold-not-met"),
    "half of a hybrid signature taken away": (strip_hybrid_half, "threshold-not-met"),
}


@pytest.mark.parametrize("name", QUORUM_TAMPERED)
def test_a_tampered_quorum_is_not_met(case: Case, name: str) -> None:
    act, code = QUORUM_TAMPERED[name]
    act(case)
    assert (case.evidence().outcome, case.evidence().code) == (Outcome.FAIL, code)


def test_a_junk_sibling_does_not_take_the_right_signature_away(case: Case) -> None:
    """Anybody can put a line beside a signature; it is shown, and it decides nothing."""
    (case.root / "model.sig.jsonl").write_bytes(b"{junk\n" + bundle.write_siblings([case.signature]))
    assert [(one.outcome, one.code) for one in case.results()] == [("pass", ""), ("fail", "bad-json")]
    assert case.evidence().outcome is Outcome.PASS


def test_the_table_is_as_long_as_promised() -> None:
    assert len(FILES_TAMPERED) + len(SIGNATURE_TAMPERED) + len(QUORUM_TAMPERED) >= 100


# ------------------------------------------------------------------------------------------------------------- anything

SMALL = {"a": b"1", "b/c": b"2", "model.safetensors": safetensors({"t": ("U8", (2,), b"xy")})}


@cache
def small() -> tuple[bytes, Manifest]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        manifest = measured(write_model(Path(folder), SMALL))
    return signed(manifest, name="small"), manifest


def results_of(data: bytes, manifest: Manifest, name: str = "model.sig") -> list[SignatureResult]:
    return [verify(one, [anchor()], (), NOW, manifest) for one in bundle.read_bundles(data, name)]


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_no_bit_of_a_bundle_changes_what_is_said_of_other_contents(at: int, bit: int) -> None:
    """sign → flip any bit of the bundle → never PASS, unless payload, signature and result are the very same."""
    data, manifest = small()
    at %= len(data)
    mutant = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
    before, after = bundle.read_bundles(data, "x")[0], bundle.read_bundles(mutant, "x")
    for result, one in zip(results_of(mutant, manifest), after, strict=True):
        assert result.outcome != "pass" or one.envelope.payload == before.envelope.payload
        assert result.outcome != "pass" or one.envelope.signature == before.envelope.signature


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_no_bit_of_a_statement_passes(at: int, bit: int) -> None:
    """sign → flip any bit of the signed payload inside the bundle → FAIL, always for the signature."""
    data, manifest = small()
    envelope = bundle.read_bundles(data, "x")[0].envelope
    at %= len(envelope.payload)
    flipped = envelope.payload[:at] + bytes([envelope.payload[at] ^ 1 << bit]) + envelope.payload[at + 1 :]
    mutant = bundle.write_bundle(
        dsse.Envelope(payload=flipped, signature=envelope.signature), PemSigner(private_key()).material()
    )
    (result,) = results_of(mutant, manifest)
    assert (result.outcome, result.code) == ("fail", "signature-wrong")


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_signed_bytes_pass_for_other_contents(data: st.DataObject) -> None:
    """Even a statement that the right key signed passes only for exactly the files that it lists."""
    payload_bytes, manifest = bundle.read_bundles(small()[0], "x")[0].envelope.payload, small()[1]
    at = data.draw(st.integers(0, len(payload_bytes) - 1))
    put = data.draw(st.binary(max_size=3))
    mutant = payload_bytes[:at] + put + payload_bytes[at + len(put) :]
    (result,) = results_of(sign_statement(mutant, PemSigner(private_key())), manifest)
    if result.outcome == "pass":
        read = oms.parse_statement(mutant)
        assert {item.path: item.digest for item in read.resources} == {
            e.path: e.sha256 for e in manifest.entries
        }


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    files=st.dictionaries(
        st.sampled_from(["a", "b/c", "d", ".git/x", "e/f/g"]), st.binary(max_size=2), max_size=5
    ),
)
def test_only_the_signed_contents_pass(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    """Over all little models: PASS exactly for the one that was signed."""
    data = _over_two()
    manifest = measured(write_model(tmp_path_factory.mktemp("m"), files)) if files else Manifest(entries=())
    (result,) = results_of(data, manifest)
    assert (result.outcome == "pass") is (files == {"a": b"1", "b/c": b"2"})


@cache
def _over_two() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return signed(measured(write_model(Path(folder), {"a": b"1", "b/c": b"2"})), name="m")
