"""Both ways with the real `model_signing` program, for every mode that it has without a network or a token.

The program is named by WEIGHBRIDGE_MODEL_SIGNING, else it is `.venv-interop/bin/model_signing` (see requirements).
What one of the two refuses is asserted with its reason; docs/formats/oms.md explains each.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.pki import authority, leaf
from tests.sign.helpers import (
    CURVES,
    FILES,
    anchor,
    judge,
    measured,
    payload_of,
    private_key,
    public_key,
    resigned,
    signed,
    weights,
    write_model,
)

from weighbridge.core.manifest import Difference
from weighbridge.core.report import SignatureResult
from weighbridge.sign import bundle, oms
from weighbridge.sign.anchor import CertificateAnchor
from weighbridge.sign.signer import PemSigner, sign_all, sign_statement

ROOT = Path(__file__).parents[2]
PROGRAM = Path(
    os.environ.get("WEIGHBRIDGE_MODEL_SIGNING") or ROOT / ".venv-interop" / "bin" / "model_signing"
)

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not PROGRAM.exists() and os.environ.get("WEIGHBRIDGE_REAL") != "1",
        reason="model_signing is not installed",
    ),
]

TRICKY: dict[str, bytes] = FILES | {
    "a/b": b"1",
    "a-b": b"2",
    "a.b": b"3",
    "a/b.c": b"4",
    "colon:1:2": b"5",
    "späce und/ünï.txt": b"6",
    "\U0001f600": b"7",
    "\uffff": b"8",
    "sub/.gitignore": b"9",
    "sub/.git/config": b"10",
    "empty/none": b"",
}


@dataclass(frozen=True)
class Peer:
    """The other program, with a key in files."""

    folder: Path

    def run(self, *words: object, ok: bool = True) -> str:
        done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, cwd=self.folder)
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def script(self, text: str, *words: object, ok: bool = True) -> str:
        """Its Python interface, for what its command line cannot do."""
        command = [PROGRAM.parent / "python", "-c", text, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, check=False)
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done.stdout + done.stderr

    def keys(self, private_pem: bytes) -> tuple[Path, Path]:
        private, public = self.folder / "private.pem", self.folder / "public.pem"
        private.write_bytes(private_pem)
        public.write_bytes(public_key(private_pem))
        return private, public

    def sign(self, model: Path, *more: object, key: bytes | None = None) -> bytes:
        signature = (model / "model.sig") if model.is_dir() else model.with_name(model.name + ".sig")
        private, _ = self.keys(key or private_key())
        self.run("sign", "key", "--private_key", private, "--signature", signature, *more, model)
        return signature.read_bytes()

    def verify(
        self, model: Path, signature: bytes, *more: object, key: bytes | None = None, ok: bool = True
    ) -> str:
        place = (model / "model.sig") if model.is_dir() else model.with_name(model.name + ".sig")
        place.write_bytes(signature)
        _, public = self.keys(key or private_key())
        return self.run("verify", "key", "--public_key", public, "--signature", place, *more, model, ok=ok)


@pytest.fixture
def peer(tmp_path: Path) -> Peer:
    return Peer(tmp_path)


def passed(result: SignatureResult) -> bool:
    return (result.outcome, result.code) == ("pass", "")


def refused(result: SignatureResult) -> tuple[str, str]:
    return result.outcome, result.code


# ------------------------------------------------------------------------------------------------- they sign, we verify


@pytest.mark.parametrize("algorithm", CURVES)
def test_their_key_signatures_pass_here(peer: Peer, algorithm: str) -> None:
    model = write_model(peer.folder / "model", TRICKY)
    data = peer.sign(model, key=private_key(algorithm))
    result = judge(data, measured(model), [anchor(private_key(algorithm))])
    assert passed(result), result
    assert result.covers == f"{len(TRICKY)} of {len(TRICKY)} files"
    names = [one["name"] for one in payload_of(data)["predicate"]["resources"]]
    assert names != sorted(names)  # they sort by path components: the case is really met
    (model / "a-b").write_bytes(b"changed")
    assert judge(data, measured(model), [anchor(private_key(algorithm))]).difference == Difference(
        changed=("a-b",)
    )


def test_their_certificate_signatures_pass_here(peer: Peer) -> None:
    model = write_model(peer.folder / "model")
    root = authority()
    middle = authority("Middle", under=root)
    one = leaf(middle)
    for name, data in {"leaf": one.pem, "middle": middle.pem, "key": one.key_pem}.items():
        (peer.folder / f"{name}.pem").write_bytes(data)
    peer.run(
        *("sign", "certificate", "--private_key", "key.pem", "--signing_certificate", "leaf.pem"),
        *("--certificate_chain", "middle.pem", "--signature", "model/model.sig", "model"),
    )
    data = (model / "model.sig").read_bytes()
    result = judge(data, measured(model), [CertificateAnchor(name="acme", roots_pem=root.pem)])
    assert passed(result), result
    other = CertificateAnchor(name="other", roots_pem=authority().pem)
    assert refused(judge(data, measured(model), [other])) == ("fail", "certificate-untrusted")


def test_what_they_ignored_is_not_passed_in_silence(peer: Peer) -> None:
    model = write_model(
        peer.folder / "model", FILES | {"cache/x": b"x", ".git/config": b"x", ".gitignore": b"x"}
    )
    data = peer.sign(model, "--ignore-paths", model / "cache")
    assert refused(judge(data, measured(model))) == ("unknown", "uncovered-files")
    assert passed(judge(data, measured(model), allow_ignored=["cache", ".git"]))
    peer.verify(model, data)  # they see nothing of it


def test_git_files_that_they_signed_on_request_pass_here(peer: Peer) -> None:
    model = write_model(peer.folder / "model", FILES | {".gitattributes": b"*", ".github/x": b"y"})
    data = peer.sign(model, "--no-ignore-git-paths")
    assert passed(judge(data, measured(model)))
    (model / ".gitattributes").write_bytes(b"changed")
    assert judge(data, measured(model)).difference == Difference(changed=(".gitattributes",))


def test_their_one_file_signatures_pass_here(peer: Peer) -> None:
    """They write "." for the name."""
    model = peer.folder / "model.gguf"
    model.write_bytes(b"weights")
    data = peer.sign(model)
    assert [one["name"] for one in payload_of(data)["predicate"]["resources"]] == ["."]
    assert passed(judge(data, measured(model)))
    model.write_bytes(b"changed")
    assert refused(judge(data, measured(model))) == ("fail", "contents-differ")


def test_their_links_to_files_pass_here(peer: Peer) -> None:
    model = write_model(peer.folder / "model", {"a": b"1"})
    (model / "b").symlink_to("a")
    data = peer.sign(model, "--allow_symlinks")
    assert payload_of(data)["predicate"]["serialization"]["allow_symlinks"] is True
    assert passed(judge(data, measured(model)))


def test_contents_of_linked_folders_that_they_left_out_are_refused_here(peer: Peer) -> None:
    """They list nothing behind a linked folder, so what is there could be changed unseen."""
    model = write_model(peer.folder / "model", {"a": b"1", "real/x": b"2"})
    (model / "folder").symlink_to("real")
    data = peer.sign(model, "--allow_symlinks")
    assert judge(data, measured(model)).difference == Difference(added=("folder/x",))
    peer.verify(model, data, "--allow_symlinks")


SHARDS = """
import sys, pathlib, model_signing as ms
model, key, signature, algorithm, size = sys.argv[1:]
config = ms.hashing.Config().use_shard_serialization(hashing_algorithm=algorithm, shard_size=int(size))
config.set_ignored_paths(paths=["model.sig"])
ms.signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(config).sign(
    pathlib.Path(model), pathlib.Path(signature))
