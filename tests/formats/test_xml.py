"""XML over expat, and the two kinds of model that are XML: PMML and OpenVINO's IR."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scan.samples import SAMPLES, scan
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.evidence import Outcome, worst
from weighbridge.core.source import MemorySource
from weighbridge.formats import candidates
from weighbridge.formats.xml import XmlReading, read

IR = (SAMPLES / "openvino-custom-layer" / "benign" / "tiny.xml").read_bytes()
XXE = '<!DOCTYPE PMML [<!ENTITY x SYSTEM "file:///tmp/weighbridge-sample">]><PMML>&x;</PMML>'
BOMB = '<!DOCTYPE l [<!ENTITY a "b"><!ENTITY c "&a;&a;"><!ENTITY d "&c;&c;">]><PMML>&d;</PMML>'


def xml(data: bytes | str, name: str = "x.xml") -> XmlReading:
    return read(MemorySource(data.encode() if isinstance(data, str) else data), Budget(), name)


def codes(data: bytes | str, name: str = "x.xml") -> list[str]:
    return [fact.code for fact in xml(data, name).facts]


def outcome(data: bytes | str, name: str = "x.xml", **beside: bytes) -> Outcome:
    files = {name: data.encode() if isinstance(data, str) else data, **beside}
    return worst([file.outcome for file in scan(files).files])


def declared(text: str, encoding: str) -> bytes:
    return f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16", "utf-32", "iso-8859-1", "windows-1252", "cp037", "utf-7"]
)
@pytest.mark.parametrize("text", [XXE, BOMB])
def test_entities_are_found_in_every_encoding(encoding: str, text: str) -> None:
    data = declared(text, encoding)
    if encoding == "utf-7":
        data = b'<?xml version="1.0" encoding="utf-7"?>' + text.encode("utf-7").replace(b"<", b"+ADw-")
    assert outcome(data, "x.pmml") is Outcome.FAIL
    assert "xml" in candidates(MemorySource(data), "model.bin" if encoding != "utf-7" else "model.pmml")


def test_no_entity_is_ever_unfolded() -> None:
    """Parsing stops behind the declarations: what follows is a gap, however small the document."""
    found = xml(BOMB)
    assert [gap.code for gap in found.gaps] == ["xml-entities"]
    assert found.root == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<!DOCTYPE PMML SYSTEM "http://example.com/x.dtd"><PMML/>', ["doctype-external"]),
        ('<!DOCTYPE PMML SYSTEM "../../x.dtd"><PMML/>', ["doctype-external"]),
        ('<!DOCTYPE PMML PUBLIC "PMML 2.0" "http://www.dmg.org/v2-0/pmml_v2_0.dtd"><PMML/>', ["doctype"]),
        ("<!DOCTYPE a [<!ELEMENT a EMPTY>]><a/>", ["doctype"]),
        ('<!DOCTYPE a [<!ENTITY % p SYSTEM "http://example.com/"> %p;]><a/>', ["doctype", "entity-external"]),
        (
            '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd"><plist/>',
            [],
        ),
        ('<?xml-stylesheet href="https://example.com/x.xsl"?><a/>', ["stylesheet-remote"]),
        ('<?xml-stylesheet href="x.css"?><a/>', ["stylesheet"]),
        ("<a><?php system('echo weighbridge-sample'); ?></a>", ["script"]),
        ("<a><script>1</script></a>", ["script"]),
        (
            '<a xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="/etc/hostname"/></a>',
            ["include-outside"],
        ),
        ('<a xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="b.xml"/></a>', ["include"]),
        ('<a xmlns:j="http://xml.apache.org/xalan/java/java.lang.Runtime"/>', ["extension-function"]),
        ('<beans><bean class="java.lang.ProcessBuilder"/></beans>', ["object"]),
        ('<Project><Target><Exec Command="echo"/></Target></Project>', ["object"]),
        ("<annotation><object><name>cat</name></object></annotation>", []),
    ],
)
def test_what_a_document_makes_its_reader_do(text: str, expected: list[str]) -> None:
    assert codes(text) == expected


def test_deep_documents_are_read_without_a_stack() -> None:
    assert codes("<a>" * 300 + "</a>" * 300) == ["deep-doubt"]
    assert codes("<a>" * 50_000 + "</a>" * 50_000) == ["deep-doubt", "deep"]
    assert codes("<a>" * 200 + "</a>" * 200) == []


def test_broken_documents_never_pass() -> None:
    assert outcome("<a><b></a>") is Outcome.UNKNOWN
    assert outcome(XXE + "<unfinished", "x.pmml") is Outcome.FAIL


def test_pictures_and_pages_are_left_to_their_readers() -> None:
    for text in ('<svg xmlns="http://www.w3.org/2000/svg"/>', "<html><body/></html>"):
        with pytest.raises(InputError) as refused:
            xml(f'<?xml version="1.0"?>{text}', "page.xhtml")
        assert refused.value.code == "not-this-format"


def test_pmml_functions_defined_in_the_document_are_known() -> None:
    text = '<PMML><Apply function="%s"/><DefineFunction name="mine"/></PMML>'
    assert codes(text % "mine") == codes(text % "stdNormalCDF") == []
    assert codes(text % "yours") == ["pmml-function"]
    assert codes(text % "com.example.Score") == ["pmml-class"]


def test_constants_of_an_openvino_model_are_tensors_of_its_bin() -> None:
    found = xml(IR, "folder/tiny.xml")
    assert [(t.name, t.dtype, t.shape, t.spans, t.external) for t in found.tensors or ()] == [
        ("Constant_3", "F32", (4, 3), ((0, 48),), "tiny.bin"),
        ("Constant_7", "F32", (3,), ((48, 12),), "tiny.bin"),
    ]
    assert (found.format, found.externals, found.reach, found.facts) == ("openvino", ("tiny.bin",), 60, ())


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('offset="48"', 'offset="18446744073709551600"', "openvino-bounds"),
        ('offset="48"', 'offset="-4"', "openvino-bounds"),
        ('size="12"', 'size="13"', "openvino-bounds"),
        ('type="ReLU" version="opset1"', 'type="Mine" version="extension"', "openvino-custom"),
        ('type="ReLU" version="opset1"', 'type="Newest" version="opset16"', "openvino-unknown"),
        ('type="ReLU" version="opset1"', 'type="ReLU" version="opset99"', "openvino-unknown"),
        ('auto_broadcast="numpy"', 'library="./sample.so"', "openvino-library"),
        ('auto_broadcast="numpy"', 'path="../../sample.bin"', "openvino-library"),
    ],
)
def test_what_an_openvino_model_gets_wrong(old: str, new: str, code: str) -> None:
    changed = IR.replace(old.encode(), new.encode())
    assert changed != IR
    assert codes(changed, "tiny.xml") == [code]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2600), st.binary(max_size=6)), min_size=1, max_size=4))
def test_damaged_documents_never_break_the_reader(changes: list[tuple[int, bytes]]) -> None:
    broken = bytearray(IR)
    for at, value in changes:
        broken[at : at + len(value)] = value
    with contextlib.suppress(InputError, LimitError):
        read(MemorySource(bytes(broken)), Budget(Limits(members=10_000, seconds=10)), "tiny.xml")
