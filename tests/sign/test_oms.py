"""OMS statements: what we write, what we accept of others, and what each refusal is called."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sign.helpers import FILES, VECTORS, measured, weights, with_root, write_model

from weighbridge.core.errors import InputError, LimitError, UsageError
from weighbridge.core.manifest import Difference, Entry, Manifest, TensorEntry
from weighbridge.sign import bundle, legacy, oms

MIB = 1024**2


def manifest_of(files: dict[str, bytes], **more: Any) -> Manifest:
    entries = (
        Entry(path, len(data), hashlib.sha256(data).digest(), hashlib.blake2s(data).digest(), None)
        for path, data in sorted(files.items())
    )
    return Manifest(entries=tuple(entries), **more)


def written(files: dict[str, bytes] | None = None, **how: Any) -> dict[str, Any]:
    return json.loads(oms.statement(manifest_of(files or FILES), **({"name": "model"} | how)))


def parse(value: Any) -> oms.OmsStatement:
    return oms.parse_statement(value if isinstance(value, bytes) else json.dumps(value).encode())


def code_of(value: Any) -> str:
    with pytest.raises((InputError, LimitError)) as caught:
        parse(value)
    return caught.value.code


def statement(*names: str, **serialization: Any) -> dict[str, Any]:
    """A minimal statement by somebody else over empty files."""
    digest = hashlib.sha256(b"").hexdigest()
    return with_root(
        {
            "_type": oms.STATEMENT_TYPE,
            "subject": [{"name": "model", "digest": {}}],
            "predicateType": oms.PREDICATE_TYPE,
            "predicate": {
                "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
                | serialization,
                "resources": [{"name": name, "algorithm": "sha256", "digest": digest} for name in names],
            },
        }
    )


# ---------------------------------------------------------------------------------------------------------- writing


def test_names_stand_in_code_point_order_and_the_root_follows() -> None:
    value = written(
        {"d/x": b"1", "d-x": b"2", "d.b": b"3", "é": b"4", "Z": b"5", "\U0001f600": b"6", "\uffff": b"7"}
    )
    names = [one["name"] for one in value["predicate"]["resources"]]
    assert names == ["Z", "d-x", "d.b", "d/x", "é", "\uffff", "\U0001f600"]
    joined = b"".join(bytes.fromhex(one["digest"]) for one in value["predicate"]["resources"])
    assert value["subject"][0]["digest"] == {"sha256": hashlib.sha256(joined).hexdigest()}


def test_everything_the_specification_asks_for_and_nothing_else() -> None:
    value = written(ignore_paths=["cache/"])
    assert list(value) == ["_type", "subject", "predicateType", "predicate"]
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    assert value["predicateType"] == "https://model_signing/signature/v1.0"
    assert list(value["predicate"]) == ["resources", "serialization"]
    assert value["predicate"]["serialization"] == {
        "method": "files",
        "hash_type": "sha256",
        "allow_symlinks": False,
        "ignore_paths": [
            ".git",
            ".gitattributes",
            ".github",
            ".gitignore",
            "cache",
            "model.sig",
            "model.sig.jsonl",
        ],
    }
    assert set(value["subject"][0]) == {"name", "digest", "annotations"}
    first = value["predicate"]["resources"][0]
    assert first == {
        "name": "README.md",
        "algorithm": "sha256",
        "digest": hashlib.sha256(FILES["README.md"]).hexdigest(),
    }


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["_type", "subject", "predicateType", "predicate"],
    "additionalProperties": False,
    "properties": {
        "_type": {"const": "https://in-toto.io/Statement/v1"},
        "predicateType": {"const": "https://model_signing/signature/v1.0"},
        "subject": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "required": ["name", "digest"],
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "digest": {
                        "type": "object",
                        "minProperties": 1,
                        "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]+$"},
                    },
                },
            },
        },
        "predicate": {
            "required": ["resources", "serialization"],
            "additionalProperties": False,
            "properties": {
                "resources": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "required": ["name", "digest", "algorithm"],
                        "properties": {
                            "name": {"type": "string", "minLength": 1},
                            "digest": {"type": "string", "pattern": "^[0-9a-f]+$"},
                            "algorithm": {"enum": ["sha256", "blake2b", "blake3"]},
                        },
                    },
                },
                "serialization": {
                    "required": ["method", "hash_type", "allow_symlinks"],
                    "additionalProperties": False,
                    "properties": {
                        "method": {"enum": ["files", "shards"]},
                        "hash_type": {"enum": ["sha256", "blake2b", "blake3"]},
                        "shard_size": {"type": "integer", "exclusiveMinimum": 0},
                        "allow_symlinks": {"type": "boolean"},
                        "ignore_paths": {"type": "array", "items": {"type": "string", "minLength": 1}},
                    },
                },
            },
        },
    },
}
"""The closed and open places of the specification's statement and predicate schemas."""


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"hash_type": "blake3"},
        {"allow_symlinks": True},
        {"shard_size": MIB},
        {"shard_size": MIB, "hash_type": "blake3"},
    ],
)
def test_what_we_write_fits_the_schema_and_reads_back(tmp_path: Path, how: dict[str, Any]) -> None:
    write_model(tmp_path, FILES | {"big.bin": bytes(2 * MIB + 5)})
    manifest = measured(tmp_path, shards=[("sha256", MIB), ("blake3", MIB)])
    payload = oms.statement(manifest, name="model", **how)
    jsonschema.validate(json.loads(payload), SCHEMA)
    read = parse(payload)
    assert oms.compare(read, manifest).empty
    assert oms.unmeasured(read, manifest) == oms.uncovered(read, manifest) == ()
    assert read.shard_size == how.get("shard_size")


