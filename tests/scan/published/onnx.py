"""ONNX: external data by a path that the model gives, and archives that are unpacked for it."""

import tarfile

from tests.scan.published.row import Bypass, Cases, either, files, sample, tarred
from tests.scan.samples import LINK
from tests.tensorfiles import external, message, model, node, tensor

PATH, ARCHIVE = "onnx-external-path", "archive-path-escape"


def row(id_: str, also: str, affected: str, what: str, rule: str, cases: Cases) -> Bypass:
    return Bypass(
        id=id_,
        also=(also,) if also else (),
        product="onnx",
        affected=affected,
        what=what,
        rule=rule,
        cases=cases,
    )


def outside(location: str, **numbers: str) -> bytes:
    """A model with a weight that lies there."""
    return model(node("Relu"), tensor(5, "w", [2], 1, external(location, **numbers)))


def locations(*names: str) -> Cases:
    return lambda: [
        {path: outside(name, length="8")} for name in names for path in ("model.onnx", "model.bin")
    ]


def entries(*pairs: tuple[str, str]) -> bytes:
    """A model whose external data has these entries beside its place."""
    more = b"".join(message(13, message(1, key), message(2, value)) for key, value in pairs)
    return model(node("Relu"), tensor(5, "w", [2], 1, external("w.bin", length="8"), more))


LINKED = {"type": tarfile.LNKTYPE, "linkname": "/etc/hostname"}
SYMLINK = {"type": tarfile.SYMTYPE, "linkname": "/etc/hostname"}

ROWS = (
    row(
        "CVE-2022-25882",
        "GHSA-ffxj-547x-5j7c",
        "<1.13",
        "the path of external data leads out of the model's folder",
        PATH,
        either(
            locations("../w.bin", "/etc/passwd", "../../../etc/passwd"),
            sample("onnx-external-path", "onnx-external-path"),
        ),
    ),
    row(
        "CVE-2024-27318",
        "GHSA-whh8-fjgc-qp73",
        "<1.16",
        "the same path, spelled otherwise",
        PATH,
        locations(
            "a/../../w", "..\\w", "C:\\w", "file:///w", "*/_ORT_MEM_ADDR_/*", "", "d/", "a\nb", "./../w"
        ),
    ),
    row(
        "CVE-2025-51480",
        "",
        "<1.18",
        "saving the model again writes to that path",
        PATH,
        locations("../w.bin", "/tmp/weighbridge-sample", "nested/../../w.bin"),
    ),
    row(
        "GHSA-q56x-g2fj-4rj6",
        "",
        "<1.21",
        "saving external data follows links, and drives of Windows",
        PATH,
        locations("C:/w.bin", "C:w.bin", "\\\\host\\share\\w.bin"),
    ),
    row(
        "CVE-2026-27489",
        "GHSA-3r9x-f23j-gc73",
        "<1.21",
        "external data is a symbolic link, at which the check looked wrongly",
        PATH,
        lambda: [{"model.onnx": outside("w.bin", length="8"), "w.bin": LINK}],
    ),
    row(
        "CVE-2026-34445",
        "GHSA-538c-55jv-c5g9",
        "<1.21",
        "keys of external data become attributes of an object of the loader",
        "onnx-malformed",
        lambda: [
            {"model.onnx": entries((key, "/etc")), "w.bin": bytes(8)}
            for key in ("__class__", "__dict__", "basepath")
        ],
    ),
    row(
        "CVE-2026-34446",
        "GHSA-cmw6-hcpp-c6jp",
        "<1.21",
        "external data is a hard link, at which nobody looked",
        "archive-symlink",
        files("model.tar", tarred(("model.onnx", outside("w.bin"), {}), ("w.bin", b"", LINKED))),
    ),
    row(
        "CVE-2026-34447",
        "GHSA-p433-9wv8-28xj",
        "<1.21",
        "external data is a symbolic link to a file outside",
        PATH,
        lambda: [{"m/model.onnx": outside("w.bin", length="8"), "m/w.bin": LINK}],
    ),
    row(
        "CVE-2024-5187",
        "GHSA-6rq9-53c3-f7vj",
        "<1.16.2",
        "the archive of a model is unpacked outside of its folder",
        ARCHIVE,
        files(
            "model.tar.gz",
            tarred(
                ("model.onnx", outside("w.bin"), {}),
                ("../../notes.txt", b"weighbridge-sample", {}),
                mode="w:gz",
            ),
            tarred(("/tmp/notes.txt", b"weighbridge-sample", {}), mode="w:gz"),
        ),
    ),
    row(
        "CVE-2024-7776",
        "GHSA-h36j-8vv3-cj52",
        "<1.17",
        "the same in a second function, and by links",
        "archive-symlink",
        files(
            "model.tar",
            tarred(("w", b"", SYMLINK), ("model.onnx", outside("w.bin"), {})),
            tarred(("a", b"", {**SYMLINK, "linkname": "../.."}), ("a/notes.txt", b"weighbridge-sample", {})),
        ),
    ),
)
