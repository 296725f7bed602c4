"""The built-in rules, one file each. This list is explicit: greppable, ordered, no import magic.

Each line is (rule name, the `Reading.format` names it looks at; `folder` for whole-artifact rules). The engine
imports only the modules of formats it meets; a test holds these lines to the classes' own attributes.
"""

RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    # containers and anything
    # pickle family
    # tensor formats
    # side files
)
