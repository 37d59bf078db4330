#!/usr/bin/env python3
"""Renders published chat templates with transformers: templates.json beside this file, which `tests/templates.rs` reads.

    pip install transformers jinja2         # no torch needed
    python make_templates.py FOLDER         # of llama.cpp: models/templates, as in llama-cpp-python's source package

transformers' own `render_jinja_template` renders, with the clock set to the day that Ballast's templates see. A template is
named by file and sha256. The file of one whose model is published under Apache-2.0 or MIT is kept in templates/ beside this
file; of the others only the sha256 of each rendering is kept, and they are tested where BALLAST_TEMPLATES names the folder.
"""

import hashlib
import json
import shutil
import sys
from datetime import datetime
from pathlib import Path

from transformers.utils import chat_template_utils

HERE = Path(__file__).parent
SPECIALS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}

# Models published under Apache-2.0 or MIT; llama.cpp itself, which collects the files, is under MIT.
FREE = """Apertus-8B-Instruct Bielik-11B-v3.0-Instruct ByteDance-Seed-OSS GLM-4.6 GLM-4.7-Flash GigaChat3-10B-A1.8B
GigaChat3.1-10B-A1.8B HuggingFaceTB-SmolLM3-3B MiMo-VL MiniMax-M1 Mistral-Small-3.2-24B-Instruct-2506 Qwen-QwQ-32B
Qwen-Qwen2.5-7B-Instruct Qwen-Qwen3-0.6B Qwen3-Coder Qwen3.5-4B StepFun3.5-Flash deepseek-ai-DeepSeek-R1-Distill-Qwen-32B
deepseek-ai-DeepSeek-V3.1 deepseek-ai-DeepSeek-V3.2 ibm-granite-granite-3.3-2B-Instruct ibm-granite-granite-4.0
ibm-granite-granite-4.1 llama-cpp-deepseek-r1 llama-cpp-rwkv-world meetkai-functionary-medium-v3.1
meetkai-functionary-medium-v3.2 microsoft-Phi-3.5-mini-instruct mistralai-Ministral-3-14B-Reasoning-2512
mistralai-Mistral-Nemo-Instruct-2407 openai-gpt-oss-120b openbmb-MiniCPM5-1B unsloth-Apriel-1.5
unsloth-mistral-Devstral-Small-2507""".split()


def turn(role, content):
    return {"role": role, "content": content}


CONVERSATIONS = {
    "question": [turn("user", "Who are you?")],
    "system": [turn("system", "Be <brief> & kind."), turn("user", "  Count:\n1, 2 ")],
    "turns": [turn("system", "Be brief."), turn("user", "你好"), turn("assistant", "Hello 🦜."), turn("user", "And 'now'?")],
    "answered": [turn("user", "a"), turn("assistant", "b\n\n"), turn("user", "c"), turn("assistant", "<think>\nx\n</think>\n\nd")],
    "empty": [turn("system", ""), turn("user", "x"), turn("assistant", ""), turn("user", "y")],
}


