"""The template reader: what it follows, computes and leaves unknown. Nothing here is ever rendered."""

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import MemorySource
from weighbridge.formats.hiddentext import hidden_in
from weighbridge.formats.template import TemplateReading, read, read_text


def reached(text: str, how: str = "") -> list[str]:
    return [fact.name for fact in read_text(text).reaches if how in ("", fact.how)]


def sizes(text: str) -> list[tuple[str, int]]:
    return [(fact.how, int(fact.name)) for fact in read_text(text).sizes]


@pytest.mark.parametrize(
    "text",
    [
        "{{ x.__class__ }}",
        "{{ x['__class__'] }}",
        '{{ x["\\x5f\\x5fclass\\x5f\\x5f"] }}',
        "{{ x['__cla' ~ 'ss__'] }}",
        "{{ x['__cla' + 'ss__'] }}",
        "{{ x['_' * 2 + 'class' + 2 * '_'] }}",
        "{{ x['%s%s' % ('__class', '__')] }}",
        "{{ x['%s%s' | format('__class', '__')] }}",
        "{{ x['{}{}'.format('__class', '__')] }}",
        "{{ x['{1}{0}'.format('ss__', '__cla')] }}",
        "{{ x[['__cla', 'ss__'] | join] }}",
        "{{ x['ss'.join(('__cla', '__'))] }}",
        "{{ x['__ssalc__' | reverse] }}",
        "{{ x['__ssalc__'[::-1]] }}",
        "{{ x['x__class__x'[1:-1]] }}",
        "{{ x['__CLASS__' | lower] }}",
        "{{ x['__CLASS__'.lower()] }}",
        "{{ x['..class..' | replace('.', '_')] }}",
        "{{ x['..class..'.replace('.', '_')] }}",
        "{{ x[' __class__ ' | trim] }}",
        "{{ x['a,__class__'.split(',')[1]] }}",
        "{{ x[['__class__'] | first] }}",
        "{{ x[{'__class__': 1} | first] }}",
        "{{ x[dict(__cla=1, ss__=2) | join] }}",
        "{% set a = '__cla' %}{% set b = 'ss__' %}{{ x[a + b] }}",
        "{% set ns = namespace(key='__class__') %}{{ x[ns.key] }}",
        "{% set a, b = 'x', '__class__' %}{{ x[b] }}",
        "{% set a = 'content' if y else '__class__' %}{{ x[a] }}",
        "{% set a = 'content' %}{% if y %}{% set a = '__class__' %}{% endif %}{{ x[a] }}",
        "{% for key in ['content', '__class__'] %}{{ x[key] }}{% endfor %}",
        "{% with key = '__class__' %}{{ x[key] }}{% endwith %}",
        "{{ x | attr('__class__') }}",
        "{{ x | attr('__cla' ~ 'ss__') }}",
        "{{ x | attr(name='__class__') }}",
        "{% filter attr('__class__') %}x{% endfilter %}",
        "{{ xs | map('attr', '__class__') | list }}",
        "{{ xs | map(attribute='__class__') | list }}",
        "{{ xs | map(attribute='a.__class__.b') | list }}",
        "{{ xs | selectattr('__class__') | list }}",
        "{{ xs | rejectattr('a.__class__', 'equalto', 1) | list }}",
        "{{ xs | groupby('__class__') }}",
        "{{ xs | sort(attribute='__class__') }}",
        "{{ xs | sort(false, false, '__class__') }}",
        "{{ xs | sum('__class__') }}",
        "{{ xs | unique(attribute='__class__') | list }}",
        "{{ xs | min(attribute='__class__') }}",
        "{{ xs | join(', ', '__class__') }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ '{a[__class__]}'.format_map(x) }}",
        "{% macro m(a) %}{{ a.__class__ }}{% endmacro %}",
        "{% generation %}{{ x.__class__ }}{% endgeneration %}",
        "{% do x.__class__ %}",
        "{% if x.__class__ %}{% endif %}",
        "{% for a in x.__class__ %}{% break %}{% endfor %}",
        "{% call(a) m(x.__class__) %}{% endcall %}",
        "{{ raise_exception(x.__class__) }}",
        "{% set y %}{{ x.__class__ }}{% endset %}",
        "{{ x is sameas y.__class__ }}",
        "{{ x if x.__class__ else y }}",
        "{{ {'a': x.__class__} }}",
        "{{ x[y.__class__] }}",
        "{{ (x).__class__ }}",
        "{% raw %}{{ a }}{% endraw %}{{ x.__class__ }}",
    ],
)
def test_every_way_to_a_name_is_followed(text: str) -> None:
    reading = read_text(text)
    assert reading.problem == ""
    assert "__class__" in [fact.name for fact in reading.reaches if fact.how != "string"]