def test_shards_are_named_as_the_specification_shows(tmp_path: Path) -> None:
    write_model(tmp_path, {"a:b.bin": bytes(2 * MIB + 1), "none": b"", "small": b"s"})
    payload = oms.statement(measured(tmp_path, shards=[("sha256", MIB)]), name="m", shard_size=MIB)
    names = [one["name"] for one in json.loads(payload)["predicate"]["resources"]]
    assert names == sorted(
        ["a:b.bin:0:1048576", "a:b.bin:1048576:2097152", "a:b.bin:2097152:2097153", "small:0:1"]
    )
    assert type(json.loads(payload)["predicate"]["serialization"]["shard_size"]) is int
    assert parse(payload).empty == ("none",)


def test_a_one_file_model_has_its_own_name_and_ignores_nothing() -> None:
    value = written({".gitignore": b"odd, but a model"}, single=True, name=".gitignore")
    assert [one["name"] for one in value["predicate"]["resources"]] == [".gitignore"]
    assert "ignore_paths" not in value["predicate"]["serialization"]


def test_git_at_the_root_is_left_out_and_below_it_is_not() -> None:
    files = dict.fromkeys(
        [".git/config", ".gitattributes", ".github/x", ".gitignore", "sub/.gitignore", "sub/.git/x", "a"], b""
    )
    names = [one["name"] for one in written(files)["predicate"]["resources"]]
    assert names == ["a", "sub/.git/x", "sub/.gitignore"]


def test_ignored_paths_are_exact_and_whole_subtrees() -> None:
    files = dict.fromkeys(["cache/x", "cachet", "sub/cache", "a/b/c", "a/bc", "a/b.c"], b"")
    names = [one["name"] for one in written(files, ignore_paths=["cache", "a/b"])["predicate"]["resources"]]
    assert names == ["a/b.c", "a/bc", "cachet", "sub/cache"]


def test_our_annotations_hold_the_digests_of_what_is_covered(tmp_path: Path) -> None:
    write_model(tmp_path, FILES | {".gitattributes": b"*"})
    manifest = measured(tmp_path)
    read = parse(oms.statement(manifest, name="m"))
    covered = oms.covered(read, manifest)
    assert ".gitattributes" not in {entry.path for entry in covered.entries}
    assert dict(read.digests) == {
        "files": str(covered.files_digest()),
        "tensors": str(covered.tensors_digest()),
        "card": str(covered.card_digest()),
    }
    assert {tensor.name for tensor in read.tensors} == {tensor.name for tensor in manifest.tensors or ()}
    assert read.tensor_paths == {"model.safetensors"}


