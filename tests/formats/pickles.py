"""A small assembler of pickles: the programs that no pickler writes. Payloads are harmless names and texts."""

import struct

ECHO = "echo weighbridge-sample"


def proto(version: int = 4) -> bytes:
    return b"\x80" + bytes([version])


def text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def short(value: str) -> bytes:
    data = value.encode()
    return b"\x8c" + bytes([len(data)]) + data


def data(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def name(module: str, qualname: str) -> bytes:
    return b"c" + module.encode() + b"\n" + qualname.encode() + b"\n"


def stack_name(module: str, qualname: str) -> bytes:
    return short(module) + short(qualname) + b"\x93"


def pack(*items: bytes) -> bytes:
    """A tuple of any length."""
    return b"(" + b"".join(items) + b"t"


def call(function: bytes, *args: bytes) -> bytes:
    return function + pack(*args) + b"R"


def new(cls: bytes, *args: bytes) -> bytes:
    return cls + pack(*args) + b"\x81"


def dictionary(*items: bytes) -> bytes:
    return b"}(" + b"".join(items) + b"u"


def system(argument: str = ECHO) -> bytes:
    """The classic payload: a shell command, harmless."""
    return call(name("posix", "system"), text(argument))


def frame(body: bytes, length: int | None = None) -> bytes:
    return b"\x95" + struct.pack("<Q", len(body) if length is None else length) + body