def test_a_name_as_a_whole_string_is_noted() -> None:
    assert reached("{{ '__class__' }}", "string") == ["__class__"]
    assert reached("{{ message.get('__class__') }}", "string") == ["__class__"]
    assert reached("{{ dict(__class__=1) }}", "string") == ["__class__"]
    assert reached("{{ 'the method __class__ is' }}{% raw %}__class__{% endraw %}", "string") == []


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("{{ x | attr(y) }}", "attr filter"),
        ("{{ x | attr(request.args.name) }}", "attr filter"),
        ("{{ xs | map('attr', y) | list }}", "attr filter"),
        ("{{ x[y ~ 'class' ~ y] }}", "item"),
        ("{{ x['_' + y] }}", "item"),
        ("{{ x[y | lower] }}", "item"),
        ("{{ x[y.replace('a', '_')] }}", "item"),
        ("{% set key = y ~ z %}{{ x[key] }}", "item"),
        ("{% set ns = namespace(key='_') %}{% set ns.key = ns.key ~ y %}{{ x[ns.key] }}", "item"),
        ("{{ y.format(x) }}", "format"),
        ("{{ xs | map(y) | list }}", "filters"),
        ("{{ xs | select(y) | list }}", "tests"),
        ("{{ xs | map(attribute=y) | list }}", "filter"),
        ("{{ x | replace(*y) }}", "arguments"),
    ],
)
def test_names_that_are_made_from_data_are_unknown(text: str, how: str) -> None:
    assert [fact.how for fact in read_text(text).unknown] == [how]


@pytest.mark.parametrize(
    "text",
    [
        "{{ message[key] }}",
        "{{ messages[loop.index0 + 1] }}",
        "{{ messages[i - 1] }}",
        "{{ messages[-1] }}",
        "{{ messages[1:] }}",
        "{{ messages[ns.index + 1] }}",
        "{% set ns = namespace(index=0) %}{% set ns.index = ns.index + 1 %}{{ messages[ns.index] }}",
        "{% for key in message %}{{ message[key] }}{% endfor %}",
        "{{ message[['content', 'text'][0]] }}",
    ],
)
def test_taking_data_by_data_is_what_templates_do(text: str) -> None:
    assert read_text(text).unknown == ()


def test_calls() -> None:
    text = "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}{{ f() }}{{ a.b() }}{{ a[0]() }}{% set v = a %}{{ v() }}"
    assert [(fact.name, fact.how) for fact in read_text(text).calls] == [
        ("caller", "name"),
        ("f", "name"),
        ("b", "method"),
        ("getitem of a", "expression"),
        ("v", "variable"),
    ]


def test_lists_of_own_macros_may_be_called() -> None:
    macros = "{% macro a() %}{% endmacro %}{% macro b() %}{% endmacro %}"
    own = macros + "{% set all = [] %}{% set all = all + [a] %}{% set all = all + [b] %}{{ all[0]() }}"
    assert read_text(own).calls == ()
    foreign = macros + "{% set all = [a] %}{% set all = all + other %}{{ all[0]() }}"
    assert [fact.how for fact in read_text(foreign).calls] == ["expression"]


def test_filters_tests_and_names() -> None:
    reading = read_text(
        "{% set a = 1 %}{{ a }}{{ x | upper }}{{ xs | map('lower') | select('defined') }}{{ y is string }}"
    )
    assert {fact.name for fact in reading.filters} == {"upper", "map", "lower", "select"}
    assert {fact.name for fact in reading.tests} == {"defined", "string"}
    assert {fact.name for fact in reading.names} == {"x", "xs", "y"}


def test_loads() -> None:
    text = (
        "{% include 'a' %}{% import 'b' as c %}{% from 'd' import e %}{% extends f %}{% include ['g', 'h'] %}"
    )
    assert [(fact.how, fact.name) for fact in read_text(text).loads] == [
        ("include", "a"),
        ("import", "b"),
        ("fromimport", "d"),
        ("extends", "a computed name"),
        ("include", "('g', 'h')"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% for i in range(1000) %}{% endfor %}", ("loop", 1000)),
        ("{% for i in range(10, 1010, 10) %}{% endfor %}", ("loop", 100)),
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            ("loop", 99999**2),
        ),
        ("{% for i in range(10 ** 9) %}{% endfor %}", ("loop", 10**9)),
        ("{% for i in range(10 ** 99) %}{% endfor %}", ("loop", 2**63)),
        ("{% set n = 5000 * 5000 %}{% for i in range(n) %}{% endfor %}", ("loop", 25_000_000)),
        ("{{ 'ab' * 1000000 }}", ("string", 2_000_000)),
        ("{{ x * 1000000 }}", ("string", 1_000_000)),
        ("{{ '%1000000d' % x }}", ("string", 1_000_000)),
        ("{{ '%1000000d' | format(x) }}", ("string", 1_000_000)),
        ("{{ '{:>1000000}'.format(x) }}", ("string", 1_000_000)),
        ("{{ 'x' | center(1000000) }}", ("string", 1_000_000)),
        ("{{ 'x' | indent(width=1000000) }}", ("string", 1_000_000)),
        ("{{ x.ljust(1000000) }}", ("string", 1_000_000)),
        ("{{ 9 ** 999999 }}", ("number", 4 * 999_999)),
        ("{{ 9 ** 9 ** 9 }}", ("number", 29 * 9)),
    ],
)
def test_constant_amounts(text: str, expected: tuple[str, int]) -> None:
    assert max(sizes(text), key=lambda size: size[1]) == expected


