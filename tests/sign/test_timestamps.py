"""Timestamps made by the real `openssl ts`, over a local HTTP service too, and checked offline."""

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pki import DAY, NOW, Issued, authority, leaf, usages

from weighbridge.core.errors import TrustError, UnavailableError, UsageError
from weighbridge.sign.anchor import TimestampAuthority
from weighbridge.sign.timestamps import MAX_TOKENS, check_timestamps, decode, request_timestamp

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

SIGNATURE = b"the bytes of some signature"
TODAY = datetime.now(UTC) - NOW
"""`openssl ts` stamps with the machine's clock, so these certificates are valid around it."""


@dataclass(frozen=True)
class Service:
    """A time-stamping authority: a folder with the configuration that `openssl ts` wants."""

    folder: Path
    root: Issued
    stamper: Issued

    @property
    def authority(self) -> TimestampAuthority:
        return TimestampAuthority(name="Acme TSA", roots_pem=self.root.pem)

    def reply(self, query: bytes, *more: str) -> bytes:
        (self.folder / "query").write_bytes(query)
        command = [
            "openssl",
            "ts",
            "-reply",
            "-config",
            "ts.cnf",
            "-queryfile",
            "query",
            "-out",
            "reply",
            *more,
        ]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        return (self.folder / "reply").read_bytes()

    def stamp(self, data: bytes = SIGNATURE, *more: str, ask: tuple[str, ...] = ("-cert",)) -> bytes:
        (self.folder / "data").write_bytes(data)
        command = ["openssl", "ts", "-query", "-data", "data", "-sha256", *ask]
        query = subprocess.run(command, cwd=self.folder, check=True, capture_output=True).stdout
        return self.reply(query, *more)


def make_service(
    folder: Path, *, under: Issued | None = None, root: Issued | None = None, **wrong: object
) -> Service:
    folder.mkdir(parents=True, exist_ok=True)
    root = root or authority("TSA Root", start=TODAY - 10 * DAY, end=TODAY + 10 * DAY)
    details: dict[str, object] = {
        "key_usage": usages("digital_signature"),
        "purposes": (),
        "extra": [(x509.ExtendedKeyUsage([Purpose.TIME_STAMPING]), True)],
        "start": TODAY - 5 * DAY,
        "end": TODAY + 5 * DAY,
    }
    stamper = leaf(under or root, "Stamper", **(details | wrong))  # type: ignore[arg-type]
    for name, content in {
        "tsa.pem": stamper.pem,
        "tsa.key": stamper.key_pem,
        "chain.pem": (under or root).pem,
        "serial": b"01\n",
        "ts.cnf": CONFIG.encode(),
    }.items():
        (folder / name).write_bytes(content)
    return Service(folder, root, stamper)


