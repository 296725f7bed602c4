"""Makes the cases of test_intoto.py with in-toto 3.x itself: `python make_layouts.py FOLDER`. Harmless commands only."""

import json
import os
import shutil
import sys
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from in_toto.models.layout import Inspection, Layout, Step
from in_toto.models.metadata import Envelope, Metablock
from in_toto.runlib import in_toto_run
from in_toto.verifylib import in_toto_verify
from securesystemslib.signer import CryptoSigner

OWNER, OTHER = CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()
ALICE, BOB = CryptoSigner.generate_ecdsa(), CryptoSigner.generate_rsa()
CAROL, MALLORY = CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()
CASES = []


def key(signer):
    return {**signer.public_key.to_dict(), "keyid": signer.public_key.keyid}


def pem(signer):
    return signer._private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def layout(
    train=(BOB,),
    threshold=1,
    materials=None,
    products=None,
    steps=None,
    inspect=(),
    months=120,
    keys=(ALICE, BOB, CAROL),
):
    made = Layout()
    made.set_relative_expiration(months=months)
    made.keys = {one.public_key.keyid: key(one) for one in keys}
    clean = Step(name="clean")
    clean.pubkeys = [ALICE.public_key.keyid]
    clean.expected_products = [["CREATE", "data.csv"], ["DISALLOW", "*"]]
    last = Step(name="train")
    last.pubkeys = [one.public_key.keyid for one in train]
    last.threshold = threshold
    last.expected_materials = materials or [
        ["MATCH", "*", "WITH", "PRODUCTS", "FROM", "clean"],
        ["DISALLOW", "*"],
    ]
    last.expected_products = products or [["CREATE", "model.bin"], ["ALLOW", "data.csv"], ["DISALLOW", "*"]]
    made.steps = [clean, last] if steps is None else steps
    made.inspect = list(inspect)
    return made


def signed(body, *signers, dsse=False):
    wrapped = Envelope.from_signable(body) if dsse else Metablock(signed=body)
    for signer in signers:
        wrapped.create_signature(signer)
    return wrapped


def clean(signer=ALICE, **options):
    in_toto_run("clean", [], ["data.csv"], ["sh", "-c", "echo a,b > data.csv"], signer=signer, **options)


def train(signer=BOB, text="model", **options):
    command = ["sh", "-c", f"printf {text} > model.bin"]
    in_toto_run("train", ["data.csv"], ["model.bin", "data.csv"], command, signer=signer, **options)
    Path("model").mkdir(exist_ok=True)
    shutil.copy("model.bin", "model/model.bin")
    Path("model.bin").unlink()


def case(
    name,
    body,
    outcome="pass",
    code="",
    *,
    owners=(OWNER,),
    signers=None,
    dsse=False,
    do=None,
    ours_alone=False,
):
    folder = FOLDER / name
    folder.mkdir(parents=True)
    os.chdir(folder)
    if do is None:
        clean(use_dsse=dsse)
        train(use_dsse=dsse)
    else:
        do()
    wrapped = signed(body, *(owners if signers is None else signers), dsse=dsse)
    wrapped.dump("root.layout")
    for number, owner in enumerate(owners):
        Path(f"owner{number or ''}.pem").write_bytes(pem(owner))
    os.chdir("model")
    try:
        in_toto_verify(wrapped, {one.public_key.keyid: key(one) for one in owners}, link_dir_path="..")
        oracle = True
    except Exception:
        oracle = False
    os.chdir(folder)
    for left in ("data.csv", "stray.txt"):
        Path(left).unlink(missing_ok=True)
    for left in Path("model").glob("*.link"):
        left.unlink()
    CASES.append({"name": name, "outcome": outcome, "code": code, "oracle": oracle, "ours_alone": ours_alone})


def both(*signers, texts=("model", "model")):
    def do():
        clean()
        for signer, text in zip(signers, texts, strict=True):
            train(signer, text)

    return do


def edited(name, change):
    def do():
        clean()
        train()
        (path,) = Path().glob(f"{name}.*.link")
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))

    return do


def as_other_data():
    clean()
    Path("data.csv").write_text("poisoned\n")
    train()


def by_mallory():
    clean()
    train(MALLORY)
    (path,) = Path().glob("train.*.link")
    path.rename(f"train.{BOB.public_key.keyid[:8]}.link")


def without_train():
    clean()
    train()
    (path,) = Path().glob("train.*.link")
    path.unlink()


def other_step():
    clean()
    train()
    (path,) = Path().glob("train.*.link")
    path.unlink()
    in_toto_run("evil", ["data.csv"], ["data.csv"], ["true"], signer=BOB)
    (path,) = Path().glob("evil.*.link")
    path.rename(f"train.{BOB.public_key.keyid[:8]}.link")