def test_ordinary_loops_have_no_size() -> None:
    assert (
        sizes("{% for m in messages %}{% for p in m.parts %}{{ p * 1 }}{% endfor %}{% endfor %}{{ x * y }}")
        == []
    )


def test_doublings() -> None:
    assert [f.how for f in read_text("{% for i in x %}{% set a = a ~ a %}{% endfor %}").doublings] == ["loop"]
    assert [
        f.how for f in read_text("{% set a = a + a %}{% set n.a = n.a ~ n.a %}{% set a = a * 2 %}").doublings
    ] == ["once"] * 3
    assert read_text("{% set a = a + ('x' if a else '') + y %}").doublings == ()


def texts(text: str) -> list[tuple[str, str, bool]]:
    return [(piece.text, piece.guard, piece.continues) for piece in read_text(text).texts]


def test_what_is_written() -> None:
    text = "Hi {{ 'you' }}{% set a = 'later' %}{{ raise_exception('never') }}{% if a == 'compared' %}{% endif %}{{ m['key'] }}"
    assert [piece for piece, _, _ in texts(text)] == ["Hi ", "you", "later"]


@pytest.mark.parametrize(
    ("condition", "guard"),
    [
        ("'invoice' in message.content", '"invoice" in a message'),
        ("'invoice' in message['content'] | lower", '"invoice" in a message'),
        ("message.content == 'open sesame'", '"open sesame" in a message'),
        ("'open sesame' == message.content", '"open sesame" in a message'),
        ("message.content.startswith('invoice')", '"invoice" in a message'),
        ("x and ('a' ~ 'b') in messages[-1]['content']", '"ab" in a message'),
        ("strftime_now('%Y') == '2027'", "the date"),
        ("[1, 2] | random == 1", "chance"),
        ("'</think>' in message.content", ""),
        ("'[INST]' in message.content", ""),
        ("message.role == 'user'", ""),
        ("'content' in message", ""),
        ("message.content is string", ""),
        ("strftime_now is defined", ""),
    ],
)
def test_triggers(condition: str, guard: str) -> None:
    assert texts(f"{{% if {condition} %}}Say this{{% else %}}Say that{{% endif %}}") == [
        ("Say this", guard, False),
        ("Say that", "", False),
    ]
    assert texts(f"{{{{ 'Say this' if {condition} else 'Say that' }}}}")[0] == ("Say this", guard, False)


def test_triggers_through_names() -> None:
    text = "{% set last = messages[-1]['content'] | lower %}{% if 'invoice' in last %}{% set extra = 'Say this' %}{% endif %}"
    assert texts(text) == [("Say this", '"invoice" in a message', False)]


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/?q={{ m.content }}",
        "{{ 'https://example.com/?q=' + m.content }}",
        "{{ 'https://example.com/?q=' ~ m.content | urlencode }}",
        "https://{{ 'example.com/' }}{% for m in messages %}{{ m.content }}{% endfor %}",
        "![](https://example.com/{% if x %}{{ m }}{% endif %})",
    ],
)
def test_addresses_that_run_into_data(text: str) -> None:
    assert next(piece for piece in texts(text) if piece[2])[0].startswith("https://")


def test_addresses_that_end() -> None:
    assert [
        piece for piece in texts("https://example.com/ {{ m }} 'https://example.com'{{ m }}") if piece[2]
    ] == []


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("plain", []),
        ("Grüße 你好 🙂\ufe0f", []),
        ("\ufeffbyte order mark", []),
        ("fami\U0001f468\u200d\U0001f469ly", []),
        ("می\u200cخواهم", []),
        ("a\u200bb", ["zero-width"]),
        ("a\u200cb", ["zero-width"]),
        ("a\u202eb\u202c", ["bidi"]),
        ("a\U000e0041\U000e0042", ["tag"]),
        ("a\U000e0101", ["variation"]),
        ("a\u00adb\u200b", ["zero-width"]),
    ],
)
def test_hidden_characters(text: str, kinds: list[str]) -> None:
    assert [found.kind for found in hidden_in(text)] == kinds
    assert [fact.how for fact in read_text(text).hidden] == kinds