CONFIG = """
[tsa]
default_tsa = only
[only]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256, sha384, sha512
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return make_service(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="module")
def token(service: Service) -> bytes:
    return service.stamp()


def test_a_real_timestamp_gives_the_time(service: Service, token: bytes) -> None:
    time, why = check_timestamps([token], SIGNATURE, [service.authority])
    assert why == ""
    assert time is not None
    assert abs(time - datetime.now(UTC)) < timedelta(minutes=5)
    assert time.tzinfo is not None


def test_a_bare_token_is_as_good_as_a_response(service: Service, token: bytes) -> None:
    bare = decode(token).time_stamp_token()
    assert bare != token
    assert check_timestamps([bare], SIGNATURE, [service.authority]) == check_timestamps(
        [token], SIGNATURE, [service.authority]
    )


def test_over_other_bytes_it_says_nothing(service: Service, token: bytes) -> None:
    assert check_timestamps([token], b"another signature", [service.authority]) == (
        None,
        "the timestamp was made over something else than this signature",
    )


def test_only_a_trusted_authority_counts(service: Service, token: bytes, tmp_path: Path) -> None:
    other = make_service(tmp_path / "other").authority
    assert check_timestamps([token], SIGNATURE, [other]) == (
        None,
        'the timestamp does not come from "Acme TSA"',
    )
    assert check_timestamps([token], SIGNATURE, [other, service.authority])[0] is not None
    assert check_timestamps([token], SIGNATURE, []) == (None, "no time-stamping authority is trusted here")
    assert check_timestamps([], SIGNATURE, [service.authority]) == (None, "no timestamp")


def test_the_earliest_of_several_counts_and_a_bad_one_does_no_harm(service: Service, token: bytes) -> None:
    later = service.stamp()
    times = [check_timestamps([one], SIGNATURE, [service.authority])[0] for one in (token, later)]
    time, why = check_timestamps([b"junk", later, token], SIGNATURE, [service.authority])
    assert (time, why) == (min(one for one in times if one), "")


def test_an_intermediate_may_come_from_the_caller(tmp_path: Path) -> None:
    root = authority("TSA Root", start=TODAY - 10 * DAY, end=TODAY + 10 * DAY)
    middle = authority("TSA Middle", under=root, start=TODAY - 10 * DAY, end=TODAY + 10 * DAY)
    service = make_service(tmp_path, root=root, under=middle)
    stamped = service.stamp()
    assert check_timestamps([stamped], SIGNATURE, [service.authority])[0] is None
    both = TimestampAuthority(name="both", roots_pem=middle.pem + root.pem)
    assert check_timestamps([stamped], SIGNATURE, [both])[0] is not None
    with pytest.raises(TrustError, match="timestamp-no-root"):
        check_timestamps([stamped], SIGNATURE, [TimestampAuthority(name="half", roots_pem=middle.pem)])


def test_a_stamping_certificate_beside_the_root_is_pinned(service: Service, token: bytes) -> None:
    other = leaf(
        service.root,
        "Other",
        purposes=(),
        extra=[(x509.ExtendedKeyUsage([Purpose.TIME_STAMPING]), True)],
        start=TODAY - DAY,
        end=TODAY + DAY,
    )
    pinned = TimestampAuthority(name="pinned", roots_pem=service.root.pem + service.stamper.pem)
    assert check_timestamps([token], SIGNATURE, [pinned])[0] is not None
    mistaken = TimestampAuthority(name="mistaken", roots_pem=service.root.pem + other.pem)
    assert check_timestamps([token], SIGNATURE, [mistaken])[0] is None
    either = TimestampAuthority(name="either", roots_pem=service.root.pem + other.pem + service.stamper.pem)
    assert check_timestamps([token], SIGNATURE, [either])[0] is not None


def test_a_token_without_certificates_needs_the_pinned_one(service: Service) -> None:
    bare = service.stamp(ask=())
    assert check_timestamps([bare], SIGNATURE, [service.authority])[0] is None
    pinned = TimestampAuthority(name="pinned", roots_pem=service.root.pem + service.stamper.pem)
    assert check_timestamps([bare], SIGNATURE, [pinned])[0] is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": TODAY - 9 * DAY, "end": TODAY - DAY},
        {"start": TODAY + DAY, "end": TODAY + 9 * DAY},
        {"extra": [(x509.ExtendedKeyUsage([Purpose.TIME_STAMPING]), False)]},
        {"extra": [(x509.ExtendedKeyUsage([Purpose.CODE_SIGNING]), True)]},
    ],
)
def test_a_stamper_that_may_not_stamp_is_not_believed(tmp_path: Path, wrong: dict[str, object]) -> None:
    """`openssl ts` refuses some of these itself; then the stamp is made with another certificate of the same key."""
    good = make_service(tmp_path)
    bad = make_service(tmp_path / "bad", root=good.root, key=good.stamper.key, **wrong)
    try:
        stamped = bad.stamp()
    except subprocess.CalledProcessError:
        stamped = good.stamp(ask=())
    pinned = TimestampAuthority(name="pinned", roots_pem=good.root.pem + bad.stamper.pem)
    assert check_timestamps([stamped], SIGNATURE, [pinned])[0] is None
    assert check_timestamps([stamped], SIGNATURE, [good.authority])[0] is None


def test_certificates_out_of_order_have_a_clear_cause(tmp_path: Path) -> None:
    """`openssl ts -chain` writes the signer first; where DER wants the other order, the token is not DER."""
    for attempt in range(30):
        kind = "rsa-2048" if attempt % 2 else "ec-p256"
        root = authority("TSA Root", kind=kind, start=TODAY - 10 * DAY, end=TODAY + 10 * DAY)
        service = make_service(tmp_path / str(attempt), root=root)
        time, why = check_timestamps(
            [service.stamp(SIGNATURE, "-chain", "chain.pem")], SIGNATURE, [service.authority]
        )
        if time is None:
            assert why.startswith("the timestamp is not DER: its certificates are not sorted")
            return
    pytest.fail("openssl never wrote the certificates out of order")


def test_a_time_in_the_future_of_our_clock_is_not_believed(service: Service, token: bytes) -> None:
    time, why = check_timestamps([token], SIGNATURE, [service.authority], now=datetime.now(UTC) - DAY)
    assert time is None
    assert "future" in why
    assert check_timestamps([token], SIGNATURE, [service.authority], now=datetime.now(UTC))[0] is not None


@pytest.mark.parametrize(
    "junk", [b"", b"0", b"\x30\x00", b"\x30\x80\x06", b"\x00" * 70_000, b"\x30\x84\xff\xff\xff\xff"]
)
def test_junk_is_no_timestamp(service: Service, junk: bytes) -> None:
    time, why = check_timestamps([junk], SIGNATURE, [service.authority])
    assert time is None
    assert why.startswith("the timestamp cannot be read")


def test_too_many_tokens_are_not_looked_at(service: Service, token: bytes) -> None:
    assert check_timestamps([token] * (MAX_TOKENS + 1), SIGNATURE, [service.authority])[0] is None


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_changed_byte_never_raises_and_never_moves_the_time(
    service: Service, token: bytes, data: st.DataObject
) -> None:
    """Law: a token with one byte changed gives the same time (where the byte is not signed) or none."""
    offset = data.draw(st.integers(0, len(token) - 1))
    flipped = bytearray(token)
    flipped[offset] ^= data.draw(st.integers(1, 255))
    time, why = check_timestamps([bytes(flipped)], SIGNATURE, [service.authority])
    expected = check_timestamps([token], SIGNATURE, [service.authority])[0]
    assert time == expected or (time is None and why)


# -- over HTTP ------------------------------------------------------------------------------------------------------


@pytest.fixture
def serve(service: Service) -> Iterator[Callable[..., str]]:
    """Start a local service whose answer a test may bend."""
    servers: list[HTTPServer] = []

    def start(bend: Callable[[bytes], bytes] = lambda answer: answer, status: int = 200) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/timestamp-query"
                answer = bend(service.reply(query))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_requested_timestamp_verifies(service: Service, serve: Callable[..., str]) -> None:
    answer = request_timestamp(SIGNATURE, serve())
    assert check_timestamps([answer], SIGNATURE, [service.authority])[0] is not None


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_http_error_is_unavailable(serve: Callable[..., str], status: int) -> None:
    with pytest.raises(UnavailableError) as caught:
        request_timestamp(SIGNATURE, serve(status=status))
    assert caught.value.code == "timestamp-unavailable"
    assert str(status) in caught.value.message


def test_a_replayed_answer_is_refused_by_its_nonce(serve: Callable[..., str], token: bytes) -> None:
    with pytest.raises(UnavailableError, match="belongs to another request") as caught:
        request_timestamp(SIGNATURE, serve(lambda _: token))
    assert caught.value.code == "timestamp-refused"


@pytest.mark.parametrize("junk", [b"", b"<html>", b"\x30" * 100_000])
def test_an_answer_that_is_no_timestamp_is_refused(serve: Callable[..., str], junk: bytes) -> None:
    with pytest.raises(UnavailableError) as caught:
        request_timestamp(SIGNATURE, serve(lambda _: junk))
    assert caught.value.code == "timestamp-refused"


def test_a_rejection_is_told(serve: Callable[..., str]) -> None:
    rejected = bytes.fromhex("3005300302010 2".replace(" ", ""))  # PKIStatusInfo { status rejection(2) }
    with pytest.raises(UnavailableError, match="status 2"):
        request_timestamp(SIGNATURE, serve(lambda _: rejected))


def test_nobody_there_and_no_address() -> None:
    with pytest.raises(UnavailableError) as caught:
        request_timestamp(SIGNATURE, "http://127.0.0.1:1/")
    assert caught.value.code == "timestamp-unavailable"
    for url in ("file:///etc/passwd", "ftp://x", "tsa.example"):
        with pytest.raises(UsageError, match="timestamp-url"):
            request_timestamp(SIGNATURE, url)