def stray():
    clean()
    Path("stray.txt").write_text("x")
    in_toto_run(
        "train",
        ["data.csv"],
        ["model.bin", "data.csv", "stray.txt"],
        ["sh", "-c", "printf model > model.bin; printf x > stray.txt"],
        signer=BOB,
    )
    Path("model").mkdir()
    Path("model.bin").rename("model/model.bin")


def one_key_twice():
    body = layout(train=(BOB,), threshold=2)
    twin = {**key(BOB), "keyid": "f" * 64}
    body.keys["f" * 64] = twin
    body.steps[1].pubkeys.append("f" * 64)
    return body


def twice():
    clean()
    train()
    (path,) = Path().glob("train.*.link")
    shutil.copy(path, "train.ffffffff.link")


def change_product(document):
    document["signed"]["products"]["model.bin"] = {"sha256": "0" * 64}


def inspection(**rules):
    made = Inspection(name="look")
    made.run = ["true"]
    for name, value in rules.items():
        setattr(made, name, value)
    return made


FOLDER = Path(sys.argv[1]).resolve()
MATCH_IN = [["MATCH", "data.csv", "IN", "sub", "WITH", "PRODUCTS", "FROM", "clean"], ["DISALLOW", "*"]]
case("good", layout())
case("good-dsse", layout(), dsse=True)
case("two-owners", layout(), owners=(OWNER, OTHER))
case("one-of-two-owners", layout(), "fail", "layout-signature", owners=(OWNER, OTHER), signers=(OWNER,))
case("unsigned-by-owner", layout(), "fail", "layout-signature", signers=(MALLORY,))
case("other-data", layout(), "fail", "step-rule", do=as_other_data)
case("step-by-stranger", layout(), "fail", "step-missing", do=by_mallory)
case("step-gone", layout(), "fail", "step-missing", do=without_train)
case("other-step", layout(), "fail", "step-other", do=other_step, ours_alone=True)
case("changed-link", layout(), "fail", "step-missing", do=edited("train", change_product))
case(
    "changed-first-link",
    layout(),
    "fail",
    "step-missing",
    do=edited("clean", lambda d: d["signed"]["products"].clear()),
)
case("stray-product", layout(), "fail", "step-rule", do=stray)
case("threshold", layout(train=(BOB, CAROL), threshold=2), do=both(BOB, CAROL))
case("threshold-short", layout(train=(BOB, CAROL), threshold=2), "fail", "step-missing")
case(
    "disputed",
    layout(train=(BOB, CAROL), threshold=2),
    "fail",
    "step-disputed",
    do=both(BOB, CAROL, texts=("model", "other")),
)
case("one-key-twice", one_key_twice(), "fail", "step-missing", do=twice, ours_alone=True)
case(
    "require",
    layout(products=[["REQUIRE", "model.bin"], ["CREATE", "*"], ["ALLOW", "data.csv"], ["DISALLOW", "*"]]),
)
case("require-missing", layout(products=[["REQUIRE", "card.md"], ["ALLOW", "*"]]), "fail", "step-rule")
case(
    "modify",
    layout(products=[["MODIFY", "data.csv"], ["CREATE", "model.bin"], ["DISALLOW", "*"]]),
    "fail",
    "step-rule",
)
case("delete", layout(materials=[["DELETE", "data.csv"], ["DISALLOW", "*"]]), "fail", "step-rule")
case("pattern", layout(products=[["CREATE", "mod*.bin"], ["ALLOW", "*.csv"], ["DISALLOW", "*"]]))
case("disallow-first", layout(products=[["DISALLOW", "*.bin"], ["ALLOW", "*"]]), "fail", "step-rule")
case("leftover-is-allowed", layout(products=[["CREATE", "model.bin"]]))
case("match-elsewhere", layout(materials=MATCH_IN), "fail", "step-rule")
case(
    "match-no-step",
    layout(materials=[["MATCH", "*", "WITH", "PRODUCTS", "FROM", "nobody"], ["DISALLOW", "*"]]),
    "fail",
    "step-rule",
)
case("no-key-for-step", layout(keys=(ALICE,)), "fail", "step-missing")
GOOD_LOOK = [["MATCH", "model.bin", "WITH", "PRODUCTS", "FROM", "train"], ["DISALLOW", "*.bin"]]
case("inspection", layout(inspect=[inspection(expected_materials=GOOD_LOOK)]))
BAD_LOOK = [["MATCH", "model.bin", "WITH", "PRODUCTS", "FROM", "clean"], ["DISALLOW", "*.bin"]]
case("inspection-broken", layout(inspect=[inspection(expected_materials=BAD_LOOK)]), "fail", "step-rule")
case(
    "inspection-products",
    layout(inspect=[inspection(expected_products=[["ALLOW", "*"]])]),
    "unknown",
    "inspection-not-run",
    ours_alone=True,
)
(FOLDER / "cases.json").write_text(json.dumps(CASES, indent=1) + "\n")