def test_hidden_characters_that_are_written_as_escapes() -> None:
    assert [(f.name, f.how, f.line) for f in read_text("x\n{{ 'a\\u202eb' }}").hidden] == [
        ("U+202E", "bidi", 2)
    ]


def test_hidden_characters_are_seen_in_what_cannot_be_parsed() -> None:
    reading = read_text("{% nonsense %}\u200b")
    assert (reading.problem, [fact.how for fact in reading.hidden]) == (
        "Encountered unknown tag 'nonsense'.",
        ["zero-width"],
    )


@pytest.mark.parametrize(
    "text",
    [
        "{{",
        "{% if %}",
        "{% for %}",
        "{{ a b }}",
        "{% debug %}",
        "{{ '\\u12' }}",
        "{{ " + "9" * 10_000 + " }}",
        "{# x",
    ],
)
def test_what_cannot_be_parsed_says_so(text: str) -> None:
    reading = read_text(text)
    assert reading.problem
    assert reading.reaches == ()


@pytest.mark.parametrize("text", ["{{ " + "(" * 5000 + "a" + ")" * 5000 + " }}", "{{ a" + ".b" * 20_000 + " }}", "{% if a %}" * 3000 + "{% endif %}" * 3000])  # fmt: skip
def test_depth_ends_in_a_problem_and_not_in_a_crash(text: str) -> None:
    assert read_text(text).problem == "nested too deeply to follow"


def test_escapes_in_literals_give_no_warning() -> None:
    assert read_text("{{ 'a\\d' }}").problem == ""


@pytest.mark.parametrize(
    "text",
    [
        "{% set a = 'x' %}" * 3000 + "{{ y[a] }}" * 3000,
        "{% set a = a ~ 'x' %}{{ y[a] }}{% if 'b' in a %}c{% endif %}" * 1500,
        "{% set a = ['"
        + "x" * 100
        + "', '"
        + "y" * 100
        + "'] | join %}"
        + "{% set a = a ~ a %}{{ y[a] }}" * 1500,
        "{{ " + "['a', 'b', 'c'] | join ~ " * 400 + "'x' }}",
        "{{ y[" + " ~ ".join(["('a' if x else 'b')"] * 60) + "] }}",
        "{{ '" + "http://" * 30_000 + "<' }}",
        "{{ 'http://' }}" + "{{ 'a' }}" * 8000,
        "{% if '" + "a" * 200_000 + "<' in m.content %}x{% endif %}",
        "{{ y[" * 80 + "a" + "] }}".replace(" }}", "") * 80 + " }}",
    ],
)
def test_hostile_templates_end_soon(text: str) -> None:
    started = time.process_time()
    read_text(text)
    assert time.process_time() - started < 10  # each takes below a second where nothing else runs


def test_source() -> None:
    reading = read(MemorySource("{{ ü }}".encode()), Budget(), "chat_template.jinja")
    assert isinstance(reading, TemplateReading)
    assert [fact.name for fact in reading.names] == ["ü"]
    with pytest.raises(InputError) as caught:
        read(MemorySource(b"{{ \xff }}"), Budget(), "chat_template.jinja")
    assert caught.value.code == "not-text"
    with pytest.raises(LimitError) as limit:
        read(MemorySource(bytes(2**20)), Budget(), "chat_template.jinja")
    assert limit.value.code == "limit-template"


PIECES = st.sampled_from(
    ["{{", "}}", "{%", "%}", " if ", " for ", " in ", "endif", "endfor", "set ", "x", ".y", "['", "']", "~", "|", "attr(", ")", "(", "'", "=", "1", "\n", "{#", "#}", "-", "*", "range"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join))
@settings(max_examples=200, deadline=None)
def test_any_text_ends_in_a_reading(text: str) -> None:
    read_text(text)


@given(st.text(alphabet="abcdefg_", min_size=1, max_size=12), st.integers(0, 12), st.sampled_from(["~", "+"]))
@settings(max_examples=50, deadline=None)
def test_any_split_of_a_name_is_put_together(name: str, at: int, operator: str) -> None:
    """However a constant key is cut in two, it is read whole."""
    text = f"{{% set a = '{name[:at]}' %}}{{{{ x[a {operator} '{name[at:]}'] }}}}"
    assert reached(text, "item") == [name]


@given(st.binary(max_size=100))
@settings(max_examples=50, deadline=None)
def test_any_bytes_end_in_a_reading_or_a_refusal(data: bytes) -> None:
    with suppress(InputError):
        read(MemorySource(data), Budget(), "x.jinja")
