#!/usr/bin/env python3
"""Writes tests/data/jinja_cases.json: templates of our own with what jinja2 itself makes of them, in the environment that
transformers builds (ImmutableSandboxedEnvironment, trim_blocks, lstrip_blocks, loop controls, `generation`).
usage: apt-get install python3-jinja2; tools/make_jinja_cases.py > tests/data/jinja_cases.json"""
import copy
import datetime
import json
import random

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

    def _text(self, caller):
        return caller()


def environment(trim, lstrip, keep):
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=trim, lstrip_blocks=lstrip, keep_trailing_newline=keep,
                                        extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda f: datetime.datetime(2024, 7, 26, 15, 4, 9).strftime(f)
    return env


CONTEXT = {
    "m": {"x": 1.5, "l": [1, "two", None, True, {"z": "q"}], "d": {"k": "v", "n": None}, "s": "text é"},
    "apple": 3, "big": 9007199254740993,
    "tree": [{"n": "a", "c": [{"n": "b", "c": []}, {"n": "c", "c": [{"n": "d", "c": []}]}]}],
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": " Hello "}],
}

STATEMENTS = r"""
{% for i in [3,1,2] %}{{ loop.index }}:{{ i }}{{ "," if not loop.last }}{% endfor %}
{% for i in range(4) %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.length }} {% endfor %}
{% for i in [1,1,2,2] %}{{ loop.changed(i) }}{{ loop.cycle('a','b','c') }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}
{% for a, (b, c) in [(1, (2, 3)), (4, [5, 6])] %}{{ a }}{{ b }}{{ c }} {% endfor %}
{% for k, v in m.d.items() %}{{ k }}={{ v }};{% endfor %}
{% for i in range(10) if i is odd %}{{ loop.index }}/{{ loop.length }}:{{ i }} {% else %}none{% endfor %}
{% for i in [] %}x{% else %}empty{% endfor %}{% for i in undef %}x{% else %}empty{% endfor %}
{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in range(3) %}{% for j in range(3) %}{% if j > i %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{% endfor %}
{% for n in tree recursive %}[{{ n.n }}{{ loop.depth }}{{ loop.depth0 }}{{ loop(n.c) if n.c }}]{% endfor %}
{% set x = 1 %}{% for i in [1,2] %}{{ x }}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}
{% set ns = namespace(n=0) %}{% for i in range(5) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}{{ ns.zz is defined }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d) = [b, a] %}{{ c }}{{ d }}
{% set t = 1, %}{{ t }}{% set e = () %}{{ e }}
{% set x %}a {{ 1 + 1 }} b{% endset %}[{{ x }}]{% set y | upper | replace('A', '*') %}bab{% endset %}{{ y }}
{% if 0 %}a{% elif '' %}b{% elif [] %}c{% else %}d{% endif %}{% if m.d.n %}x{% endif %}
{% macro f(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(1) }}|{{ f(1, c=5) }}|{{ f(b=1, a='q') }}|{{ f() }}
{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, k=3) }}{{ f() }}
{% macro f(x) %}{{ x }}{% endmacro %}{{ f(1, 2) }}
{% macro f(x) %}{{ x }}{% endmacro %}{{ f(y=2) }}
{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}
{% macro f() %}<{{ caller(1, 'z') }}>{% endmacro %}{% call(a, b) f() %}{{ a }}{{ b }}{% endcall %}
{% macro f() %}[{{ caller() if caller else 'no' }}]{% endmacro %}{{ f() }}{% call f() %}yes{% endcall %}
{% set g = 1 %}{% macro f() %}{{ g }}{% set g = 5 %}{{ g }}{% endmacro %}{{ f() }}{% set g = 2 %}{{ f() }}{{ g }}
{% macro f(a) %}{{ f.name }}{{ f.arguments }}{% endmacro %}{{ f is callable }}
{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}
{% filter upper %}abc {{ 'x' }}{% endfilter %}{% filter replace('a', 'b') | trim %} aaa {% endfilter %}
{% generation %}G{% set inside = 1 %}{% endgeneration %}{{ inside is defined }}
{% raw %}{{ not }} {% if %}{% endraw %}{{ 1 }}
a{% raw -%}   b   {%- endraw %}c
{# comment #}x{#- another -#}  y
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.current }}
{% set j = joiner('|') %}{{ j() }}a{{ j() }}b{{ j() }}c
{% print 1, 'a' %}{% print m.x %}
{{ dict(a=1, b='x') }}{{ dict([(1, 2)], z=3) }}{{ dict({'k': 1}) }}
{{ namespace({'a': 1}, b=2).a }}{{ strftime_now('%d %b %Y %H:%M:%S %A %B %y %j %p %I %-d %%') }}
{{ raise_exception('stop ' ~ apple) }}
{{ undef.x }}
{{ m.nope.deeper }}
{{ messages[9].content }}
{{ 1 / 0 }}{{ 1 }}
{{ 'a' + 1 }}
{{ undef + 1 }}
{{ [] | first }}|{{ [] | max }}|{{ '' | last }}
{{ m.__class__ }}{{ ''.__class__.__mro__ }}
{{ m.l.append(1) }}
{{ m.update({}) }}
{{ 1 if false }}|{{ (1 if false) is defined }}
{{ 'a' if true else 'b' }}{{ 'a' if 0 else 'b' if 0 else 'c' }}
{{ 1 < 2 < 3 }}{{ 1 < 3 < 2 }}{{ 1 == 1.0 == true }}{{ 'a' < 'b' }}{{ [1, 2] < [1, 3] }}
{{ 2 ** 10 }}{{ 2 ** -1 }}{{ 2 ** 3 ** 2 }}{{ -2 ** 2 }}{{ 7 // -2 }}{{ -7 % 3 }}{{ 7.5 // 2 }}{{ -7.5 % 2 }}
{{ 1e3 }} {{ 1.5e-7 }} {{ 1_000 }} {{ 0x1F }} {{ 0b11 }} {{ 0o17 }} {{ 1e16 }} {{ 123456789012345678.0 }} {{ 0.1 + 0.2 }}
{{ 'a\tb\x41\u00e9\101\q' }}{{ "it's" }}{{ 'x' 'y' }}
{{ big }}{{ big + 1 }}{{ [big] | tojson }}
{{ 'abc'[1] }}{{ 'abc'[-1] }}{{ 'abcdef'[1:4] }}{{ 'abcdef'[::-2] }}{{ 'é€😀x'[1:3] }}{{ 'é€😀x' | length }}
{{ (1, 2, 3)[1:] }}{{ [1, 2, 3][::-1] }}{{ range(10)[2:5] | list }}{{ range(5)[-1] }}
{{ m['l'][4]['z'] }}{{ m.l.4.z }}{{ m.l[-1].z }}{{ m.get('x') }}{{ m.get('q', 'def') }}
{{ {'a': 1, 'b': [1, {'c': none}]} | tojson }}{{ {'b': 1, 'a': 2} | tojson(indent=2, sort_keys=true) }}
{{ [1, 2] | tojson(indent=4) }}{{ [] | tojson(indent=2) }}{{ {1: 2, none: 3, true: 4} | tojson }}
{{ '<a href="x">\'&' | e }}{{ '<' | e | e }}{{ ('<' | safe) + '<' }}{{ '<' | forceescape | forceescape }}
{{ '%s is %d, %5.2f|%-5s|%05d|%x|%r|%%' % ('a', 3, 2.5, 'ab', 42, 255, 'q') }}{{ '%(a)s' % {'a': 1} }}
{{ '{} {1} {a} {0!r:>5} {b[0]} {{}}'.format('x', 2, a=3, b=[4]) }}
{{ '{:>8.2f}|{:<6}|{:^7}|{:+d}|{:,}|{:08.3f}|{:x}|{:%}'.format(3.14159, 'ab', 'mid', 5, 1234567, 2.5, 255, 0.25) }}
{{ messages | map(attribute='content') | map('trim') | join('/') }}{{ messages | selectattr('role', '==', 'user') | list }}
{{ messages | groupby('role') | map('first') | list }}{% for g in messages | groupby('role') %}{{ g.grouper }}{{ g.list | length }}{% endfor %}
{% set s = messages | selectattr('role', 'equalto', 'nobody') %}{{ 'true' if s else 'false' }}{% for x in s %}a{% endfor %}
{% set g = [1, 2, 3] | map('string') %}{{ g | first }}{{ g | list }}{{ g | list }}
{{ 'a,b' | replace(',', ';') }}{{ 'AbC' | lower }}{{ 'hello world-x' | title }}{{ 'ßx' | upper }}{{ 'ΑΣ' | lower }}{{ 'ǆa' | capitalize }}
{{ '\x1c\u00a0 a \u2003\u200b' | trim | tojson }}{{ 'a\u2028b\x0bc\r\nd' .splitlines() }}
{{ ['b', 'A', 'c'] | sort }}{{ ['b', 'A', 'c'] | sort(case_sensitive=true, reverse=true) }}{{ {'b': 1, 'A': 2} | dictsort }}
{{ [1, 1.0, true, '1'] | unique | list }}{{ ['a', 'A'] | unique | list }}{{ [3, 1, 2] | min }}{{ ['b', 'A'] | max }}
{{ range(7) | batch(3, 'x') | list }}{{ range(7) | slice(3) | map('list') | list }}{{ range(5) | sum }}
{{ 2.5 | round }}{{ 3.5 | round }}{{ 2.675 | round(2) }}{{ 1234 | round(-2) }}{{ 2.1 | round(0, 'ceil') }}{{ 42 | round(2) }}
{{ '3.7' | int }}{{ 'x' | int(7) }}{{ '0x1f' | int(base=16) }}{{ ' 4_2 ' | int }}{{ '1e3' | float }}{{ none | int }}
{{ 'one two three' | truncate(9) }}{{ 'one two three' | truncate(9, true, '') }}{{ 'x y_z 3' | wordcount }}{{ 'a b/c?d=é' | urlencode }}
{{ 1 is number and 'x' is string and m is mapping and [] is sequence and none is none }}{{ 4 is divisibleby 2 }}{{ 1 is in [1] }}
{{ not 1 in [2] }}{{ 1 not in [2] }}{{ 'k' in m.d and 'v' not in m.d }}{{ 1 and 0 or 'z' }}{{ none or '' or 0 }}
{{ loop is defined }}{% for x in [1] %}{{ loop is defined }}{% endfor %}
{{ [none, true, 1.0, 'a\n', ('x',), {'k': []}] }}{{ none ~ true ~ 1.5 ~ [] }}
{{ range(100001) }}
{{ range(1, 10, 3) | list }}{{ range(3, 0, -1) | list }}{{ range(3) }}{{ 3 in range(5) }}
{{ x is undefined }}{{ x | default('d') }}{{ '' | default('d', true) }}{{ none | d('n') }}{{ m.zz | d('q') }}
{{ m.l | length }}{{ m | length }}{{ 'abc' | reverse }}{{ [1, 2] | reverse | list }}{{ m.d | items | list }}
{% if true -%}   a   {%- endif %}|{%+ if true %} b {% endif +%} |
{% for x in [1, 2] -%}
    {{ x }}
{%- endfor %}
{% endif %}
{% for x in %}{% endfor %}
{{ 'unclosed }}
{{ a b }}
{% unknown %}
{{ x | nofilter }}{{ 1 is notest }}
{% include 'x' %}
{% if x %}
{{ (1 }}
{{ {1: 2 }}
{% set 1 = 2 %}
{% break %}
{{ 9 ~ }}
{{ '\x4' }}
{{ f(**{'a': 1}, *[1]) }}
"""

