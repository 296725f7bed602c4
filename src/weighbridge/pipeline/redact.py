"""Take secrets out of what is written down about a run: `‹redacted›` stands where one stood.

What looks like a secret is one: a value behind a telling name, a password in an address, the beginning of a known kind of
token, a private key, a text as mixed as only random ones are. Too much is taken rather than too little. What has none
of these marks (a short password given without a name) cannot be told from a word.
"""

import itertools
import re
from collections.abc import Iterator, Sequence

from weighbridge.core.pattern import late

REDACTED = "‹redacted›"
_NAME = late(
    r"(?i)(pass(wor[dt]|wd|phrase|code)?s?|pwd|pw|secrets?|tokens?|api[-_.]?keys?|keys?|access[-_.]?keys?|auth(orization)?"
    r"|credentials?|creds?|bearer|cookies?|sessions?(id)?|signature|sig|private[-_.]?keys?|pat|pin|otp|salt|sas|dsn"
    r"|webhooks?|conn(ection)?[-_.]?str(ing)?)\Z"
)
"""The last word, or the last two, of a name."""
_INNOCENT = late(
    r"(?i)((max|min|num|n|new|pad|eos|bos|sep|mask|unk|stop|vocab|special|per|added|image|prompt|completion|total)"
    r"[-_.]?([a-z]+[-_.])*tokens?(_id)?|tokens?[-_.](per|type|limit|count|len|length|dim)|"
    r"(primary|sort|group|foreign|text|label|image|prompt|answer|dict|json|column|split|field|query|num)[-_.](kv[-_.])?keys?"
    r"|n?_?kv_?keys?|seed|monkey)\Z"
)
"""Names of numbers and columns that end in such a word."""
_PUBLIC = late(
    r"(?i)(commit|revision|rev|sha(1|256|512)?|digest|hash|checksum|etag|fingerprint|gitcommit|blake3)\Z"
)
"""Names behind which mixed letters are no secret."""
_DIGEST = late(r"[a-z][a-z0-9-]{1,40}:[0-9a-f]{32,128}\Z")
_OPTION = late(r"(-{1,2}[A-Za-z][\w.-]*|\+{0,2}[A-Za-z_][\w./-]*)(=|:(?=\S))(.*)\Z", re.DOTALL)
_FLAG = late(r"-{1,2}[A-Za-z][\w.-]*\Z")
_NEXT = late(r"--[a-z]+(-[a-z]+)*\Z")
"""Another option, not the value of the one before."""
_USERINFO = late(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#@'\"]*(?:@[^\s/?#@'\"]*)*@")
_QUERY = late(
    r"(?i)([?&;#](?:[\w.-]*(?:token|key|secret|pass(?:word|wd)?|pwd|sig(?:nature)?|auth|credential|code|session)[\w.-]*|sv|se|st)=)"
    r"[^&#\s'\"]+"
)
_HEADER = late(
    r"(?i)\b((?:proxy-)?authorization|(?:x-)?[\w-]*(?:api-?key|token|secret|auth|password)|(?:set-)?cookie)(\s*:\s*)[^\r\n'\"]+"
)
_SCHEME = late(r"(?i)\b(bearer|basic|digest|token|apikey)(\s+)[A-Za-z0-9+/=_.~-]{6,}")
_PAIR = late(
    r"(?i)([\"']?)((?:[\w.-]*[\W_])?(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|api[-_.]?key|accountkey|sharedaccesskey"
    r"|access[-_.]?key(?:[-_.]?id)?|private[-_.]?key|secret[-_.]?key|credentials?|auth|key|client[-_.]?secret))\1(\s*[:=]+>?\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s,;&}\])\"']+)"
)
_PEM = late(
    r"-----BEGIN [A-Z0-9 ]*(?:PRIVATE KEY|SECRET)[A-Z ]*-----.*?(?:-----END [A-Z0-9 ]*-----|\Z)", re.DOTALL
)
_KNOWN = late(
    r"(?:gh[pousr]_|github_pat_|glpat-|gl(?:dt|rt|ptt|ft|soat|cbt|agent)-|npm_|pypi-|hf_|api_org_|sk-|sk_|pk_live_|rk_live_|rk_test_"
    r"|xox[abeposr]-|xapp-|AKIA|ASIA|AIza|ya29\.|GOCSPX-|SG\.|gsk_|r8_|dapi|dop_v1_|doo_v1_|dor_v1_|shpat_|shpss_|sq0atp-|sq0csp-"
    r"|eyJ|whsec_|pcsk_|pplx-|xai-|fw_|tvly-|nvapi-|wandb_v1_|dckr_pat_|hvs\.|hvb\.|s\.[A-Za-z0-9]{20}|vault:v1:|AGE-SECRET-KEY-"
    r"|lin_api_|ntn_|secret_|figd_|PMAK-|dp\.pt\.|atlasv1\.|ATATT3|ATCTT3|key-|SK(?=[0-9a-f]{32})|AC(?=[0-9a-f]{32}))[A-Za-z0-9_.+/=~-]{10,}"
)
_BOT = late(r"\b\d{8,10}:[A-Za-z0-9_-]{30,}")
_RUN = late(r"[A-Za-z0-9+/=_~.-]{16,}")
_PIECE = late(r"[A-Za-z0-9+]+")
_HEX = late(r"(?i)(?:[0-9a-f]{32,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\Z")
MAX_ARGUMENT = 8 * 1024
"""Characters of one argument; of a longer one only its length is kept."""
MAX_ARGUMENTS = 10_000


def command(words: Sequence[str]) -> tuple[str, ...]:
    """The command line without secrets: the value behind a telling option is one, whatever it looks like."""
    return tuple(_words(words[:MAX_ARGUMENTS]))


def _words(words: Sequence[str]) -> Iterator[str]:
    telling = public = False
    for word in words:
        if telling and not _NEXT.match(word):
            yield REDACTED
        else:
            yield text(word, public=public)
        flag = _FLAG.match(word) is not None
        name = word.lstrip("-")
        telling = flag and (is_telling(name) or word in ("-u", "-p", "-P", "-H"))
        public = flag and _PUBLIC.match(_last(name)) is not None


def text(said: str, *, public: bool = False) -> str:
    """One text without secrets; `public` where its name says that mixed letters in it are none."""
    said = said.encode("utf-8", "backslashreplace").decode()
    if len(said) > MAX_ARGUMENT:
        return f"‹{len(said)} characters›"
    option = _OPTION.match(said)
    if option and "://" not in option[0][: len(option[1]) + 4]:
        name, mark, value = option[1], option[2], option[3]
        if _DIGEST.match(said):
            return said
        if is_telling(name.lstrip("-+")):
            return f"{name}{mark}{REDACTED}"
        return f"{_inner(name)}{mark}{_inner(value, public=_PUBLIC.match(_last(name)) is not None)}"
    return _inner(said, public=public)


def _inner(said: str, *, public: bool = False) -> str:
    said = _PEM.sub(REDACTED, said)
    said = _USERINFO.sub(rf"\1{REDACTED}@", said)
    said = _QUERY.sub(rf"\1{REDACTED}", said)
    said = _HEADER.sub(rf"\1\2{REDACTED}", said)
    said = _SCHEME.sub(rf"\1\2{REDACTED}", said)
    said = _PAIR.sub(_pair, said)
    said = _BOT.sub(REDACTED, _KNOWN.sub(REDACTED, said))
    return said if public or _DIGEST.match(said) else _RUN.sub(_run, said)


def _pair(found: "re.Match[str]") -> str:
    quote, name, mark, value = found[1], found[2], found[3], found[4]
    if _INNOCENT.match(name.strip("\"' ")) or value.strip("\"'").replace(".", "").isdigit():
        return found[0]
    around = value[0] if value[:1] in "\"'" else ""
    return f"{quote}{name}{quote}{mark}{around}{REDACTED}{around}"


def _run(found: "re.Match[str]") -> str:
    """A run of letters that may be a token; a path is looked at name by name."""
    run = found[0]
    if "/" in run and _is_path(run):
        return "/".join(REDACTED if _is_random(part) else part for part in run.split("/"))
    return REDACTED if _is_random(run) else run


def _is_path(run: str) -> bool:
    """Names between the slashes read like names: a random text in base 64 has slashes too."""
    parts = [part for part in run.split("/") if part]
    return run.startswith(("/", "./", "../", "~/")) or sum(map(_is_mixed, parts)) * 2 <= len(parts)


def _is_random(run: str) -> bool:
    """As mixed as no person writes: hexadecimal, or letters and digits that change places all the time."""
    if len(run) < 16:
        return False
    if _HEX.match(run.strip("=.~_-")) and len(set(run)) > 6:
        return True
    pieces = _PIECE.findall(run)
    return any(len(piece) >= 16 and _is_mixed(piece) for piece in pieces) or (
        len(run) >= 24
        and any(len(piece) >= 10 and _is_mixed(piece) for piece in pieces)
        and _is_mixed("".join(pieces))
    )


def _is_mixed(piece: str) -> bool:
    """Whether the kind of letter changes at every fourth place or more; a capital at the head of a word does not count."""
    kinds = [_kind(letter) for letter in piece]
    changes = sum(a != b and (a, b) != ("A", "a") for a, b in itertools.pairwise(kinds))
    return len(piece) >= 8 and len(set(kinds)) > 1 and changes / len(piece) >= 0.22


def _kind(letter: str) -> str:
    return "0" if letter.isdigit() else "A" if letter.isupper() else "a"


def is_telling(name: str) -> bool:
    """Whether a name says that its value is a secret: `--hf-token`, `WANDB_API_KEY`, `db.password`."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    if _INNOCENT.match(plain):
        return False
    parts = [part for part in re.split(r"[-_./:\[\]]+", plain) if part]
    ends = {_last(plain), "_".join(parts[-2:]), "".join(parts[-2:])}
    if any(_NAME.match(end) for end in ends):
        return True
    strong = (
        "password",
        "passwd",
        "passphrase",
        "secret",
        "apikey",
        "credential",
        "authtoken",
        "accesstoken",
        "privatekey",
    )
    flat = "".join(parts).lower()
    return any(word in flat for word in strong)


def _last(name: str) -> str:
    return re.split(r"[-_./:\[\]]+", name.rstrip("]"))[-1] if name else ""


def is_secret(name: str, value: str) -> bool:
    """Whether a setting must not be written down: for its name, or for what it holds."""
    return is_telling(name) or text(value) != value or REDACTED in text(f"x {value}")