def test_too_many_tensors_are_left_out_and_it_is_said() -> None:
    tensors = tuple(TensorEntry(f"t{n}", "F32", (1,), bytes(32), "a") for n in range(oms.MAX_TENSORS + 1))
    value = json.loads(oms.statement(manifest_of({"a": b""}, tensors=tensors), name="m"))
    assert value["subject"][0]["annotations"][oms.TENSORS] == {"omitted": 20_001, "limit": 20_000}
    assert "annotations" not in value["predicate"]["resources"][0]
    assert parse(value).tensors == ()


def test_a_file_with_a_tensor_twice_gets_no_record() -> None:
    tensors = (TensorEntry("t", "F32", (1,), bytes(32), "a"), TensorEntry("t", "F32", (1,), bytes(32), "a"))
    assert (
        parse(oms.statement(manifest_of({"a": b""}, tensors=tensors), name="m")).tensor_paths == frozenset()
    )


@pytest.mark.parametrize(
    ("files", "how", "code"),
    [
        ({".git/x": b""}, {}, "empty-model"),
        ({"a": b""}, {"ignore_paths": ["a"]}, "empty-model"),
        ({"\udcff": b""}, {}, "name-not-utf8"),
        ({"a": b""}, {"ignore_paths": ["*.bin"]}, "bad-ignore-path"),
        ({"a": b""}, {"ignore_paths": ["/etc"]}, "bad-ignore-path"),
        ({"a": b""}, {"ignore_paths": ["../x"]}, "bad-ignore-path"),
        ({"a": b""}, {"ignore_paths": [""]}, "bad-ignore-path"),
        ({"a": b""}, {"ignore_paths": ["."]}, "bad-ignore-path"),
        ({"a": b""}, {"hash_type": "blake2b"}, "bad-hash-type"),
        ({"a": b""}, {"hash_type": "md5"}, "bad-hash-type"),
        ({"a": b""}, {"shard_size": 0}, "bad-shard-size"),
        ({"a": b""}, {"shard_size": MIB - 1}, "bad-shard-size"),
        ({"a": b"x"}, {"shard_size": MIB}, "not-measured"),
    ],
)
def test_what_cannot_be_signed_says_why(files: dict[str, bytes], how: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        oms.statement(manifest_of(files), name="m", **how)
    assert caught.value.code == code


def test_links_are_signed_only_on_request() -> None:
    manifest = Manifest(entries=(Entry("a", 0, bytes(32), None, "b"),))
    with pytest.raises(UsageError) as caught:
        oms.statement(manifest, name="m")
    assert caught.value.code == "link-not-allowed"
    assert parse(oms.statement(manifest, name="m", allow_symlinks=True)).allow_symlinks


def test_a_hash_that_was_not_measured_is_not_signed() -> None:
    manifest = Manifest(entries=(Entry("a", 0, None, None),))
    with pytest.raises(UsageError, match='"a" was not measured with sha256'):
        oms.statement(manifest, name="m")


# ---------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    "names",
    [("d-x", "d.b", "d/x"), ("d/x", "d-x", "d.b"), ("é", "Z")],
    ids=["code points, as specified", "path components, as model-signing", "any other"],
)
def test_every_order_of_names_is_read(names: tuple[str, ...]) -> None:
    assert [one.path for one in parse(statement(*names)).resources] == list(names)


@pytest.mark.parametrize(("name", "version"), [("v1.0", "1.0"), ("v1.1", "1.1"), ("v1.27", "1.27")])
def test_minor_versions_are_read(name: str, version: str) -> None:
    value = statement("a") | {"predicateType": f"https://model_signing/signature/{name}"}
    value["predicate"]["new"] = {"optional": True}
    value["predicate"]["serialization"]["alsoNew"] = 1
    assert parse(value).version == version


def test_unknown_fields_are_ignored() -> None:
    value = statement("a") | {"extra": 1}
    value["subject"][0] |= {"annotations": {"theirs": [1]}, "uri": "x"}
    value["subject"][0]["digest"]["sha512"] = "ab"
    value["predicate"]["resources"][0] |= {"annotations": {"theirs": 1}, "media_type": "x"}
    assert parse(value).paths == {"a"}