SPACES = ["  {% if true %}\n  a\n  {% endif %}\nb\n", "\n\n{% set x = 1 %}\n\n{{ x }}\n\n", "a {#- c -#} b\n{# d #}\ne",
          "{{ 1 -}}\n  x {{- 2 }}\n", "  {%- if true %} a {%- endif -%}  b\n", "{% raw %}\n{% x %}\n{% endraw %}\ny",
          "a\r\nb\rc{{ '\r\n' | length }}\n", "\t{% for i in [1, 2] %}\n\t{{ i }}\n\t{% endfor %}\n\tz", "   {{ 1 }}\n   {# c #}\n x",
          "x {% if true %} y {% endif %} z\n   {% if true %}\n", "{%- macro f() %}\n  q\n{%- endmacro %}\n{{ f() }}",
          " {%+ if true %}\n 1\n {%+ endif %}\n", "{% if true +%}\n1{% endif %}", "{{ 1 }}\n\n", "{% set a = '}}' %}{{ '%}' }}{{ {'a': {'b': 1}}['a']['b'] }}"]

VALUES = ["1", "0", "-3", "2.5", "true", "none", "'abc'", "''", "' a b '", "'ÄßΣς é'", "'a,b,,c'", "'12'", "[]", "[1,2,3]",
          "['b','A','c']", "{}", "{'a':1,'b':'x'}", "(1,2)", "undef", "m.l", "range(3)", "'Hello World foo-bar'", "'<b>&'",
          "[{'k':'b','n':1},{'k':'a','n':2}]"]
