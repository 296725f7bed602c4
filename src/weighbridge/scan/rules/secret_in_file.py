"""The rule `secret-in-file`."""

import base64
import binascii
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PLACEHOLDER = late(
    r"(?i)example|sample|dummy|placeholder|redacted|your|xxxx|0000|1234567890|abcdefgh|\.\.\.|\*\*\*"
)
_VOCABULARY = late(
    r"(^|/)(tokenizer\.json|vocab\.(json|txt)|merges\.txt|[^/]*\.index\.json)$",
    needs=("tokenizer.json", "vocab.", "merges.txt", ".index.json"),
)
MAX_FINDINGS = 50


class Kind(NamedTuple):
    """One kind of secret: how it begins, its pattern, and what tells a real one from a look-alike."""

    what: str
    beginnings: str
    """What a match begins with, one of several between blanks: a text without them costs only the search for these letters."""
    pattern: re.Pattern[str]
    check: Callable[[str], bool | None]
    """True: checksum or structure is right; False: it is no secret; None: only the format fits."""

    def matches(self, text: str) -> Iterator[re.Match[str]]:
        """Every match of the pattern, those of one beginning after those of another."""
        for beginning in self.beginnings.split():
            at, stop = text.find(beginning), 0
            while at >= 0:
                if at >= stop and (match := self.pattern.match(text, at)):
                    stop = match.end()
                    yield match
                at = text.find(beginning, at + 1)


def crc_base62(text: str) -> str:
    """The six characters that end GitHub's and npm's tokens: CRC-32 of what is before them, in base 62."""
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def _checksum(token: str) -> bool | None:
    """True where the checksum is right; None for a random token whose checksum is of another kind, or made up."""
    body = token.partition("_")[2]
    return crc_base62(body[:-6]) == body[-6:] or (None if _random(token) else False)


def _random(token: str) -> bool | None:
    """False for what a person typed as a placeholder."""
    if _PLACEHOLDER.search(token):
        return False
    body = re.sub(r"^[A-Za-z]{2,4}[-_]", "", token)
    entropy = -sum(n / len(body) * math.log2(n / len(body)) for n in Counter(body).values())
    return True if entropy > 3.5 else (None if entropy > 3.0 else False)


def _hexadecimal(token: str) -> bool:
    """Random hexadecimal digits, which have less in each letter."""
    return not (_PLACEHOLDER.search(token) or len(set(token[-32:])) < 8)


_LOCAL = late(r"(?i)@(localhost|127\.|0\.0\.0\.0|[\w-]+(:\d+)?(/|$))")


def _password(address: str) -> bool | None:
    """A password that nobody typed as an example, for a machine that is not the reader's own."""
    password = address.split("://", 1)[1].rpartition("@")[0].partition(":")[2]
    if _LOCAL.search(address) or re.search(r"(?i)pass|secret|changeme|admin|root|test|user", password):
        return False
    return _random(password)


def _maybe(token: str) -> bool | None:
    return None if _random(token) else False