"""


@pytest.mark.parametrize("algorithm", ["sha256", "blake2"])
def test_their_shards_pass_here(peer: Peer, algorithm: str) -> None:
    """A float for the size, `sha256-sharded-1048576` for the algorithm, and no empty files."""
    size = 1024**2
    model = write_model(peer.folder / "model", {"big.bin": bytes(range(256)) * 10_000, "small": b"s"})
    private, _ = peer.keys(private_key())
    peer.script(SHARDS, model, private, model / "model.sig", algorithm, size)
    data = (model / "model.sig").read_bytes()
    said = payload_of(data)["predicate"]
    assert b'"shard_size": 1048576.0' in bundle.read_bundles(data, "x")[0].envelope.payload
    assert (
        said["resources"][0]["algorithm"]
        == f"{'blake2b' if algorithm == 'blake2' else algorithm}-sharded-{size}"
    )
    shards = [("blake2b" if algorithm == "blake2" else algorithm, size)]
    assert passed(judge(data, measured(model, shards=shards)))
    assert refused(judge(data, measured(model))) == ("unknown", "not-measured")
    (model / "__init__.py").write_bytes(b"")
    assert refused(judge(data, measured(model, shards=shards))) == ("unknown", "uncovered-files")


HASHES = """
import sys, pathlib, model_signing as ms
model, key, signature, algorithm = sys.argv[1:]
config = ms.hashing.Config().use_file_serialization(hashing_algorithm=algorithm)
config.set_ignored_paths(paths=["model.sig"])
ms.signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(config).sign(
    pathlib.Path(model), pathlib.Path(signature))