SUFFIXES = """|abs |capitalize |center(9) |default('D',true) |float |int |indent(2,true) |join('-') |last |first |length |list |lower
|map('upper')|list |max |min |reject('odd')|list |replace('a','zz') |round(1) |select|list |sort |string |sum |title |tojson |trim
|truncate(6) |unique|list |upper |urlencode |wordcount |format(1) .upper() .title() .strip('a') .split() .split(',',1) .rsplit(none,1)
.startswith(('x','a')) .find('o',5) .count('') .replace('','.') .join(['x','y']) .isalpha() .istitle() .zfill(6) .center(8,'-')
.partition(',') .rpartition(' ') .swapcase() .items()|list .get('a') [0] [-1] ['a'] [::-1] .a +1 *2 ~'z' %2 <2 =='abc' .index(2)""".split()


def main():
    rng = random.Random(7)
    cases = [(t, True, True, False) for t in STATEMENTS.strip("\n").split("\n")]
    cases += [(t, trim, trim ^ swap, keep) for t in SPACES for trim in (True, False) for swap in (True, False) for keep in (True, False)]
    every = [f"{{{{ ({v}){s} }}}}" for v in VALUES for s in SUFFIXES if s != '[::-1]' or v[0] in "'[("]  # else folded away
    cases += [(t, True, True, False) for t in rng.sample(every, 420)]
    out = []
    for template, trim, lstrip, keep in cases:
        case = {"template": template}
        if not trim or not lstrip or keep:
            case["syntax"] = [trim, lstrip, keep]
        try:
            text = environment(trim, lstrip, keep).from_string(template).render(**copy.deepcopy(CONTEXT))
            if " object" in text:
                continue  # an address
            case["expected"] = text
        except Exception as error:  # whatever it is: ours must fail too
            case["error"] = type(error).__name__
        out.append(case)
    print(json.dumps({"made_with": "jinja2 " + jinja2.__version__, "context": CONTEXT, "cases": []}, ensure_ascii=False)[:-2])
    print(",\n".join(json.dumps(c, ensure_ascii=False) for c in out))
    print("]}")


main()