def _pem(block: str) -> bool | None:
    """A key that decodes; an encrypted one is only a warning."""
    body = re.sub(r"-----[^-]+-----|\\[nr]|[\s\"',]", "", block.split("-----END")[0])
    body = re.sub(r"^(Proc-Type|DEK-Info):[^:]*", "", body)
    try:
        key = base64.b64decode(body[: len(body) // 4 * 4], validate=True)
    except (binascii.Error, ValueError):
        return None if len(body) > 200 and not _PLACEHOLDER.search(body[:60]) else False
    if len(key) < 32:
        return False
    return None if "ENCRYPTED" in block else key[:1] == b"\x30" or key.startswith(b"openssh-key-v1\0") or None


def _jwt(token: str) -> bool | None:
    head = token.partition(".")[0]
    try:
        value = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, binascii.Error):
        return False
    return None if isinstance(value, dict) and "alg" in value else False


_PEM = (
    r"-----BEGIN (?:RSA |EC |DSA |OPENSSH |ENCRYPTED |PGP )?PRIVATE KEY(?: BLOCK)?-----[^-]{60,20000}"
    r"-----END (?:RSA |EC |DSA |OPENSSH |ENCRYPTED |PGP )?PRIVATE KEY"
)
KINDS: tuple[Kind, ...] = (
    Kind("a GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", late(r"\bgh[pousr]_[A-Za-z0-9]{36}\b"), _checksum),
    Kind("a GitHub token", "github_pat_", late(r"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b"), _random),
    Kind("an npm token", "npm_", late(r"\bnpm_[A-Za-z0-9]{36}\b"), _checksum),
    Kind("a Hugging Face token", "hf_", late(r"\bhf_[A-Za-z0-9]{34}\b"), _random),
    Kind("a Hugging Face token", "api_org_", late(r"\bapi_org_[A-Za-z0-9]{34}\b"), _random),
    Kind("an AWS access key", "AKIA", late(r"\bAKIA[A-Z2-7]{16}\b"), _maybe),
    Kind(
        "an AWS secret key",
        "aws AWS Aws",
        late(r"(?i)aws_?(?:secret_?access_?key|secret_?key)[\"']?\s*[:=]\s*[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"),
        lambda text: _random(text[-40:]),
    ),
    Kind("a Slack token", "xoxa- xoxb- xoxp- xoxo- xoxs- xoxr-", late(r"\bxox[abposr]-(?:\d{8,14}-){1,3}[A-Za-z0-9]{20,64}\b"), _random),
    Kind("a Slack webhook", "hooks.slack.com", late(r"hooks\.slack\.com/services/T\w{8,12}/B\w{8,12}/\w{20,26}"), _random),
    Kind("an OpenAI key", "sk-", late(r"\bsk-[\w-]{16,100}T3BlbkFJ[\w-]{16,100}"), _random),
    Kind("an Anthropic key", "sk-ant-", late(r"\bsk-ant-(?:api|admin)\d\d-[\w-]{80,110}"), _random),
    Kind("a Google API key", "AIza", late(r"\bAIza[\w-]{35}(?![\w-])"), _random),
    Kind("a Stripe key", "sk_live_ rk_live_", late(r"\b[sr]k_live_[A-Za-z0-9]{24,99}\b"), _random),
    Kind("a PyPI token", "pypi-AgEI", late(r"\bpypi-AgEI[\w-]{60,250}"), _random),
    Kind("a GitLab token", "glpat-", late(r"\bglpat-[\w-]{20,52}"), _random),
    Kind("a Weights & Biases key", "WANDB_API_KEY", late(r"WANDB_API_KEY[\"']?\]?\s*[:=]\s*[\"']?[0-9a-f]{40}\b"), _random),
    Kind("an Azure storage key", "AccountKey=", late(r"AccountKey=[A-Za-z0-9+/]{86}=="), _random),
    Kind("a SendGrid key", "SG.", late(r"\bSG\.[\w-]{22}\.[\w-]{43}(?![\w-])"), _random),
    Kind("a Telegram bot's token", ":AA", late(r"(?<=\d{8}):AA[\w-]{33}(?![\w-])"), _random),
    Kind("a Discord webhook", "discord.com/api/webhooks/ discordapp.com/api/webhooks/", late(r"discord(?:app)?\.com/api/webhooks/\d{17,20}/[\w-]{60,72}(?![\w-])"), _random),
    Kind("a Twilio key", "SK", late(r"\bSK[0-9a-f]{32}\b"), _hexadecimal),
    Kind("a Groq key", "gsk_", late(r"\bgsk_[A-Za-z0-9]{52}\b"), _random),
    Kind("a Replicate token", "r8_", late(r"\br8_[A-Za-z0-9]{37}\b"), _random),
    Kind("a Databricks token", "dapi", late(r"\bdapi[0-9a-f]{32}(?:-\d)?\b"), _hexadecimal),
    Kind("a DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", late(r"\bdo[opr]_v1_[0-9a-f]{64}\b"), _hexadecimal),
    Kind("a key", "COHERE_ CO_API MISTRAL_ TOGETHER_ PINECONE_ FIREWORKS_ DEEPSEEK_ VOYAGE_ LANGCHAIN_ TAVILY_", late(r"\b(?:COHERE|CO|MISTRAL|TOGETHER|PINECONE|FIREWORKS|DEEPSEEK|VOYAGE|LANGCHAIN|TAVILY)_API_KEY[\"']?\]?\s*[:=]\s*[\"']?([\w-]{32,100})(?![\w-])"), lambda text: _random(re.split(r"[:=]\s*[\"']?", text)[-1])),
    Kind("a database's password", "postgres mysql mongodb redis amqp", late(r"\b(?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|redis|amqps?)(?:\+\w{1,20})?://[\w.-]{1,60}:([^\s:@/\"'<>{}$]{8,100})@[\w.-]{4,200}"), _password),
    Kind("a private key", "-----BEGIN", late(_PEM), _pem),
    Kind("a JSON web token", "eyJ", late(r"\beyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{20,1000}"), _jwt),
)  # fmt: skip


class SecretInFile(Rule):
    """
    ## What it does
    Looks in text, configs, code and notebooks for tokens and private keys of known formats. Checksums and structures are
    verified where a format has them, placeholders are left out, and only the first characters are ever printed.

    ## Why is this bad?
    Whoever downloads the model can use them. A token of the publisher lets others replace the model itself.

    ## Example
    ```
    HF_TOKEN=hf_… (34 letters and digits)
    ```

    ## Use instead
    Revoke the secret first, then remove it from the file and the history. Give tokens to programs through their
    environment.

    ## Known problems
    Passwords without a format are not found. A format without a checksum can fit by chance: those are
    undecided, or have less confidence. Vocabularies and indexes of shards are not searched, and only the first 16 MiB
    of a text are.
    """

    name = "secret-in-file"
    summary = "a file holds a token or private key"
    severity = Severity.ERROR
    formats = (
        "text",
        "yaml",
        "html",
        "xml",
        "pmml",
        "openvino",
        "requirements",
        "json",
        "jsonl",
        "python",
        "notebook",
        "script",
        "svg",
    )

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a secret, fifty at most."""
        text: str = getattr(reading, "text", "")
        if _VOCABULARY.search(place.path) or (place.parts and place.parts[-1].startswith("cell ")):
            return
        found = 0
        for kind in KINDS:
            for match in kind.matches(text):
                verdict = kind.check(match[0])
                if verdict is False:
                    continue
                found += 1
                if found > MAX_FINDINGS:
                    return
                yield self._finding(kind, match, text, place, sure=bool(verdict))

    def _finding(self, kind: Kind, match: re.Match[str], text: str, place: Place, *, sure: bool) -> Finding:
        line = text.count("\n", 0, match.start()) + 1
        shown = (
            ""
            if "key" in kind.what and match[0].startswith("-----")
            else f": {masked(match[match.lastindex or 0])}"
        )
        return self.finding(
            replace(place, line=line),
            f"holds {kind.what}{shown}",
            severity=None if sure else Severity.WARNING,
            doubt=not sure,
            confidence=Confidence.HIGH if kind.check in (_checksum, _pem) and sure else Confidence.MEDIUM,
            fix="revoke it, then remove it from the file and its history",
        )


def masked(secret: str) -> str:
    """The first characters, enough to recognise it and too few to use it."""
    return f"{secret[:6]}… ({len(secret)} characters)"
