"""GGUF: llama.cpp, Ollama and what renders its templates. Sizes that overflow, counts without end, and Jinja as a program."""

import json
import struct

from tests.scan.published.row import Bypass, Cases, config, either, files, sample, zipped
from tests.tensorfiles import Gguf
from weighbridge.core.evidence import Outcome

MALFORMED, ESCAPE = "gguf-malformed", "template-sandbox-escape"
F32, Q4_K, I8 = 0, 12, 24
TEXT, ARRAY = 8, 9


def row(
    id_: str,
    also: str,
    product: str,
    affected: str,
    what: str,
    cases: Cases,
    rule: str = MALFORMED,
    *,
    outcome: Outcome = Outcome.FAIL,
    why: str = "",
) -> Bypass:
    return Bypass(
        id=id_,
        also=(also,) if also else (),
        product=product,
        affected=affected,
        what=what,
        rule=rule,
        cases=cases,
        outcome=outcome,
        why=why,
    )


def gguf(*made: Gguf) -> Cases:
    return files("model.gguf", *(one.bytes() for one in made))


def templates(*texts: str) -> Cases:
    """Each template in a GGUF file, and in the two files that transformers keeps it in."""
    return either(
        gguf(*(Gguf().text("tokenizer.chat_template", text) for text in texts)),
        files("chat_template.jinja", *map(str.encode, texts)),
        config("tokenizer_config.json", *({"chat_template": text} for text in texts)),
    )


def counted(*, pairs: int | None = None, tensors: int | None = None) -> Gguf:
    made = Gguf().text("general.architecture", "llama")
    made.pair_count, made.tensor_count = pairs, tensors
    return made


def tensor(*dims: int, kind: int = F32, offset: int = 0) -> Gguf:
    return Gguf().info("w", dims, kind, offset)


def array(kind: int, count: int, data: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, count) + data


def architecture(key: str, value: int) -> Gguf:
    return Gguf().text("general.architecture", "llama").pair(f"llama.{key}", 4, struct.pack("<I", value))


ESCAPES = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ lipsum.__globals__['os'].popen('echo weighbridge-sample') }}",
    "{{ x['__cla' ~ 'ss__'] }}",
    "{{ x | attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ x | attr(y) }}",
    "{{ xs | map(attribute='__class__') | list }}",
    "{{ '{0.__class__}'.format(x) }}",
    "{{ x.gi_frame.f_globals }}",
    "{{ x.mro() }}",
    "{{ self.x }}",
    "{{ (lipsum | string)[18] }}",
    "{{ x.os.system('echo weighbridge-sample') }}",
    "{{ __import__('os') }}",
    "{{ x[y ~ 'a'].popen('echo weighbridge-sample') }}",
)
HUGE = 2**63
HEAVY = "{% for i in range(10**9) %}{% for j in range(10**9) %}x{% endfor %}{% endfor %}"