def test_the_float_shard_size_and_sharded_algorithms_of_model_signing_are_read() -> None:
    value = statement("a:0:5", method="shards", shard_size=1000000000.0)
    value["predicate"]["resources"][0]["algorithm"] = "sha256-sharded-1000000000"
    read = parse(value)
    assert (read.shard_size, read.hash_type) == (1_000_000_000, "sha256")
    assert read.resources[0] == oms.Resource("a", hashlib.sha256(b"").digest(), 0, 5)


def test_a_colon_in_a_path_belongs_to_the_path() -> None:
    read = parse(statement("a:1:2:0:7", method="shards", shard_size=MIB))
    assert (read.resources[0].path, read.resources[0].start, read.resources[0].end) == ("a:1:2", 0, 7)


@pytest.mark.parametrize("spelling", ["blake2", "blake2b"])
def test_both_spellings_of_blake2b_are_read(spelling: str) -> None:
    digest = hashlib.blake2b(b"x")
    value = statement("a", hash_type=spelling)
    value["predicate"]["resources"][0] |= {"algorithm": spelling, "digest": digest.hexdigest()}
    read = parse(with_root(value))
    assert (read.hash_type, read.resources[0].digest) == ("blake2b", digest.digest())


def test_statements_of_model_signing_0_2_are_read() -> None:
    (one,) = bundle.read_bundles((VECTORS / "v0.2.0-certificate.sig").read_bytes(), "x")
    read = parse(one.envelope.payload)
    assert (read.predicate, read.version, read.paths) == (legacy.PREDICATE, "0.1", {"signme-1", "signme-2"})


def _edit(**changes: Any) -> dict[str, Any]:
    return statement("a") | changes


def _predicate(**changes: Any) -> dict[str, Any]:
    value = statement("a")
    value["predicate"] |= changes
    return value


def _resource(**changes: Any) -> dict[str, Any]:
    value = statement("a", "b")
    value["predicate"]["resources"][0] |= changes
    return value


def _subject(**changes: Any) -> dict[str, Any]:
    value = statement("a")
    value["subject"][0] |= changes
    return value


def _shards(*names: str, size: Any = MIB) -> dict[str, Any]:
    return statement(*names, method="shards", shard_size=size)


