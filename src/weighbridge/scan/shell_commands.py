"""What a shell command does that nobody publishes a model for; "" for everything that people write in scripts.

Looks at the command's text alone: fetching and running at once, connecting a shell, wiping, staying, reading keys,
hiding what is run. Installing packages, downloading files and moving them about are what build scripts do.
"""

import re

from weighbridge.core.pattern import late

_SENT = r"(curl|wget|nc|ncat|scp|ftp|Invoke-WebRequest|iwr)\b"
_SHAPES: tuple[tuple[str, str], ...] = (
    (r"(curl|wget|fetch|lwp-request)\b[^\n;]{0,400}\|\s*(sudo\s+(-\S+\s+)*)?(env\s+\S+\s+)*(\S*/)?(ba|z|da|k|c|fi)?sh\b", "fetches a script and runs it"),
    (r"(curl|wget)\b[^\n;]{0,400}\|\s*(sudo\s+)?(\S*/)?(python\d?|perl|ruby|node|php)\b", "fetches a program and runs it"),
    (r"(ba|z|da)?sh\s+(-\w+\s+)*<\(\s*(curl|wget)\b|(ba|z|da)?sh\s+-c\s+[\"']?[$`]\(?\s*(curl|wget)\b|eval\s+[\"']?[$`]\(?\s*(curl|wget)\b", "fetches a script and runs it"),
    (r"(curl|wget)\b[^\n]{0,300}(-O|-o|--output|--output-document|>)[ =]*(?P<file>[\w./$~{}-]+)[\s\S]{0,200}?(&&|;|\n)\s*(sudo\s+)?(chmod\s+\S+\s+(\./)?(?P=file)\s*(&&|;|\n)\s*(sudo\s+)?|(ba|z)?sh\s+|source\s+|\.\s+)(\./)?(?P=file)", "fetches a program and runs it"),
    (r"(curl|wget)\b[^\n]{0,300}/(?P<name>[\w-]+(\.\w+)*)[\"']?[ \t]*(&&|;|\n)[\s\S]{0,120}?(\b(ba|z)?sh\s+|\./)(\./)?(?P=name)\b", "fetches a program and runs it"),
    (r"(?i)\b(iex|invoke-expression)\b[^\n]{0,200}(downloadstring|iwr|invoke-webrequest|net\.webclient|frombase64)", "fetches a script and runs it"),
    (r"(?i)(downloadstring|invoke-webrequest|iwr|net\.webclient)[^\n]{0,300}\|\s*(iex|invoke-expression)\b", "fetches a script and runs it"),
    (r"(?i)\b(powershell|pwsh)(\.exe)?\b[^\n]{0,120}\s-(e|ec|enc|encodedcommand)\s+[A-Za-z0-9+/=]{16,}", "runs an encoded script"),
    (r"(?i)\bmshta\b[^\n]{0,60}(https?:|javascript:|vbscript:)|\bregsvr32\b[^\n]{0,80}/i:http|\bcertutil\b[^\n]{0,80}-urlcache|\bbitsadmin\b[^\n]{0,80}/transfer|\brundll32\b[^\n]{0,60}javascript:", "fetches a program and runs it"),
    (r"/dev/(tcp|udp)/[\w.$-]+/\d+", "connects a shell to another machine"),
    (r"\bn(c|cat|etcat)\b[^\n|;]{0,120}\s(-\w*[ec]\w*\s+\S*(sh|cmd)|--(sh-)?exec)", "connects a shell to another machine"),
    (r"\bmkfifo\b[^\n]{0,200}\b(nc|ncat|telnet|openssl)\b|\bsocat\b[^\n]{0,200}\b(exec|system):", "connects a shell to another machine"),
    (r"\b(ba|z|k)?sh\s+-i\b[^\n]{0,60}(>&|0>&1|/dev/tcp)", "connects a shell to another machine"),
    (r"base64\s+(-d|-D|--decode)\b[^\n]{0,200}\|\s*(sudo\s+)?(\S*/)?((ba|z|da)?sh|python\d?|perl)\b", "decodes a script and runs it"),
    (r"(xxd\s+-r|openssl\s+(enc|base64)\b|\brev|tr\s+\S+\s+\S+|gunzip|gzip\s+-dc?|printf\s+\S+)[^\n]{0,200}\|\s*(sudo\s+)?(\S*/)?(ba|z|da)?sh\b", "decodes a script and runs it"),
    (r"\beval\b[^\n]{0,60}base64", "decodes a script and runs it"),
    (r"\brm\s+(-\w+\s+)*-\w*[rR]\w*\s+(-\w+\s+)*(--no-preserve-root\s+)?[\"']?(/|~/?|\$HOME/?|/\*)[\"']?(\s|\*|$|;|&)", "wipes the disk"),
    (r"\bdd\b[^\n]{0,100}\bof=/dev/(sd|nvme|hd|vd)|\bmkfs(\.\w+)?\s+\S*/dev/|>\s*/dev/(sd|nvme|hd|vd)\w", "wipes the disk"),
    (r":\s*\(\s*\)\s*\{[^}]*:\s*\|\s*:", "starts processes without end"),
    (r"(>>?|tee\s+(-a\s+)?)\s*[\"']?(/etc/(passwd|shadow|sudoers|cron|profile|ld\.so\.preload|rc\.local|systemd)|(~|\$HOME|/root|/home/\w+)/\.(ssh/authorized_keys|bashrc|zshrc|profile|bash_profile|config/autostart))", "stays on the machine"),
    (r"\bcrontab\s+(-\s*$|-(?!l\b)|/|\S+\.(txt|cron))|\|\s*crontab\b|(?i:\bschtasks\b[^\n]{0,60}/create)|\breg\s+add\b[^\n]{0,120}\\Run\b", "stays on the machine"),
    (r"(cat|cp|tar|zip|base64|curl|scp)\b[^\n]{0,200}(\.ssh/id_|\.aws/credentials|/etc/shadow|\.netrc|\.git-credentials|\.kube/config|\.gnupg)", "reads keys of whoever runs it"),
    (_SENT + r"[^\n]{0,300}([$`]\(?\s*(env|printenv|cat\s|whoami|hostname|id\b)|\$\{?AWS_SECRET\w*)", "sends what it finds to another machine"),
    (r"\b(env|printenv|set|cat\s+/etc/passwd|history)\s*\|\s*[^\n]{0,60}" + _SENT, "sends what it finds to another machine"),
    (r"\b(xmrig|minerd|cpuminer|stratum\+tcp)\b", "mines coins"),
    (r"\bLD_PRELOAD=\S*\.so\b[^\n]{0,20}/(tmp|dev/shm)|\bchmod\s+(\S*\+s|[2467]7\d\d)\s", "changes what other programs may do"),
    (r"\bpython\d?\s+-c\s+[\"'][^\n]{0,400}(exec\(|__import__|socket\.|base64\.b64decode|os\.system|subprocess)", "runs hidden Python code"),
    (r"\bperl\s+-e\s+[^\n]{0,200}(socket|exec|system)|\bruby\s+-r?socket|\bphp\s+-r\s+[^\n]{0,100}fsockopen", "connects a shell to another machine"),
)  # fmt: skip
_COMPILED = tuple((late(pattern, re.MULTILINE), what) for pattern, what in _SHAPES)
_COMMENT = late(r"^[ \t]*#(?!!).*$", re.MULTILINE)
_ENOUGH = late(
    r"curl|wget|fetch|lwp|iex|invoke|downloadstring|webclient|powershell|pwsh|mshta|regsvr32|certutil|bitsadmin|rundll32|/dev/|\bnc\b"
    r"|ncat|netcat|mkfifo|socat|base64|xxd|openssl|eval|\brm\s|\bdd\b|mkfs|\(\s*\)\s*\{|/etc/|authorized_keys|rc\b|autostart|profile|crontab"
    r"|schtasks|reg\s+add|\.ssh|\.aws|\.netrc|\.git-cred|\.kube|\.gnupg|env\b|history|xmrig|minerd|stratum|LD_PRELOAD|chmod|python|perl|ruby|php|sh\b",
    re.IGNORECASE,
)
USUAL = late(
    r"\s*(sudo\s+)?(\w+=\S*\s+)*(pip3?|python3?|uv|conda|mamba|apt|apt-get|brew|npm|npx|yarn|git|git-lfs|nvidia-smi|ls|cd|pwd|mkdir|cp|mv|rm|ln|unzip|zip|tar|gunzip"
    r"|wget|curl|aria2c|cat|head|tail|wc|du|df|free|top|lscpu|uname|which|whoami|date|echo|printf|tree|touch|chmod|sed|awk|grep|find|sort|export|source|set|huggingface-cli|hf"
    r"|gdown|kaggle|gsutil|gcloud|aws|az|jupyter|make|cmake|gcc|g\+\+|nvcc|ffmpeg|accelerate|torchrun|deepspeed|streamlit|gradio|wandb|ollama|docker|kill|ps|sleep|time|(\./)?[\w./-]+\.(sh|py)"
    r"|bash|sh|7z|rsync|nohup|file|md5sum|sha256sum|tensorboard|pytest|mlflow|rar|unrar|seq|for|if|while|#|[{$]|\w+\s*=|autotrain|trl|llamafactory-cli|vllm|test|env|open|\[)(?![\w-])",
)
"""What people run in notebooks: installs, downloads, looks at files."""
ECHOES = late(r"\s*(echo|printf|touch|whoami|open|id)\b")
"""Usual behind an exclamation mark, and of no use in a call of `os.system`."""
MAX_COMMAND = 200_000


def harm(text: str) -> tuple[str, int]:
    """(what it does, where in the text it begins); `("", 0)` for nothing that is told."""
    joined = _COMMENT.sub(lambda found: " " * len(found[0]), text[:MAX_COMMAND]).replace("\\\n", "  ")
    if not _ENOUGH.search(joined):
        return "", 0
    for pattern, what in _COMPILED:
        if match := pattern.search(joined):
            return what, match.start()
    return "", 0