# Single constructs, by what published templates use; each is rendered with the conversation "system".
CONSTRUCTS = r"""
{{ none is iterable }}{{ 3 is iterable }}{{ 'a' is iterable }}{{ missing is iterable }}{{ {} is iterable }}{{ range(2) is iterable }}
{{ none is sequence }}{{ 3 is sequence }}{{ 'a' is sequence }}{{ missing is sequence }}{{ {} is sequence }}{{ [] is sequence }}
{{ none is mapping }}{{ {} is mapping }}{{ messages[0] is mapping }}{{ [] is mapping }}
{{ true is number }}{{ 1 is number }}{{ 1.5 is number }}{{ '1' is number }}
{{ true is integer }}{{ 1 is integer }}{{ 1.0 is integer }}{{ 1.0 is float }}
{{ true is boolean }}{{ 1 is boolean }}{{ none is none }}{{ missing is none }}{{ missing is defined }}{{ missing is undefined }}
{{ 'a' is string }}{{ 1 is string }}{{ true is true }}{{ 1 is true }}{{ false is false }}{{ 0 is false }}
{{ 3 is odd }}{{ 4 is even }}{{ 'a' is in ['a'] }}{{ 'A' is upper }}{{ 'a' is lower }}{{ 1 is eq 1 }}{{ 1 is ne 2 }}{{ 2 is gt 1 }}
{{ [] is sameas [] }}{{ none is sameas none }}{{ 1 == 1.0 }}{{ true == 1 }}{{ 'a' == none }}{{ missing == none }}{{ none == false }}
{{ '' or 'x' }}{{ 0 or none }}{{ [] or 'e' }}{{ 'a' and 'b' }}{{ not '' }}{{ not [] }}{{ not {} }}{{ not 0.0 }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 3 }} {{ 7 / 2 }} {{ 1 + 2 * 3 }} {{ (1 + 2) * 3 }} {{ 10 - 3 - 2 }}
{{ 1.0 }} {{ 0.1 + 0.2 }} {{ 1e20 }} {{ 100000000000000000000 }} {{ 3 | float }} {{ 3.7 | int }} {{ '3.7' | int }} {{ 'x' | int(5) }}
{{ 2.5 | round }} {{ 3.14159 | round(2) }} {{ 2.5 | round(method='floor') }} {{ -3 | abs }}
{{ 'a' ~ 1 ~ none ~ true ~ 1.5 }}{{ 'a' + 'b' }}{{ [1] + [2] }}{{ 'ab' * 2 }}
{{ ['a', 1, none, true, 1.5, 'it\'s', "q\"q", 'n\nl'] }}
{{ {'a': 'b', 1: none, 'c': [1, {'d': ()}]} }}
{{ ('a',) }}{{ ('a', 1) }}{{ () }}
{{ [1, 2, 3][0] }}{{ [1, 2, 3][-1] }}{{ [1, 2, 3][1:] }}{{ [1, 2, 3][:-1] }}{{ [1, 2, 3][::-1] }}{{ [1, 2, 3][::2] }}{{ 'abc'[::-1] }}{{ 'héllo'[1:3] }}
{{ [1, 2, 3][9] }}|{{ {'a': 1}.b }}|{{ {'a': 1}['b'] }}|{{ missing }}|{{ messages[0].nothing }}
{{ missing.a }}
{{ none.a }}
{{ missing[0] }}
{{ missing() }}
{{ missing + 'a' }}
{{ 'a' + 1 }}
{{ 'a' + missing }}
{{ 1 + none }}
{{ messages[0]['content']['x'] }}
{{ messages | length }}{{ 'abc' | length }}{{ {} | length }}{{ missing | length }}
{{ none | length }}
{{ 3 | length }}
{{ 'a b' | title }}{{ "it's o'neil" | title }}{{ 'aBC dEF' | capitalize }}{{ 'aB' | upper }}{{ 'aB' | lower }}
{{ ' a ' | trim }}|{{ 'xax' | trim('x') }}|{{ 5 | trim }}|{{ none | trim }}|{{ missing | trim }}|
{{ 'a,b' | replace(',', ';') }}{{ 'aaa' | replace('a', 'b', 2) }}{{ 5 | string }}{{ none | string }}{{ true | string }}
{{ [1, 2] | join }}{{ [1, none, 'a'] | join(', ') }}{{ messages | join(', ', attribute='role') }}
{{ [3, 1, 2] | sort }}{{ ['b', 'A', 'c'] | sort }}{{ [3, 1] | sort(reverse=true) }}{{ messages | sort(attribute='role') | map(attribute='role') | list }}
{{ [1, 2, 3] | first }}{{ [1, 2, 3] | last }}{{ [] | first }}{{ 'abc' | first }}{{ 'abc' | list }}{{ {'a': 1} | list }}
{{ [1, 2, 3] | sum }}{{ [1, 5, 3] | max }}{{ [1, 5, 3] | min }}{{ [1, 1, 2] | unique | list }}{{ [1, 2] | reverse | list }}{{ 'abc' | reverse }}
{{ messages | map(attribute='role') | list }}{{ ['a', 'b'] | map('upper') | join }}{{ [1, 2, 3] | select('odd') | list }}{{ [1, 2, 3] | reject('odd') | list }}
{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ messages | rejectattr('role', 'eq', 'user') | map(attribute='role') | list }}{{ messages | selectattr('name') | list }}{{ messages | selectattr('name', 'defined') | list | length }}
{{ {'b': 1, 'a': 2} | dictsort }}{{ {'b': 1, 'a': 2} | items | list }}{{ {'b': 1}.items() | list }}{{ {'b': 1}.keys() | list }}{{ {'b': 1}.values() | list }}
{{ {'b': 1} | tojson }}{{ [1, 2] | tojson(indent=4) }}{{ 'é<' | tojson }}{{ none | tojson }}{{ true | tojson }}{{ 1.0 | tojson }}{{ {1: 2, none: 3, true: 4} | tojson }}{{ ('a', 1) | tojson }}{{ [] | tojson(indent=2) }}{{ {} | tojson(indent=2) }}
{{ missing | tojson }}
{{ {'b': 1}.get('b') }}{{ {'b': 1}.get('c') }}{{ {'b': 1}.get('c', 5) }}{{ 'b' in {'b': 1} }}{{ 'c' not in {'b': 1} }}{{ 'x' in 'xyz' }}{{ 1 in [1] }}
{{ none in [none] }}{{ 'a' in missing }}
{{ 'a' in none }}
{{ missing | default('d') }}{{ '' | default('d') }}{{ '' | default('d', true) }}{{ none | default('d') }}{{ none | d('d', true) }}
{{ 'a' if true }}{{ 'a' if false }}{{ 'a' if false else 'b' if false else 'c' }}
{{ [1, 2, 3] | batch(2) | list }}{{ [1, 2, 3] | slice(2) | list }}
{{ 'a\nb' | indent(2) }}{{ 'a\nb' | indent(2, true) }}{{ 'a\n\nb' | indent(4, first=true) }}
{{ 'hello world' | wordcount }}{{ 'a' | center(5) }}|{{ 'abcdef' | truncate(5) }}
{{ '%s|%5.2f|%03d|%r|%%' % ('a', 3.14159, 7, 'b') }}{{ '%s' | format('x') }}{{ '{} {1}' }}
{{ '{}-{}'.format('a', 1) }}{{ '{a:>4}|{0!r}|{1:.2f}|{1:05d}'.format('x', 3, a='y') }}
{{ '{0:.3f}'.format(2.0) }}{{ 'x{{y}}' }}
{{ 'abc'.upper() }}{{ 'ABC'.lower() }}{{ 'a-b'.split('-') }}{{ 'a b'.split() }}{{ ','.join(['a', 'b']) }}{{ 'abc'.replace('b', 'x') }}{{ 'aXbX'.count('X') }}
{{ 'abc'.find('c') }}{{ 'abc'.find('z') }}{{ 'abc'.index('b') }}{{ 'abc'.isalpha() }}{{ '12'.isdigit() }}{{ 'a1'.isalnum() }}{{ ' '.isspace() }}
{{ 'abc'.startswith('a', 1) }}{{ 'a\nb\n'.splitlines() }}{{ 'a'.ljust(3) }}|{{ 'a'.rjust(3) }}|{{ '7'.zfill(3) }}
{{ [1, 2, 1].count(1) }}{{ [1, 2].index(2) }}{{ 'ab'.capitalize() }}{{ 'x'.join('ab') }}{{ 'a'.__class__ }}
{% set x = 1 %}{% for i in [1, 2] %}{% set x = i %}{% endfor %}{{ x }}
{% set ns = namespace(x=1) %}{% for i in [1, 2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set t = 'x' %}{{ t }}{% set c %}block {{ a }}{% endset %}{{ c }}
{% for i in range(3) %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}
{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %}{% for k in {'z': 1, 'y': 2} %}{{ k }}{% endfor %}
{% for i in [] %}x{% else %}none{% endfor %}{% for i in [1, 2, 3] if i > 1 %}{{ loop.index }}{{ i }}{% endfor %}{% for a, b in [(1, 2)] %}{{ a }}{{ b }}{% endfor %}
{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined else '-' }}{{ loop.nextitem.role if loop.nextitem is defined else '-' }}{{ loop.cycle('a', 'b') }}{{ loop.changed(m.role) }}{% endfor %}
{% for i in [1, 2, 3] %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% if i == 3 %}{% break %}{% endif %}{% endfor %}
{% for i in none %}{% endfor %}
{% for i in missing %}x{% endfor %}|
{% for c in 'ab' %}{{ c }}.{% endfor %}{% for i in range(5, 0, -2) %}{{ i }}{% endfor %}{{ range(3) | list }}
{% macro f(a, b='x', c=none) %}[{{ a }}{{ b }}{{ c }}{{ varargs | length if varargs is defined }}]{% endmacro %}{{ f(1) }}{{ f(1, c=2) }}{{ f('q', 'r') }}
{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}body{% endcall %}
{% macro f(x) %}{% if x %}{{ f(x - 1) }}{{ x }}{% endif %}{% endmacro %}{{ f(3) }}
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}
{% if messages[0].role == 'system' and messages | length > 1 %}yes{% elif true %}no{% else %}x{% endif %}
{% if missing %}a{% else %}b{% endif %}{% if none %}a{% else %}b{% endif %}{% if not missing %}c{% endif %}
{% filter upper %}abc{% endfilter %}{{ 'a' | upper | lower }}{{ -1 | abs }}{{ 'a' 'b' }}
  {% if true %}  a
  {% endif %}  b
	{%- if true -%}   c   {%- endif +%}   d
{# comment #}  e{#- tight -#}  f
{{ 'line' }}
{{- ' x ' -}}  y
{% raw %}{{ x }}{% endraw %}{{ '{{' }}{{ "}}" }}
{{ "\t|\\|\'|\u00e9|\x41" }}{{ 'é🦜' | length }}{{ '🦜x'[0] }}
{{ messages[0].content.split(' ')[0] }}{{ (messages | first).role }}{{ messages[-1]['content'][:3] }}{{ messages[1].content.strip().split('\n')[-1] }}
{{ messages | selectattr('role', 'in', ['user']) | map(attribute='content') | first | trim | length }}
{{ dict(a=1, b='x') }}{{ dict(a=1).a }}{{ {'a': 1} == dict(a=1) }}{{ {'a': {'b': 2}}.a.b }}{{ {'items': 3}['items'] }}
{{ messages[0].role is defined and messages[0].role is string and messages[0].role not in ['user', 'assistant'] }}
{{ messages[0].get('tool_calls', []) | length }}{{ messages[0].content if messages[0].content is string else messages[0].content | tojson }}
{{ add_generation_prompt }}{{ tools }}{{ documents }}{{ bos_token }}{{ pad_token }}{{ sep_token }}
{{ strftime_now('%Y') }}{{ raise_exception is defined }}{{ enable_thinking is defined and not enable_thinking }}
{{ 'a' | safe }}{{ '<' | e }}{{ '<' | escape }}{{ ['<'] }}{{ '<b>' | forceescape }}
{{ [[1, 2], [3]] | sum(start=[]) }}{{ [1, 2] | map('string') | list }}{{ ['1', '2'] | map('int') | sum }}{{ messages | groupby('role') | length }}
{{ 1 if 1 < 2 < 3 }}{{ 1 < 3 and 2 != 3 }}{{ not 1 == 2 }}{{ 'a' not in 'b' }}{{ 1 is not none }}
{{ lipsum is defined }}{{ cycler is defined }}{{ joiner is defined }}{{ namespace is defined }}{{ self is defined }}
{% set j = joiner(', ') %}{{ j() }}a{{ j() }}b
{% set a = {'x': 1} %}{% set _ = a.update({'y': 2}) %}{{ a }}
{% set a = [1] %}{% set _ = a.append(2) %}{{ a }}
{% set ns = namespace(l=[]) %}{% set ns.l = ns.l + [1] %}{{ ns.l }}{{ ns.l | length }}
{% do messages %}
{% block x %}in{% endblock %}
{{ [1, 2, 3] | random is defined }}{{ 'a' | pprint }}{{ 12345 | filesizeformat }}
{{ messages | tojson }}
{{ messages[0] | items | list }}{{ messages[0].items() | list | length }}{{ messages[1].content | tojson }}
{{ true ~ '' }}{{ [true, none] | join(',') }}{{ (1, 2) | join }}{{ (1, 2)[0] }}{{ (1, 2) | length }}{{ 1 in (1, 2) }}
{{ 'abc' | replace('', '-') }}{{ 'a.b' | replace('.', '') }}{{ 'x' | attr('upper') is defined }}{{ messages[0] | attr('role') }}
""".split("\n")[1:-1]