ROWS = (
    row(
        "CVE-2024-34359",
        "GHSA-56xg-wfcc-g829",
        "llama-cpp-python",
        "<0.2.72",
        "the chat template of a model is rendered without a sandbox",
        templates(*ESCAPES),
        ESCAPE,
    ),
    row(
        "CVE-2026-5760",
        "",
        "sglang",
        "not repaired when it was looked up",
        "the chat template of a model is rendered without a sandbox",
        templates(*ESCAPES[:4]),
        ESCAPE,
    ),
    row(
        "CVE-2024-56326",
        "",
        "jinja2",
        "<3.1.5",
        "a reference to `str.format` goes around the sandbox",
        templates(
            "{% set f = '{0.__class__}'.format %}{{ f(x) }}",
            "{{ '{0.__init__.__globals__}'.format(x) }}",
        ),
        ESCAPE,
    ),
    row(
        "CVE-2025-27516",
        "",
        "jinja2",
        "<3.1.6",
        "the filter `attr` gives a `str.format` that the sandbox does not see",
        templates(
            "{{ ('{0.__class__}' | attr('format'))(x) }}", "{{ ('{0.__class__}' | attr('for' ~ 'mat'))(x) }}"
        ),
        ESCAPE,
    ),
    row(
        "CVE-2025-61620",
        "GHSA-6fvq-23cw-5628",
        "vllm",
        ">=0.5.1,<0.11",
        "a template that never ends, or fills the memory",
        templates(HEAVY),
        "template-heavy",
    ),
    row(
        "CVE-2024-21802",
        "",
        "llama.cpp",
        "commit 18c2e17",
        "more dimensions than there is room for",
        gguf(tensor(*[1] * 8), tensor(*[2] * 255)),
    ),
    row(
        "CVE-2024-21825",
        "",
        "llama.cpp",
        "commit 18c2e17",
        "an array of texts whose count overflows the size of its memory",
        gguf(
            Gguf().pair("tokenizer.ggml.tokens", ARRAY, array(TEXT, 2**60)),
            Gguf().pair("x", ARRAY, array(TEXT, 2**64 - 1)),
        ),
    ),
    row(
        "CVE-2024-21836",
        "",
        "llama.cpp",
        "commit 18c2e17",
        "a count of tensors that overflows the size of its memory",
        gguf(counted(tensors=0x1D1D1D1D1D1D1D1D), counted(tensors=2**64 - 1)),
    ),
    row(
        "CVE-2024-23496",
        "",
        "llama.cpp",
        "commit 18c2e17",
        "a text whose length overflows the size of its memory",
        gguf(
            Gguf().pair("x", TEXT, struct.pack("<Q", 2**64 - 1) + b"abc"),
            Gguf().pair("x", TEXT, struct.pack("<Q", HUGE) + b"abc"),
        ),
    ),
    row(
        "CVE-2024-23605",
        "",
        "llama.cpp",
        "commit 18c2e17",
        "a count of keys that overflows the size of its memory",
        gguf(counted(pairs=2**60), counted(pairs=2**64 - 1)),
    ),
    row(
        "CVE-2024-32878",
        "GHSA-p5mv-gjc5-mwqv",
        "llama.cpp",
        "<b2740",
        "an entry that cannot be read leaves a pointer unset, which is then freed",
        files(
            "model.gguf",
            Gguf().pair("x", ARRAY, array(99, 1)).bytes(),
            Gguf().pair("x", 99, b"").bytes(),
        ),
    ),
    row(
        "CVE-2025-49847",
        "",
        "llama.cpp",
        "<b5662",
        "a token that is longer than an `int` counts",
        gguf(
            Gguf().pair(
                "tokenizer.ggml.tokens", ARRAY, array(TEXT, 1, struct.pack("<Q", 2**31 + 1) + b"token")
            ),
            Gguf().pair(
                "tokenizer.ggml.tokens", ARRAY, array(TEXT, 1, struct.pack("<Q", 2**32 + 3) + b"tok")
            ),
        ),
    ),
    row(
        "CVE-2025-53630",
        "GHSA-vgg9-87g3-85w8",
        "llama.cpp",
        "<b5854",
        "sizes of tensors are added up until they overflow",
        either(
            gguf(
                *(
                    tensor(*dims)
                    for dims in ([2**32, 2**32], [2**63], [2**64 - 1], [2**31] * 4, [2**62, 2, 1])
                ),
                tensor(2**61).info("v", [2**61], F32, 32).info("u", [2**61], F32, 64),
            ),
            sample("gguf-malformed", "gguf-malformed-overflow"),
        ),
    ),
    row(
        "CVE-2026-27940",
        "GHSA-3p4r-fq3f-q74v",
        "llama.cpp",
        "<b8146",
        "the same in the sum of all tensors: the first repair looked at each addition alone",
        gguf(
            tensor(2**61 - 8).info("v", [2**61 - 8], F32, 2**63 - 32),
            tensor(2**60).info("v", [2**60], F32, 2**62).info("u", [2**60], F32, 2**63),
        ),
    ),
    row(
        "CVE-2026-33298",
        "GHSA-96jg-mvhq-q7q7",
        "llama.cpp",
        "<b7824",
        "the size of a tensor is computed too small",
        gguf(
            Gguf().tensor("w", [255], Q4_K, bytes(288)),
            Gguf().tensor("w", [], Q4_K, bytes(144)),
            tensor(2**62, 4),
        ),
    ),
    row(
        "CVE-2024-12055",
        "GHSA-89qx-m49c-8crf",
        "ollama",
        "<=0.3.14",
        "a length in a file makes the reader go behind its memory",
        gguf(
            Gguf().pair("general.alignment", 4, struct.pack("<I", 0)).info("w", [4], I8, 0),
            Gguf().pair("x", TEXT, struct.pack("<Q", HUGE + 5)),
        ),
    ),
    row(
        "CVE-2024-39720",
        "",
        "ollama",
        "<0.1.46",
        "a file of nothing but the four letters of its magic",
        files("model.gguf", b"GGUF\x03\0\0\0", b"GGUF\x03\0\0\0\0\0"),
        "truncated",
        outcome=Outcome.UNKNOWN,
        why="a download that broke off looks the same",
    ),
    row(
        "CVE-2024-8063",
        "GHSA-2xf2-gjm6-g2c6",
        "ollama",
        "<=0.3.3",
        "a model of no blocks divides by their number",
        gguf(architecture("block_count", 0)),
    ),
    row(
        "CVE-2025-0312",
        "GHSA-p2wh-w96x-w232",
        "ollama",
        "<=0.3.14",
        "a tensor with a dimension of nothing is a null pointer later",
        gguf(tensor(0, 256)),
    ),
    row(
        "CVE-2025-0315",
        "GHSA-fccc-8m69-8r78",
        "ollama",
        "<=0.3.14",
        "memory is taken for whatever a file claims",
        gguf(tensor(2**40), Gguf().pair("x", ARRAY, array(4, 2**40)), counted(tensors=2**40)),
    ),
    row(
        "CVE-2025-0317",
        "GHSA-9gcr-28rp-cc24",
        "ollama",
        "<=0.3.14",
        "an alignment of nothing divides by it",
        gguf(Gguf().pair("general.alignment", 4, struct.pack("<I", 0)).info("w", [4], I8, 0)),
    ),
    row(
        "CVE-2026-7482",
        "GHSA-x8qc-fggm-mpqg",
        "ollama",
        "<0.17.1",
        "a tensor that is declared longer than the file gives away what lies behind it in memory",
        gguf(tensor(1 << 20), tensor(4, kind=I8, offset=2**63), tensor(64, offset=2**20)),
    ),
    row(
        "CVE-2024-37032",
        "",
        "ollama",
        "<0.1.34",
        "a digest in a manifest is a path",
        either(
            sample("ollama-manifest-path"),
            config(
                "manifest.json",
                {"schemaVersion": 2, "layers": [{"digest": "../../../etc/weighbridge-sample", "size": 1}]},
            ),
        ),
        "ollama-manifest-path",
    ),
    row(
        "CVE-2024-45436",
        "GHSA-846m-99qv-67mg",
        "ollama",
        "<0.1.47",
        "an archive of a model is unpacked outside of its folder",
        files(
            "model.zip",
            zipped({"config.json": json.dumps({}).encode(), "../../notes.txt": b"weighbridge-sample"}),
        ),
        "archive-path-escape",
    ),
)
