"""Makes the 7z archives of this folder. Run by hand, where py7zr 1.1 is installed; the tests do not need it."""

from pathlib import Path

import py7zr
from py7zr import (
    FILTER_ARM,
    FILTER_BROTLI,
    FILTER_BZIP2,
    FILTER_COPY,
    FILTER_CRYPTO_AES256_SHA256,
    FILTER_DEFLATE,
    FILTER_DELTA,
    FILTER_LZMA,
    FILTER_LZMA2,
    FILTER_PPMD,
    FILTER_X86,
    FILTER_ZSTD,
)

HERE = Path(__file__).parent
TEXT = b"weights: none\n" * 40
OTHER = bytes(range(256)) * 40
CHAINS = {
    "copy": [{"id": FILTER_COPY}],
    "lzma": [{"id": FILTER_LZMA}],
    "lzma2": [{"id": FILTER_LZMA2, "preset": 6}],
    "deflate": [{"id": FILTER_DEFLATE}],
    "bzip2": [{"id": FILTER_BZIP2}],
    "x86-lzma2": [{"id": FILTER_X86}, {"id": FILTER_LZMA2, "preset": 6}],
    "x86-lzma": [{"id": FILTER_X86}, {"id": FILTER_LZMA}],
    "delta-lzma2": [{"id": FILTER_DELTA}, {"id": FILTER_LZMA2, "preset": 6}],
    "arm-lzma2": [{"id": FILTER_ARM}, {"id": FILTER_LZMA2, "preset": 6}],
    "ppmd": [{"id": FILTER_PPMD, "order": 6, "mem": 20}],
    "zstd": [{"id": FILTER_ZSTD, "level": 3}],
    "brotli": [{"id": FILTER_BROTLI, "level": 3}],
    "aes": [{"id": FILTER_LZMA2, "preset": 6}, {"id": FILTER_CRYPTO_AES256_SHA256}],
}


def main() -> None:
    for name, filters in CHAINS.items():
        secret = "weighbridge-sample" if name == "aes" else None
        with py7zr.SevenZipFile(HERE / f"{name}.7z", "w", filters=filters, password=secret) as archive:
            archive.writestr(TEXT, "model/notes.txt")
            archive.writestr(OTHER, "model/weights.txt")
            archive.writestr(b"", "model/empty.txt")
    with py7zr.SevenZipFile(HERE / "plain-header.7z", "w") as archive:
        archive.set_encoded_header_mode(False)
        archive.writestr(TEXT, "model/notes.txt")
    with py7zr.SevenZipFile(
        HERE / "encrypted-header.7z", "w", password="weighbridge-sample", header_encryption=True
    ) as archive:
        archive.writestr(TEXT, "model/notes.txt")


main()