"""


@pytest.mark.parametrize("algorithm", ["blake2", "blake3"])
def test_their_other_hashes_pass_here(peer: Peer, algorithm: str) -> None:
    model = write_model(peer.folder / "model")
    private, _ = peer.keys(private_key())
    peer.script(HASHES, model, private, model / "model.sig", algorithm)
    data = (model / "model.sig").read_bytes()
    assert passed(judge(data, measured(model, blake2b=True)))
    (model / "d.b").write_bytes(b"changed")
    assert judge(data, measured(model, blake2b=True)).difference == Difference(changed=("d.b",))


def test_their_signature_over_nothing_is_refused_here(peer: Peer) -> None:
    model = peer.folder / "model"
    model.mkdir()
    data = peer.sign(model)
    assert refused(judge(data, measured(model))) == ("fail", "no-resources")


# ------------------------------------------------------------------------------------------------- we sign, they verify


@pytest.mark.parametrize("algorithm", CURVES)
def test_our_key_signatures_pass_there(peer: Peer, algorithm: str) -> None:
    model = write_model(peer.folder / "model", TRICKY)
    data = signed(measured(model), PemSigner(private_key(algorithm)))
    assert b"dev.weighbridge.tensors/v1" in bundle.read_bundles(data, "x")[0].envelope.payload
    peer.verify(model, data, key=private_key(algorithm))
    (model / "model.safetensors").write_bytes(weights(fill=2))
    said = peer.verify(model, data, key=private_key(algorithm), ok=False)
    assert "Hash mismatch for \\'model.safetensors\\'" in said


def test_our_certificate_signatures_pass_there(peer: Peer) -> None:
    model = write_model(peer.folder / "model")
    root = authority()
    middle = authority("Middle", under=root)
    one = leaf(middle)
    data = signed(measured(model), PemSigner(one.key_pem, None, one.pem + middle.pem))
    (model / "model.sig").write_bytes(data)
    (peer.folder / "root.pem").write_bytes(root.pem)
    peer.run(
        "verify", "certificate", "--certificate_chain", "root.pem", "--signature", "model/model.sig", "model"
    )


def test_what_we_ignored_they_ignore(peer: Peer) -> None:
    model = write_model(
        peer.folder / "model", FILES | {"cache/x": b"x", ".git/config": b"x", ".gitignore": b"x"}
    )
    peer.verify(model, signed(measured(model), ignore_paths=["cache"]))


def test_our_links_pass_there_when_they_are_told(peer: Peer) -> None:
    model = write_model(peer.folder / "model", {"a": b"1"})
    (model / "b").symlink_to("a")
    data = signed(measured(model), allow_symlinks=True)
    peer.verify(model, data, "--allow_symlinks")
    assert "because it is a symlink" in peer.verify(
        model, data, ok=False
    )  # they do not follow the signed policy


def test_our_one_file_signatures_pass_there_through_the_folder_or_nameless(peer: Peer) -> None:
    """They compare with "." where the specification says the file's name; no signature can say both."""
    model = peer.folder / "box" / "model.gguf"
    write_model(model.parent, {"model.gguf": b"weights"})
    manifest = measured(model)
    specified = signed(manifest, name="model.gguf", single=True)
    assert "Missing files in model 'model.gguf': model.gguf" in peer.verify(model, specified, ok=False)
    peer.run("verify", "key", "--public_key", "public.pem", "--signature", f"{model}.sig", model.parent)
    nameless = signed(manifest, name="model.gguf", single=True, nameless=True)
    peer.verify(model, nameless)
    assert passed(judge(nameless, manifest))
    assert passed(judge(specified, manifest))