def _legacy(**changes: Any) -> dict[str, Any]:
    file = {
        "name": "a",
        "digest": {"sha256": "00" * 32},
        "annotations": {"actual_hash_algorithm": "file-sha256"},
    }
    return {"_type": oms.STATEMENT_TYPE, "predicateType": legacy.PREDICATE, "subject": [file | changes]}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "bad-json"),
        (b"[]", "bad-statement"),
        (b"{}", "bad-statement"),
        (json.dumps(statement("a")).encode()[:-1] + b', "_type": "x"}', "duplicate-key"),
        (b"[" + b"1," * 3_000_001 + b"1]", "limit-json"),
        (_edit(_type="https://in-toto.io/Statement/v0.1"), "statement-type"),
        (_edit(predicateType="https://slsa.dev/provenance/v1"), "predicate-unknown"),
        (_edit(predicateType="https://model_signing/signature/v1"), "predicate-unknown"),
        (_edit(predicateType="https://model_signing/signature/v1.0/"), "predicate-unknown"),
        (_edit(predicateType="https://model_signing/ShardDigests/v0.1"), "predicate-unknown"),
        (_edit(predicateType="https://model_signing/signature/v2.0"), "predicate-version"),
        (_edit(predicateType="https://model_signing/signature/v0.9"), "predicate-version"),
        (_edit(predicateType=1), "bad-statement"),
        (_edit(subject=[]), "no-subject"),
        (_edit(subject=statement("a")["subject"] * 2), "several-subjects"),
        (_edit(subject={}), "bad-statement"),
        (_edit(predicate=[]), "bad-statement"),
        (_subject(name=None), "bad-statement"),
        (_subject(digest={}), "bad-statement"),
        (_subject(digest={"sha256": "00" * 32}), "root-digest-wrong"),
        (_subject(digest={"sha512": "00" * 64}), "bad-statement"),
        (_subject(annotations=[]), "bad-statement"),
        (_subject(annotations={oms.DIGESTS: [1]}), "bad-annotation"),
        (_predicate(resources=[]), "no-resources"),
        (_predicate(resources={}), "bad-statement"),
        (_predicate(resources=["a"]), "bad-statement"),
        (_predicate(serialization=None), "bad-statement"),
        (statement("a", method="tensors"), "method-unknown"),
        (statement("a", hash_type="md5"), "algorithm-unknown"),
        (statement("a", hash_type="sha256-sharded-7"), "algorithm-unknown"),
        (statement("a", hash_type="blake3"), "algorithm-mixed"),
        (statement("a", allow_symlinks="false"), "bad-statement"),
        (statement("a", ignore_paths="a"), "bad-statement"),
        (statement("a", ignore_paths=[1]), "bad-statement"),
        (statement("a", ignore_paths=["/"]), "bad-ignore-path"),
        (statement("a", ignore_paths=["../up"]), "bad-ignore-path"),
        (statement("a", ignore_paths=["."]), "bad-ignore-path"),
        (_resource(algorithm="md5"), "algorithm-unknown"),
        (_resource(algorithm="blake3"), "algorithm-mixed"),
        (_resource(algorithm="sha256-sharded-1048576"), "algorithm-unknown"),
        (_resource(digest="00"), "bad-digest"),
        (_resource(digest="0" * 63 + "G"), "bad-digest"),
        (_resource(digest="AB" * 32), "bad-digest"),
        (_resource(digest=" " + "00" * 32), "bad-digest"),
        (_resource(digest="00" * 32 + "\n"), "bad-digest"),
        (_resource(digest=None), "bad-statement"),
        (_resource(name=7), "bad-statement"),
        (_resource(annotations={oms.TENSORS: []}), "bad-annotation"),
        (_resource(annotations={oms.TENSORS: {"t": ["F32", [True], "00" * 32]}}), "bad-annotation"),
        (_resource(annotations={oms.TENSORS: {"t": ["F32", [1], "00"]}}), "bad-digest"),
        (statement("a", "a"), "name-twice"),
        (statement(".", "a"), "name-not-canonical"),
        (statement("../a"), "name-escapes"),
        (statement("a/../../b"), "name-escapes"),
        (statement(".."), "name-escapes"),
        (statement("/etc/passwd"), "name-absolute"),
        (statement("a//b"), "name-not-canonical"),
        (statement("./a"), "name-not-canonical"),
        (statement("a/./b"), "name-not-canonical"),
        (statement("a/"), "name-not-canonical"),
        (statement(""), "name-not-canonical"),
        (statement("a\x00b"), "name-nul"),
        (statement("a\ud800"), "name-not-utf8"),
        (_shards("a:0:5", size=1.5), "bad-shards"),
        (_shards("a:0:5", size=0), "bad-shards"),
        (_shards("a:0:5", size=-1.0), "bad-shards"),
        (_shards("a:0:5", size=True), "bad-shards"),
        (_shards("a:0:5", size="5"), "bad-shards"),
        (_shards("a:0:5", size=None), "bad-shards"),
        (_shards("a:0:5", size=1e300), "bad-shards"),
        (_shards("a:0:5", size=4), "limit-shards"),
        (_shards("a"), "bad-shards"),
        (_shards("a:0"), "bad-shards"),
        (_shards("a:-1:5"), "bad-shards"),
        (_shards("a:0:0"), "bad-shards"),
        (_shards("a:1:5"), "bad-shards"),
        (_shards("a:0:1048577"), "bad-shards"),
        (_shards("a:0:1048576", "a:2097152:2097153"), "bad-shards"),
        (_shards("a:0:5", "a:1048576:1048577"), "bad-shards"),
        (_shards("a:0:5", "a:0:5"), "name-twice"),
        (_shards("a:0:5", "a:0:6"), "name-twice"),
        (_shards("../a:0:5"), "name-escapes"),
        (_shards(":0:5"), "bad-shards"),
        (_legacy(annotations={"actual_hash_algorithm": "file-blake2b"}), "algorithm-unknown"),
        (_legacy(digest={"sha512": "00"}), "bad-statement"),
        (_legacy(name="../a"), "name-escapes"),
        (_edit(predicateType=legacy.PREDICATE, subject=[]), "no-resources"),
        (_edit(predicateType=legacy.PREDICATE, subject=_legacy()["subject"] * 2), "name-twice"),
    ],
)
def test_each_refusal_has_its_code(value: Any, code: str) -> None:
    # Where a case changes resources, its root digest is made right again: the case must fail for its own reason.
    assert code_of(value) == code


