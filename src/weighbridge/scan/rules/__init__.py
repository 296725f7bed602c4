"""The built-in rules, one file each. This list is explicit: greppable, ordered, no import magic.

Each line is (rule name, the `Reading.format` names it looks at; `folder` for whole-artifact rules). The engine
imports only the modules of formats it meets; a test holds these lines to the classes' own attributes.
"""

RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    # containers and anything
    # pickle family
    # tensor formats
    # side files
    ("config-remote-code", ("json", "folder")),
    ("remote-code-elsewhere", ("json",)),
    ("config-names-code", ("json", "yaml")),
    ("config-yaml-tag", ("yaml",)),
    ("json-duplicate-key", ("json", "jsonl", "notebook")),
    ("python-import-time-danger", ("python", "folder")),
    ("python-dangerous-call", ("python", "folder")),
    ("python-payload", ("python",)),
    ("python-unproved", ("python", "folder")),
    ("notebook-magic", ("notebook",)),
    ("notebook-active-output", ("notebook",)),
    (
        "secret-in-file",
        ("text", "yaml", "html", "requirements", "json", "jsonl", "python", "notebook", "script", "svg"),
    ),
    ("requirements-url", ("requirements",)),
    ("index-traversal", ("json",)),
    ("index-missing-shard", ("folder",)),
    ("lfs-pointer", ("lfs-pointer",)),
    ("executable-file", ("elf", "pe", "mach-o", "java-class", "wasm", "pyc", "script")),
    ("document-script", ("html", "svg")),
    ("image-trailing-data", ("png", "jpeg", "gif", "webp")),
    ("file-disguised", ("*",)),
    ("file-empty", ("empty",)),
    ("file-bidi-text", ("json", "yaml", "requirements")),
    ("name-hidden", ("folder",)),
    ("name-collision", ("folder",)),
    ("link-outside", ("folder",)),
)