def test_a_hybrid_signature_passes_there_with_its_siblings_in_the_folder(peer: Peer) -> None:
    model = write_model(peer.folder / "model")
    payload = oms.statement(measured(model), name="model")
    both = sign_all(payload, [PemSigner(private_key("ml-dsa-65")), PemSigner(private_key())])
    assert both.siblings is not None
    (model / "model.sig.jsonl").write_bytes(both.siblings)
    peer.verify(model, both.primary)


def test_a_timestamped_signature_passes_there(peer: Peer) -> None:
    model = write_model(peer.folder / "model")
    payload = oms.statement(measured(model), name="model")
    peer.verify(model, sign_statement(payload, PemSigner(private_key()), timestamp=lambda _: b"a token"))


VERIFY = """
import sys, pathlib, model_signing as ms
model, key, signature = sys.argv[1:4]
config = ms.verifying.Config().use_elliptic_key_verifier(public_key=key)
if sys.argv[4:]:
    hashing = ms.hashing.Config().use_shard_serialization(hashing_algorithm="sha256", shard_size=int(sys.argv[4]))
    config.set_hashing_config(hashing.set_ignored_paths(paths=["model.sig"]))
config.verify(pathlib.Path(model), pathlib.Path(signature))
"""


def test_our_blake3_signatures_pass_there(peer: Peer) -> None:
    model = write_model(peer.folder / "model")
    (model / "model.sig").write_bytes(signed(measured(model), hash_type="blake3"))
    _, public = peer.keys(private_key())
    peer.script(VERIFY, model, public, model / "model.sig")


def test_our_shards_are_refused_there_for_the_name_of_their_hash_alone(peer: Peer) -> None:
    """The specification says `sha256`; they compare it with their own `sha256-sharded-N` and nothing ever matches."""
    size = 1024**2
    model = write_model(peer.folder / "model", {"big.bin": bytes(2 * size + 1)})
    manifest = measured(model, shards=[("sha256", size)])
    data = signed(manifest, shard_size=size)
    _, public = peer.keys(private_key())
    said = peer.script(VERIFY, model, public, _put(model, data), size, ok=False)
    assert "big.bin:0:1048576" in said
    assert f"sha256-sharded-{size}" in said

    def theirs(value: dict[str, Any]) -> None:
        for one in value["predicate"]["resources"]:
            one["algorithm"] = f"sha256-sharded-{size}"

    peer.script(VERIFY, model, public, _put(model, resigned(data, theirs)), size)


def _put(model: Path, data: bytes) -> Path:
    (model / "model.sig").write_bytes(data)
    return model / "model.sig"