PATHS: list[tuple[Any, ...]] = [
    (),
    ("subject",),
    ("subject", 0),
    ("subject", 0, "digest"),
    ("subject", 0, "annotations"),
    ("predicateType",),
    ("predicate",),
    ("predicate", "resources"),
    ("predicate", "resources", 0),
    ("predicate", "resources", 0, "name"),
    ("predicate", "resources", 0, "digest"),
    ("predicate", "resources", 0, "annotations"),
    ("predicate", "serialization"),
    ("predicate", "serialization", "shard_size"),
    ("predicate", "serialization", "ignore_paths"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=250, deadline=None)
@given(path=st.sampled_from(PATHS), put=JSON, method=st.sampled_from(["files", "shards"]))
def test_any_value_anywhere_is_read_or_refused(path: tuple[Any, ...], put: Any, method: str) -> None:
    """`parse_statement` returns or raises `InputError` or `LimitError`, whatever stands where."""
    value: Any = {"root": statement("a:0:5", method=method, shard_size=MIB)}
    place, steps = value, ("root", *path)
    for step in steps[:-1]:
        place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
    place[steps[-1]] = put
    assert _read_or_code(value["root"])


def _read_or_code(value: Any) -> Any:
    try:
        return parse(value).resources
    except (InputError, LimitError) as error:
        return error.code


NAMES = st.text(
    st.characters(exclude_characters="/\x00", exclude_categories=("Cs",)), min_size=1, max_size=6
).filter(lambda name: name not in (".", ".."))


@settings(max_examples=100, deadline=None)
@given(
    files=st.dictionaries(
        st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=8), min_size=1, max_size=6
    )
)
def test_any_names_round_trip(files: dict[str, bytes]) -> None:
    """A model compared with its own statement differs in nothing, whatever its files are called."""
    manifest = manifest_of(files)
    if all(oms.default_ignores.count(path.partition("/")[0]) for path in files):
        return  # nothing is left to sign: `empty-model`, tested above
    read = parse(oms.statement(manifest, name="m"))
    assert oms.compare(read, manifest) == Difference()
    assert read.paths.union(oms.uncovered(read, manifest)) == set(files)


# -------------------------------------------------------------------------------------------------------- comparing


def compared(before: dict[str, bytes], after: dict[str, bytes], **how: Any) -> Difference:
    return oms.compare(parse(oms.statement(manifest_of(before), name="m", **how)), manifest_of(after))


def test_every_kind_of_difference_is_named() -> None:
    difference = compared({"a": b"1", "b": b"2", "c": b"3"}, {"a": b"1", "b": b"X", "d": b"3"})
    assert difference == Difference(changed=("b",), added=("d",), removed=("c",))


def test_two_files_that_swapped_contents_both_changed() -> None:
    assert compared({"a": b"1", "b": b"2"}, {"a": b"2", "b": b"1"}).changed == ("a", "b")


def test_equal_root_digests_do_not_hide_a_renaming() -> None:
    """The root digest binds no names: these two models have the same one."""
    before, after = manifest_of({"a": b"1", "b": b"2"}), manifest_of({"a2": b"1", "b2": b"2"})
    one, other = (parse(oms.statement(m, name="m")) for m in (before, after))
    root = [oms.root_digest(r.digest for r in s.resources) for s in (one, other)]
    assert root[0] == root[1]
    assert oms.compare(one, after) == Difference(added=("a2", "b2"), removed=("a", "b"))


