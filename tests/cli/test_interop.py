"""The commands that people type, ours and model-signing's, on the same folders: each verifies what the other signed."""

import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from tests.pki import authority, leaf

PROGRAM = Path(
    os.environ.get("WEIGHBRIDGE_MODEL_SIGNING")
    or Path(__file__).parents[2] / ".venv-interop" / "bin" / "model_signing"
)

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not PROGRAM.exists() and os.environ.get("WEIGHBRIDGE_REAL") != "1",
        reason="model_signing is not installed",
    ),
]


def theirs(*arguments: str) -> bool:
    """Run the other program; whether it says yes."""
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode == 0


def their_key(signed: Path, curve: str) -> tuple[str, str]:
    """A key pair as openssl makes it."""
    private, public = signed / "their.key", signed / "their.pub"
    subprocess.run(["openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", private], check=True)
    subprocess.run(
        ["openssl", "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True
    )
    return str(private), str(public)


@pytest.mark.parametrize("curve", ["prime256v1", "secp384r1", "secp521r1"])
def test_keys_both_ways(curve, weighbridge, signed):
    private, public = their_key(signed, curve)
    assert theirs("sign", "key", "model", "--private_key", private, "--signature", "model/model.sig")
    assert weighbridge("verify", "model", "--key", public).code == 0
    assert weighbridge("sign", "model", "--key", private).code == 0
    assert theirs("verify", "key", "model", "--public_key", public, "--signature", "model/model.sig")
    (signed / "model" / "config.json").write_text("{}")
    assert weighbridge("verify", "model", "--key", public).code == 1
    assert not theirs("verify", "key", "model", "--public_key", public, "--signature", "model/model.sig")


def test_certificates_both_ways(weighbridge, signed):
    far = timedelta(days=20_000)  # the other program knows no other time than now
    root = authority(end=far)
    certificate = leaf(root, end=far)
    pem = {"root": root.pem, "leaf": certificate.pem, "key": certificate.key_pem}
    for name, data in pem.items():
        (signed / f"{name}.pem").write_bytes(data)
    sign = ("sign", "certificate", "model", "--private_key", "key.pem", "--signing_certificate", "leaf.pem")
    assert theirs(*sign, "--certificate_chain", "root.pem", "--signature", "model/model.sig")
    assert weighbridge("verify", "model", "--root", "root.pem").code == 0
    assert weighbridge("sign", "model", "--key", "key.pem", "--certificate", "leaf.pem").code == 0
    assert weighbridge("verify", "model", "--root", "root.pem").code == 0
    assert weighbridge("verify", "model", "--root", "root.pem", "--by", "nobody@example.org").code == 1
    verify = ("verify", "certificate", "model", "--certificate_chain", "root.pem")
    assert theirs(*verify, "--signature", "model/model.sig")


def test_ignored_paths_both_ways(weighbridge, signed):
    private, public = their_key(signed, "prime256v1")
    ignore = ("--ignore-paths", "model/sub")
    assert theirs("sign", "key", "model", "--private_key", private, *ignore, "--signature", "model/model.sig")
    assert weighbridge("verify", "model", "--key", public).code == 3
    assert weighbridge("verify", "model", "--key", public, "--allow-uncovered", "sub").code == 0
    assert weighbridge("sign", "model", "--key", private, "--ignore", "sub").code == 0
    assert theirs("verify", "key", "model", "--public_key", public, *ignore, "--signature", "model/model.sig")


def test_links_both_ways(weighbridge, signed):
    private, public = their_key(signed, "prime256v1")
    (signed / "model" / "alias.json").symlink_to("config.json")
    links = "--allow_symlinks"
    assert theirs("sign", "key", "model", "--private_key", private, links, "--signature", "model/model.sig")
    assert weighbridge("verify", "model", "--key", public).code == 0
    assert weighbridge("sign", "model", "--key", private, "--allow-symlinks").code == 0
    assert theirs("verify", "key", "model", "--public_key", public, links, "--signature", "model/model.sig")


def test_one_file_both_ways(weighbridge, signed):
    private, public = their_key(signed, "prime256v1")
    one = signed / "alone"
    one.mkdir()
    (one / "weights.bin").write_bytes(b"numbers")
    sign = ("sign", "key", "alone/weights.bin", "--private_key", private)
    assert theirs(*sign, "--signature", "alone/weights.bin.sig")
    assert weighbridge("verify", "alone/weights.bin", "--key", public).code == 0

    # The specification wants the file's name, which theirs sees when it is given the folder; with --nameless, the file.
    verify = ("verify", "key", "--public_key", public, "--signature", "alone/weights.bin.sig")
    assert weighbridge("sign", "alone/weights.bin", "--key", private).code == 0
    assert theirs(*verify, "alone")
    assert weighbridge("sign", "alone/weights.bin", "--key", private, "--nameless").code == 0
    assert weighbridge("verify", "alone/weights.bin", "--key", public).code == 0
    assert theirs(*verify, "alone/weights.bin")