class Day(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 1, 1, tzinfo=tz)


def render(template, messages, ask):
    try:
        texts, _ = chat_template_utils.render_jinja_template([messages], chat_template=template, add_generation_prompt=ask, **SPECIALS)
        return texts[0]
    except Exception:
        return None  # The template refuses the conversation, or asks for what it was not given.


def main():
    chat_template_utils.datetime = Day
    kept = HERE / "templates"
    kept.mkdir(exist_ok=True)
    templates = []
    for path in sorted(Path(sys.argv[1]).glob("*.jinja")):
        text = path.read_bytes().decode()
        free = path.stem in FREE
        if free:
            shutil.copyfile(path, kept / path.name)
        rendered = {}
        for name, messages in CONVERSATIONS.items():
            for ask in (False, True):
                out = render(text, messages, ask)
                rendered[f"{name}{'+' if ask else ''}"] = out if free or out is None else hashlib.sha256(out.encode()).hexdigest()
        templates.append(dict(name=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), kept=free, rendered=rendered))
    constructs = [[source, render(source, CONVERSATIONS["system"], True)] for source in CONSTRUCTS]
    golden = dict(specials=SPECIALS, conversations=CONVERSATIONS, constructs=constructs, templates=templates)
    (HERE / "templates.json").write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{len(templates)} templates, {sum(t['kept'] for t in templates)} kept")


if __name__ == "__main__":
    main()