def test_a_listed_path_is_never_ignored() -> None:
    read = parse(statement(".gitattributes", "cache/x", ignore_paths=["cache"]))
    ignored = oms.ignorer(read)
    assert not ignored(".gitattributes")
    assert not ignored("cache/x")
    assert ignored("cache/y")
    assert ignored(".git/hooks/x")
    assert not ignored("sub/.git/x")
    assert not ignored(".gitattributes2")


def test_what_is_ignored_and_there_is_uncovered_and_not_extra() -> None:
    read = parse(statement("a", ignore_paths=["cache"]))
    manifest = manifest_of({"a": b"", ".git/config": b"", "cache/x": b"", ".gitignore": b"", "new": b""})
    assert oms.uncovered(read, manifest) == (".git/config", ".gitignore", "cache/x")
    assert oms.compare(read, manifest).added == ("new",)


def test_a_nameless_model_is_compared_with_the_one_file_there_is() -> None:
    read = parse(statement("."))
    assert oms.compare(read, manifest_of({"model.gguf": b""})).empty
    assert oms.compare(read, manifest_of({"model.gguf": b"x"})).changed == ("model.gguf",)
    assert oms.compare(read, manifest_of({"a": b"", "b": b""})) == Difference(
        added=("a", "b"), removed=(".",)
    )
    assert oms.compare(read, manifest_of({"d/a": b""})) == Difference(added=("d/a",), removed=(".",))
    assert oms.compare(read, Manifest(entries=())) == Difference(removed=(".",))


def test_a_one_file_model_under_another_name_differs() -> None:
    assert compared({"a.gguf": b"1"}, {"b.gguf": b"1"}, single=True) == Difference(
        added=("b.gguf",), removed=("a.gguf",)
    )


def test_a_missing_measurement_is_not_a_match() -> None:
    read = parse(statement("a"))
    blind = Manifest(entries=(Entry("a", 0, None, bytes(32)),))
    assert oms.unmeasured(read, blind) == ("a",)
    assert oms.compare(read, blind).changed == ("a",)


def sharded(tmp_path: Path, files: dict[str, bytes]) -> Manifest:
    return measured(write_model(tmp_path, files), shards=[("sha256", MIB)])


def test_shards_are_compared_by_range(tmp_path: Path) -> None:
    data = bytes(2 * MIB + 5)
    read = parse(oms.statement(sharded(tmp_path / "a", {"w": data}), name="m", shard_size=MIB))
    cases = {
        "same": (data, ()),
        "last byte": (data[:-1] + b"x", ("w",)),
        "middle": (data[:MIB] + b"x" + data[MIB + 1 :], ("w",)),
        "shorter by a shard": (data[: 2 * MIB], ("w",)),
        "longer": (data + b"y", ("w",)),
        "empty": (b"", ("w",)),
    }
    for name, (after, changed) in cases.items():
        assert oms.compare(read, sharded(tmp_path / name, {"w": after})).changed == changed, name


def test_a_file_that_is_one_shard_needs_no_shards_measured(tmp_path: Path) -> None:
    read = parse(oms.statement(sharded(tmp_path, {"w": b"abc"}), name="m", shard_size=MIB))
    assert oms.unmeasured(read, measured(tmp_path)) == ()
    assert oms.compare(read, measured(tmp_path)).empty


def test_unmeasured_shards_are_named(tmp_path: Path) -> None:
    read = parse(oms.statement(sharded(tmp_path, {"w": bytes(MIB + 1)}), name="m", shard_size=MIB))
    assert oms.unmeasured(read, measured(tmp_path)) == ("w",)
    assert oms.compare(read, measured(tmp_path)).changed == ("w",)


def test_empty_files_of_our_sharded_models_are_watched(tmp_path: Path) -> None:
    """Spec v1.0 lists no empty files with shards, so other tools see none of these three."""
    before = sharded(tmp_path / "0", {"w": b"1", "e": b""})
    read = parse(oms.statement(before, name="m", shard_size=MIB))
    assert oms.compare(read, sharded(tmp_path / "1", {"w": b"1", "e": b"", "__init__.py": b""})).added == (
        "__init__.py",
    )
    assert oms.compare(read, sharded(tmp_path / "2", {"w": b"1"})).removed == ("e",)
    assert oms.compare(read, sharded(tmp_path / "3", {"w": b"1", "e": b"x"})).changed == ("e",)


