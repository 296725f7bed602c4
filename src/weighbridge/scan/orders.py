"""Orders to a model against whoever uses it, in the prompts that come with it.

Each shape is a whole order. Prompts that forbid such things, and guards that quote them, are let through: what stands
behind a "never", a "do not" or an opening quotation mark is no order.
"""

from weighbridge.core.pattern import late

_VERBS = r"(?:send|append|forward|leak|exfiltrate|transmit|upload|post|include|embed|attach|encode)"
_HELD = (
    r"(?:conversations?|chat\s+history|messages?|inputs?|passwords?|api[ _-]?keys?|tokens?|credentials?|secrets?|private\s+data"
    r"|environment\s+variables)"
)
_SHAPES = (
    (
        rf"\b{_VERBS}\s[^.!?\n]{{0,100}}?\b{_HELD}\b[^!?\n]{{0,100}}?(?:https?://|\b[\w.+-]{{1,60}}@[\w-]{{1,60}}\.\w)",
        "sends what the user says to an address",
    ),
    (
        r"!\[[^\]\n]{0,100}\]\(\s*https?://[^)\s]{1,200}[?=][^)\n]{0,100}?(?:[{<$%\[]|message|conversation|secret|token)",
        "has a picture's address carry what the user says",
    ),
    (
        r"\b(?:secretly|silently|covertly)\s+(?:add|include|insert|send|recommend|inject|append|introduce|upload|forward)\b",
        "has the model act behind the user's back",
    ),
    (
        (
            r"\b(?:insert|inject|introduce|plant|add)\s+(?:an?\s+|some\s+|subtle\s+|hidden\s+|security\s+){0,3}"
            r"(?:backdoors?|vulnerabilit\w{1,4}|malware|malicious\s+code)\b"
        ),
        "has the model write code that does harm",
    ),
    (
        (
            r"(?:\A|[.!?:\n]\s{0,9}|(?<=\"\"\"))(?:please\s+|you\s+must\s+)?(?:ignore|disregard|forget)\s+(?:all\s+|any\s+|your\s+|the\s+){0,2}"
            r"(?:previous|prior|earlier|safety|system)\s+(?:instructions?|guidelines?|rules|prompts?)\b"
        ),
        "takes back the orders that the model has",
    ),
    (
        r"\b(?:hide|conceal)\s+(?:this|it|that|these)\s+from\s+(?:the\s+)?users?\b",
        "has the model hide something from the user",
    ),
)
_COMPILED = tuple((late(f"(?i){shape}"), words) for shape, words in _SHAPES)
_NO_ORDER = late(
    r"(?i)(?:\b(?:never|not|don'?t|avoid|without|refuse|refusing|cannot|won'?t|asked|against|says?|attempts?|tries|asks?)\b[^.!?\n]{0,60}|(?<![\"'])[\"'\u201c`](?![\"'])[^\"'\n]{0,20})\Z"
)
MAX_TEXT = 1024**2
MAX_PLACES = 100


def against_user(text: str) -> tuple[str, int]:
    """(what the order does, where it begins); `("", 0)` where there is none."""
    text = text[:MAX_TEXT]
    for pattern, words in _COMPILED:
        for number, match in enumerate(pattern.finditer(text)):
            if number >= MAX_PLACES:
                break
            if not _NO_ORDER.search(text[max(0, match.start() - 80) : match.start() + 1]):
                return words, match.start()
    return "", 0