def test_empty_files_of_others_sharded_models_are_uncovered(tmp_path: Path) -> None:
    value = json.loads(oms.statement(sharded(tmp_path, {"w": b"1", "e": b""}), name="m", shard_size=MIB))
    del value["subject"][0]["annotations"]
    read, manifest = parse(value), measured(tmp_path)
    assert oms.compare(read, manifest).empty
    assert oms.uncovered(read, manifest) == ("e",)


def test_blake2b_is_compared_when_measured(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    value = statement("a", hash_type="blake2")
    value["predicate"]["resources"][0] |= {"algorithm": "blake2", "digest": hashlib.blake2b(b"x").hexdigest()}
    read = parse(with_root(value))
    assert oms.unmeasured(read, measured(tmp_path)) == ("a",)
    assert oms.compare(read, measured(tmp_path, blake2b=True)).empty
    (tmp_path / "a").write_bytes(b"y")
    assert oms.compare(read, measured(tmp_path, blake2b=True)).changed == ("a",)


def test_tensors_that_differ_are_named_across_files(tmp_path: Path) -> None:
    before = measured(
        write_model(tmp_path / "0", {"a.safetensors": weights(2), "b.safetensors": weights(1, fill=2)})
    )
    read = parse(oms.statement(before, name="m"))
    after = measured(
        write_model(
            tmp_path / "1", {"a.safetensors": weights(3, fill=1), "b.safetensors": weights(1, fill=2)}
        )
    )
    difference = oms.compare(read, after)
    assert difference.changed == ("a.safetensors",)
    assert difference.tensors_added == tuple(
        f"model.layers.2.{part}.weight" for part in ("attn.q", "mlp.down", "mlp.up")
    )
    assert difference.tensors_changed == difference.tensors_removed == ()


def test_a_tensor_that_only_moved_to_another_file_does_not_differ(tmp_path: Path) -> None:
    read = parse(oms.statement(measured(write_model(tmp_path / "0", {"a.safetensors": weights()})), name="m"))
    moved = measured(write_model(tmp_path / "1", {"b.safetensors": weights()}))
    difference = oms.compare(read, moved)
    assert (difference.added, difference.removed) == (("b.safetensors",), ("a.safetensors",))
    assert difference.tensors_changed == difference.tensors_added == difference.tensors_removed == ()


def test_tensors_are_not_told_without_a_record_or_a_measurement(tmp_path: Path) -> None:
    before = measured(write_model(tmp_path / "0", {"a.safetensors": weights()}))
    after = measured(write_model(tmp_path / "1", {"a.safetensors": weights(fill=2)}))
    read = parse(oms.statement(before, name="m"))
    assert oms.compare(read, after).tensors_changed
    for difference in (
        oms.compare(read, after, tensors=False),
        oms.compare(read, replace(after, tensors=None)),
        oms.compare(parse(oms.statement(replace(before, tensors=None), name="m")), after),
    ):
        assert difference == Difference(changed=("a.safetensors",))


def test_a_tensor_read_as_another_type_differs(tmp_path: Path) -> None:
    """The same bytes under another dtype or shape are another tensor."""
    one = TensorEntry("t", "F32", (2, 2), bytes(32), "a")
    read = parse(oms.statement(manifest_of({"a": b"1"}, tensors=(one,)), name="m"))
    for other in (one._replace(dtype="I32"), one._replace(shape=(4,))):
        assert oms.compare(read, manifest_of({"a": b"2"}, tensors=(other,))).tensors_changed == ("t",)


def test_what_to_expect_while_measuring() -> None:
    assert oms.expected(parse(statement("a"))) == {"a": hashlib.sha256(b"").digest()}
    assert oms.expected(parse(statement("."))) == {}
    assert oms.expected(parse(statement("a:0:5", method="shards", shard_size=MIB))) == {}
