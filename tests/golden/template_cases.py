"""What make_template_golden.py renders: conversations for real templates, and small templates of our own."""

SYSTEM = {"role": "system", "content": "You are terse.\nAnswer in one line."}
HELLO = {"role": "user", "content": "  Hello, <b>world</b> & 'friends'! Äpfel 日本 🙂 "}
ANSWER = {"role": "assistant", "content": "Hi \"there\".\n"}
AGAIN = {"role": "user", "content": "And 2 + 2?\n\nShow steps."}

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "Weather at a place: now & later <soon>.",
        "parameters": {"type": "object", "properties": {
            "place": {"type": "string", "description": "City, country"},
            "days": {"type": "integer", "description": "How far", "default": 3, "minimum": 1},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "tags": {"type": "array", "items": {"type": "string"}},
            "where": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}}}},
            "required": ["place"]}}},
    {"type": "function", "function": {
        "name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {
            "a": {"type": "number"}, "b": {"type": ["number", "null"]}}, "required": ["a", "b"]},
        "return": {"type": "number", "description": "The sum"}}},
]

CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"id": "call00001", "type": "function", "function": {"name": "get_weather", "arguments": {
        "place": "Zürich \"CH\"", "days": 2, "tags": ["a", "b"], "where": {"lat": 47.4, "lon": -8.5e-7}, "x": None, "y": True}}}]}
CALL_TEXT = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "call00001", "type": "function", "function": {"name": "get_weather", "arguments": "{\"place\": \"Bern\", \"days\": 1}"}},
    {"id": "call00002", "type": "function", "function": {"name": "add", "arguments": "{\"a\": 1, \"b\": 2.5}"}}]}
RESULT = {"role": "tool", "name": "get_weather", "tool_call_id": "call00001", "content": "{\"temp\": 21.5, \"sky\": \"clear\"}"}
RESULT2 = {"role": "tool", "name": "add", "tool_call_id": "call00002", "content": "3.5"}
PARTS = {"role": "user", "content": [{"type": "text", "text": "What is "}, {"type": "text", "text": "this? "}]}
IMAGE = {"role": "user", "content": [{"type": "image", "image": "a.png"}, {"type": "text", "text": "Describe it."}]}
THOUGHT = {"role": "assistant", "content": "<think>\nThey ask, I answer.\n</think>\n\nFour.", "reasoning_content": "They ask."}


def contexts():
    base = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}

    def make(messages, generate=True, **more):
        return {**base, "messages": messages, "add_generation_prompt": generate, **more}

    documents = [{"title": "One", "text": "First text.", "doc_id": 1}, {"title": "Two", "text": "Second\ntext.", "doc_id": 2}]
    return {
        "user": make([HELLO]),
        "system_user": make([SYSTEM, HELLO]),
        "no_prompt": make([SYSTEM, HELLO, ANSWER], False),
        "turns": make([SYSTEM, HELLO, ANSWER, AGAIN]),
        "tools": make([SYSTEM, HELLO], tools=TOOLS),
        "tools_turns": make([HELLO, ANSWER, AGAIN], tools=TOOLS, tools_in_user_message=False),
        "tool_call": make([SYSTEM, HELLO, CALL, RESULT], tools=TOOLS),
        "tool_call_done": make([HELLO, CALL, RESULT, ANSWER], False, tools=TOOLS),
        "tool_calls_text": make([HELLO, CALL_TEXT, RESULT, RESULT2, ANSWER, AGAIN], tools=TOOLS),
        "parts": make([PARTS]),
        "image": make([SYSTEM, IMAGE]),
        "null_content": make([HELLO, {"role": "assistant", "content": None}, AGAIN]),
        "think_on": make([SYSTEM, HELLO, THOUGHT, AGAIN], enable_thinking=True, thinking=True),
        "think_off": make([SYSTEM, HELLO, THOUGHT, AGAIN], enable_thinking=False, thinking=False),
        "effort": make([SYSTEM, HELLO], tools=TOOLS, enable_thinking=True, reasoning_effort="high", date_string="1 Jan 2025",
                       custom_tools=None, builtin_tools=["code_interpreter", "brave_search"]),
        "documents": make([SYSTEM, AGAIN], documents=documents),
        "developer": make([{"role": "developer", "content": "Be kind."}, HELLO]),
        "two_users": make([HELLO, AGAIN]),
        "assistant_last": make([HELLO, ANSWER], True, continue_final_message=True),
        "empty": make([], False),
    }


EXPRESSION_CONTEXT = {
    "s": "Hello World", "u": "Grüße, 日本 ßa 🙂", "ws": " \t x y \n", "e": "", "n": 7, "neg": -7, "f": 2.5, "big": 1e20, "t": True, "no": None,
    "html": "<a href=\"x\">'&'</a>", "l": [3, 1, 2], "words": ["pear", "Apple", "fig", "apple"], "nested": [[1, 2], [3, [4, 5]]],
    "d": {"b": 1, "a": 2, "C": 3}, "m": {"items": "mine", "get": "got", "role": "user", "text": "hey", "un": None},
    "people": [{"name": "Ann", "age": 30, "tag": {"x": 1}}, {"name": "bob", "age": 25}, {"name": "Cy", "age": 30, "tag": {"x": 2}}],
    "lines": "one\n  two\n\nthree\r\nfour", "mixed": [1, "1", 1.0, True, None, [1], {"k": [None, False]}],
    "floats": [0.1, 1.0, 1e16, 1e15, 123456789012345680.0, 1e-5, 0.0001, -0.0, 3.14159, 1e22, 5e-324],
}

EXPRESSIONS = []


def add(*sources):
    EXPRESSIONS.extend(sources)


def value(*expressions):
    EXPRESSIONS.extend("{{ " + expression + " }}" for expression in expressions)


# arithmetic
value("1 + 2 * 3", "(1 + 2) * 3", "7 // 2", "-7 // 2", "7 % 3", "-7 % 3", "7 % -3", "7 / 2", "6 / 2", "2 ** 10", "2 ** -1", "-2 ** 2",
      "2 ** 3 ** 2", "7.5 // 2", "-7.5 // 2", "-7.5 % 2", "7.5 % -2", "1 / 0", "1 // 0", "1 % 0", "1.0 % 0", "true + 1", "true * 3", "f * 2", "n - f",
      "n * n", "+n", "-n", "-f", "- -n", "0x1F", "0b101", "0o17", "1_000", "1e3", "1.5e-3", "1 + 1.0", "10 - 2 - 3", "2 * 3 % 4", "100 // 7 // 2",
      "'a' * 3", "3 * 'ab'", "'a' * -1", "[1] * 3", "[1] + [2]", "(1,) + (2,)", "[1] + (2,)", "'a' + 'b'", "'a' + 1", "1 + 'a'", "n + nope", "nope + 'x'",
      "none + 1", "'a' 'b'", "2 * nope", "'x' - 'y'", "{} + {}", "0.1 + 0.2", "1e308 * 10", "-(3)", "not 3", "1 +2", "n-1", "n -1")
# comparison, membership, logic
value("1 < 2 < 3", "1 < 3 < 2", "3 > 2 >= 2", "1 == 1.0", "1 == true", "'a' == 'a'", "'1' == 1", "none == none", "nope == none", "nope == nope2",
      "nope == false", "[1, 2] == [1, 2]", "[1, 2] < [1, 3]", "(1, 2) == [1, 2]", "{'a': 1} == {'a': 1.0}", "'a' < 'b'", "'a' < 1", "none < 1", "nope < 1",
      "'ell' in s", "'x' not in s", "2 in l", "9 in l", "'a' in d", "'z' in d", "1 in 5", "nope in l", "nope in s", "1 in nope", "1 in s", "not 1 in l",
      "[1] in nested", "[1, 2] in nested", "'' in ''", "1 and 2", "0 and 2", "0 or 'x'", "'' or none", "1 or nope.x", "0 and nope.x", "not e", "not not n",
      "t and no", "1 if t else 2", "1 if e else 2", "1 if e", "'a' if e else 'b' if no else 'c'", "(1 if e) is defined", "1 in [1] and 2 in [2]",
      "1 if 1 in [1] else 0", "n if n is odd else f", "d == d", "'A' < 'a'", "'日' > 'z'", "[] < [1]", "(1, 'a') < (1, 'b')", "[1] < ['a']", "1 != 2", "[] or {}")
# access and slices
value("s[0]", "s[-1]", "s[99]", "s[99] is defined", "s[1:4]", "s[::-1]", "s[::2]", "s[-3:]", "s[:-3]", "s[5:2]", "s[10:2:-3]", "u[2]", "u[:5]", "u[-1]", "u[::-1]",
      "l[0]", "l[-1]", "l[5]", "l[1:]", "l[::-1]", "l[:2]", "l[-2:]", "l[0:9]", "l['a']", "l[none]", "l[true]", "l[1.0]", "l[::0]", "nested[1][1][0]", "nested.1.0", "d.a",
      "d['a']", "d.nope", "d['nope'] is defined", "d.nope.x", "nope.x", "nope['x']", "nope", "nope is defined", "m.items is callable", "m['items']", "m.get is callable", "m['get']",
      "m.role", "m.un", "m.un is none", "m.un.x", "no.x", "no['x']", "no.x.y", "n.x", "n[0]", "s.nope", "s['upper']()", "s.upper is callable", "d.items()", "d.keys()",
      "d.values()", "d.items() | list", "d.keys() | list", "d.get('a')", "d.get('z')", "d.get('z', 5)", "d.get('z', default=5)", "d[['x']]", "people[0].name",
      "people[0]['tag'].x", "people[1].tag.x", "people[1].tag", "(1, 2)[0]", "(1, 2)[1:]", "()", "(1,)", "1, 2", "[1, 2,]", "{'a': 1,}", "{1: 2, 'x': [none]}",
      "{'a': 1, 'a': 2}", "{[1]: 2}", "'abc'[1]", "'abc'.1", "d.__class__", "s.__len__", "l.append(4)", "l.append is defined", "d.update({'x': 1})", "d.pop('a')",
      "l.pop()", "l.index(1)", "l.index(9)", "l.count(1)", "l.copy()", "d.copy()", "nope()", "n()", "s()", "u[3:][:2]", "l[1:][0]", "s[none:2]", "s['a']", "no[1:]", "nope[1:]")
# printing
value("floats", "mixed", "d", "people", "nested", "no", "t", "f", "big", "[u]", "['it\\'s', 'say \"x\"', 'both \\' \"', '\\n\\t\\\\']", "1e16", "1e15", "1.0", "100.0",
      "0.1", "1e-7", "123456789.123", "['\\x00\\x7f\\u00ad\\u200b']", "range(3)", "range(1, 10, 2)", "range(1, 10, 2) | list", "range(5, 0, -2) | list", "range(0)|list",
      "range(1000000)", "range()", "range('a')", "namespace(a=1)", "namespace(a=1).a", "namespace(a=1).b is defined", "dict(a=1, b='x')", "dict([['a', 1]])", "dict(d, z=1)",
      "'a' ~ 1 ~ none ~ 1.5 ~ [1]", "1 ~ 2 + 3", "nope ~ 'x'", "'\\u00e9\\x41\\101\\q'", "\"it's\"", "'%s and %r' % ('a', 'b')", "'%d%%' % 5", "'%05.2f|%-6s|%+d' % (3.14159, 'ab', 4)",
      "'%x %X %o %c %e %g' % (255, 255, 8, 'z', 12345.678, 0.0001)", "'%(a)s-%(b)d' % {'a': 1, 'b': 2}", "'%s' % nope", "'%d' % 'x'", "'%s %s' % ('a',)", "'%s' % ('a', 'b')", "'%s' % [1]",
      "'%5d|%-5d|%05d' % (42, 42, -42)", "'%.3s' % 'abcdef'", "'%i' % 3.99", "'%z' % 1")
# tests
value("n is odd", "n is even", "n is divisibleby 7", "n is divisibleby(3)", "n is number", "f is number", "t is number", "s is number", "n is integer", "t is integer",
      "f is integer", "f is float", "n is float", "s is string", "n is string", "d is mapping", "l is mapping", "l is sequence", "s is sequence", "d is sequence",
      "n is sequence", "l is iterable", "s is iterable", "n is iterable", "nope is iterable", "nope is sequence", "t is true", "n is true", "no is none", "nope is none",
      "t is boolean", "n is boolean", "no is not none", "n is not defined", "n is undefined", "nope is undefined", "s is lower", "'abc' is lower", "'ABC' is upper",
      "n is eq 7", "n is equalto 7", "n is ne 7", "n is gt 3", "n is lt(3)", "n is ge 7", "n is le 7", "n is greaterthan 3", "n is in [7]", "1 is sameas true", "t is sameas true",
      "range is callable", "s is callable", "'upper' is filter", "'nofilter' is filter", "'odd' is test", "n is nosuchtest", "n is odd is true", "not n is odd",
      "n is defined and n > 3", "nope is defined or n > 3", "d.items() is iterable", "d.keys() is sequence", "(l | map('string')) is iterable", "(l|map('string')) is sequence",
      "range(3) is sequence", "s|safe is escaped", "s is escaped", "loop is defined", "n is string or n is number", "none is mapping", "s is in ['Hello World']", "'' is upper")
# filters on text
value("s | upper", "s|lower", "u | upper", "u|lower", "'hELLO wORLD'|capitalize", "'hello world-foo (bar) baz_q'|title", "ws|trim", "'xxaxx'|trim('x')", "s|length", "u|length",
      "nope|length", "n|length", "no|length", "s|replace('l', 'L')", "s|replace('l', 'L', 2)", "s|replace('', '-')", "n|replace(7, 8)", "s|reverse", "u|reverse", "html|escape", "html|e", "html|safe",
      "html|e|e", "html|forceescape", "html|safe + '<x>'", "'<x>' + html|safe", "('<x>'|safe) ~ '<y>'", "(html|e)|upper", "n|string", "no|string", "nope|string", "l|string", "d|string|length", "s|center(21)|replace(' ', '.')",
      "lines|indent", "lines|indent(2)", "lines|indent(2, true)", "lines|indent(2, blank=true)", "lines|indent('>')", "lines|indent(width=1, first=true)", "''|indent", "n|indent", "s|truncate(8)", "s|truncate(8, true)",
      "s|truncate(5, true, '', 0)", "'foo bar baz qux'|truncate(9, false, '...', 0)", "s|wordcount", "'a b/c?d=é&~'|urlencode", "{'a b': 'c/d', 'e': 1}|urlencode", "'%s-%s'|format(1, 'x')", "'%(a)s'|format(a=3)",
      "no|upper", "nope|upper", "n|upper", "no|trim", "nope|trim", "s|first", "s|last", "e|first", "e|first is defined", "s|list", "u|list", "s|join('-')", "s|sort|join", "s|unique|join", "s|min", "s|nosuch", "'x' if t else s|nosuch")
# filters on lists
value("l|join(', ')", "l|join", "mixed|join('|')", "people|join(',', attribute='name')", "nope|join", "n|join", "no|join", "l|first", "l|last", "[]|first", "[]|last is defined", "d|first", "d|last", "l|list", "d|list", "nope|list",
      "no|list", "l|sort", "l|sort(reverse=true)", "words|sort", "words|sort(case_sensitive=true)", "words|sort(true)", "people|sort(attribute='age')|map(attribute='name')|join", "people|sort(attribute='age,name', reverse=true)|map(attribute='name')|join",
      "mixed|sort", "words|unique|list", "words|unique(true)|list", "[1, 1.0, true, 2]|unique|list", "nested|unique|list", "l|min", "l|max", "words|min", "[]|min", "people|max(attribute='age')", "l|sum", "l|sum(start=10)", "people|sum(attribute='age')", "words|sum",
      "l|reverse|list", "l|reverse|first", "d|reverse|list", "l|map('string')|list", "words|map('upper')|join(' ')", "people|map(attribute='name')|list", "people|map(attribute='tag.x')|list", "people|map(attribute='tag.x', default=0)|list", "people|map(attribute='tag')|list",
      "nested|map('first')|list", "l|map('nosuch')|list", "l|map|list", "words|map('replace', 'p', 'P')|list", "l|select('odd')|list", "l|select|list", "mixed|select('string')|list", "l|reject('odd')|list", "mixed|select|list", "l|select('gt', 1)|list",
      "people|selectattr('tag')|map(attribute='name')|list", "people|selectattr('age', 'equalto', 30)|map(attribute='name')|list", "people|rejectattr('tag', 'defined')|map(attribute='name')|list", "people|selectattr('age', 'gt', 26)|list|length",
      "people|selectattr('age', 'equalto', 30)|length", "people|selectattr('age', '==', 30)|first", "people|selectattr('x.y', 'defined')|list", "l|selectattr|list", "no|map('upper')|list", "n|map('upper')|list", "nope|selectattr('x')|list", "l|batch(2)|list", "l|batch(2, 'x')|list", "range(7)|slice(3)|list", "range(7)|slice(3, 'f')|list",
      "people|groupby('age')|list", "people|groupby('name')|map('first')|list", "d|items|list", "nope|items|list", "l|items|list", "d|dictsort", "d|dictsort(true)", "d|dictsort(by='value', reverse=true)", "d|dictsort(false, 'x')", "l|dictsort", "l|count", "d|length", "range(4)|length", "d.items()|length", "(l|map('string'))|length",
      "l|attr('count') is defined", "d|attr('a') is defined", "d|attr('get') is defined", "l|tojson|length")
# numbers, default, json
value("'42'|int", "'42.9'|int", "'x'|int", "'x'|int(5)", "'0x1f'|int(base=16)", "'ff'|int(0, 16)", "'101'|int(base=2)", "3.99|int", "-3.99|int", "no|int", "nope|int", "l|int", "t|int", "' 12 '|int", "'1_000'|int", "''|int", "'1e3'|int", "'3.5'|float", "'x'|float", "'x'|float(1.5)", "n|float", "'nan'|float", "'inf'|float", "'-1e400'|float",
      "2.5|round", "3.5|round", "42.55|round(1)", "42.55|round(1, 'floor')", "42.51|round(1, 'ceil')", "2.675|round(2)", "7|round", "1234|round(-2)", "1250|round(-2)", "1350|round(-2)", "1234.5|round(-2)", "42.55|round(0, 'floor')|int", "'x'|round", "-2.5|round", "neg|abs", "-2.5|abs", "'x'|abs", "t|abs", "1.5|round(1, 'up')",
      "nope|default('x')", "e|default('x')", "e|default('x', true)", "no|default('x')", "no|d('x', true)", "nope|default", "nope.x|default('y')", "d.nope|default('y')", "n|default('x', boolean=true)", "0|default(1, boolean=true)", "nope|default(nope2)",
      "mixed|tojson", "d|tojson", "people|tojson(indent=2)", "html|tojson", "u|tojson", "u|tojson(ensure_ascii=true)", "floats|tojson", "nope|tojson", "{'x': nope}|tojson", "(1, 2)|tojson", "d|tojson(sort_keys=true)", "d|tojson(separators=(',', ':'))", "{}|tojson(indent=4)", "[[], {}, [1]]|tojson(indent=1)", "{1: 2, none: 3, true: 4, 1.5: 5}|tojson",
      "'\\n\\t\\\"\\\\/\\b\\x01\\x7f'|tojson", "'\\x7f'|tojson(true)", "d.items()|tojson", "range(3)|tojson", "range|tojson", "no|tojson", "t|tojson", "'nan'|float|tojson", "d|tojson(indent='\\t')", "d|tojson(indent=0)", "{(1,2): 3}|tojson", "nested|tojson(indent=true)", "people|map(attribute='name')|tojson", "html|tojson|safe")
# methods of text
value("ws.strip()", "ws.lstrip()", "ws.rstrip()", "'xyaxy'.strip('xy')", "'aab'.lstrip('a')", "'baa'.rstrip('a')", "ws.strip(none)", "'a,b,,c'.split(',')", "'a,b,,c'.split(',', 1)", "'a,b,,c'.rsplit(',', 1)", "' a  b c '.split()", "' a  b c '.split(none, 1)", "' a  b c '.rsplit(none, 1)", "' a  b c '.split(maxsplit=1)", "''.split()", "''.split(',')", "'a'.split('')",
      "'abc'.split('b')[-1]", "'<think>x</think>y'.split('</think>')[0].split('<think>')[-1]", "s.startswith('Hell')", "s.startswith(('x', 'H'))", "s.startswith('ello', 1)", "s.endswith('ld')", "s.endswith(('ld', 'x'))", "s.endswith('ll', 0, 4)", "s.startswith(1)", "s.startswith('')", "s.startswith('', 99)", "s.replace('o', '0')", "s.replace('o', '0', 1)", "s.replace('', '.')", "s.replace('l', '')", "s.upper()", "s.lower()", "s.title()", "'it\\'s a dog'.title()", "'hELLO'.capitalize()", "s.swapcase()", "u.upper()", "'ß'.title()",
      "s.find('o')", "s.find('o', 5)", "s.find('z')", "u.find('日')", "s.rfind('o')", "s.index('W')", "s.index('z')", "s.count('l')", "s.count('')", "'aaa'.count('aa')", "'{} {}'.format(1, 'x')", "'{0}{1}{0}'.format('a', 'b')", "'{x} {y[0]} {z.a}'.format(x=1, y=[2], z=d)", "'{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd')", "'{:05d}|{:+d}|{:,}|{:x}|{:#x}|{:b}'.format(42, 42, 1234567, 255, 255, 5)", "'{:.2f}|{:8.3f}|{:e}|{:g}|{:%}'.format(3.14159, 2.5, 1234.5, 0.00001, 0.25)", "'{!r} {!s}'.format('a', 'b')", "'{{}}'.format()", "'{}'.format()", "'{'.format(1)", "'}'.format(1)", "'{a}'.format(b=1)", "'{} {0}'.format(1)", "'{:{}}'.format('a', 5)", "'{}'.format([1, 'a'])", "'{:d}'.format('x')", "'{:s}'.format(1)", "'{:.3}'.format('abcdef')", "'{:5}|{:5}'.format(1, 'a')", "'{}'.format(none)", "'{:5}'.format(none)", "'{}'.format(t)", "'{:.3}'.format(1.23456)",
      "'-'.join(words)", "'-'.join(l)", "''.join([])", "', '.join(d)", "'-'.join('abc')", "lines.splitlines()", "lines.splitlines(true)", "'a\\n'.splitlines()", "'abc'.removeprefix('a')", "'abc'.removesuffix('c')", "'abc'.removeprefix('x')", "'a-b-c'.partition('-')", "'a-b-c'.rpartition('-')", "'abc'.partition('-')", "'abc'.rpartition('-')", "'7'.zfill(3)", "'-7'.zfill(4)", "'a'.ljust(3) ~ '|'", "'a'.rjust(3, '*')", "'ab'.center(5, '*')", "'abc'.center(6, '*')", "'12'.isdigit()", "'1a'.isdigit()", "''.isdigit()", "'ab'.isalpha()", "'a1'.isalnum()", "' '.isspace()", "'AB'.isupper()", "'ab'.islower()", "'Ab Cd'.istitle()", "s.nosuch()", "s.upper(1)", "'é'.upper()", "s.format_map(d)", "'{a}'.format_map(d)", "'a b'.split(' ') | last", "s.split() | map('length') | list", "'x'.join(l|map('string'))")
# calls and arguments
value("range(*[1, 4])|list", "dict(**{'a': 1})", "s.replace(*['l', 'L'])", "d.get(*['z', 9])", "strftime_now('%Y-%m-%d')", "strftime_now('%d %B %Y, %H:%M:%S %A %j %b %a %p %y %%')", "strftime_now('')", "raise_exception('no')", "raise_exception()", "joiner('x')()", "range(3).x", "dict(a=1).a", "namespace({'a': 1}, b=2).b")
# statements and white space
add("a\n  {% if t %}\n  b\n  {% endif %}\nc\n", "{% if t %}x{% endif %}\ny", "  {{ n }}\n  {# c #}\n  x", "{%- if t -%}\n  x\n  {%- endif -%}  y", "a {%- if t %} b {%- endif %} c", "x\n\n  {%+ if t %}y{% endif +%}\n z", "a\n\n{#- c -#}\n\nb", "{# a {{ b }} #}x", "{#a#}\n\nb", "a {{- n -}} b", "a\n {{ n }}\n b\n", "x {#- y #}", "{{ n }}\n\n", "\n\n{{ n }}", "a\r\nb\rc", "{% raw %}{{ x }} {% y %}{% endraw %}!", "a\n  {% raw -%}\n  {{ x }}\n  {%- endraw %}\n b", "{%raw%}{%endraw%}", "{% raw %}x", "{{ '}}' }}", "{{ {'a': {'b': 1}}['a']['b'] }}", "{{ {'a': {'b': 1}} }}", "{{ '{%' }}", "{{", "{%", "{#", "{{ }}", "{% %}", "{{ 1", "{% if %}x{% endif %}", "{% if t %}", "{% endif %}", "{% else %}", "{{ 1 2 }}", "{{ [1 }}", "{{ (1] }}", "{{ 'x }}", "{% unknown %}", "{{ n | }}", "{{ .5 }}", "{{ 1. }}", "{{ a b }}", "}} %} #}", "{ { % } }", "{{ n }}}", "{{{ n }}}", "{{-n}}", "{{--n}}", "{{+n}}", "{%- set x = 1 -%} {{ x }}", "line {# c #} same\n   {# c #}\nnext", "\t{% if t %}\n\tx\n\t{% endif %}\n")
add("{% if n > 9 %}a{% elif n > 5 %}b{% else %}c{% endif %}", "{% if nope %}a{% elif e %}b{% else %}c{% endif %}", "{% if t %}{% set y = 1 %}{% endif %}{{ y }}", "{% if e %}{% set s = 1 %}{% endif %}{{ s }}", "{% if t: %}x{% endif %}")
add("{% for x in l %}{{ x }},{% endfor %}", "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}", "{% for x in [] %}x{% else %}none{% endfor %}", "{% for x in nope %}x{% else %}none{% endfor %}", "{% for x in no %}x{% endfor %}", "{% for x in 5 %}x{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }} {% endfor %}", "{% for k, v in d | dictsort %}{{ k }}={{ v }} {% endfor %}", "{% for a, b in [[1, 2], (3, 4)] %}{{ a + b }} {% endfor %}", "{% for a, b in [[1]] %}{% endfor %}", "{% for a, (b, c) in [[1, [2, 3]]] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for c in 'añb' %}[{{ c }}]{% endfor %}", "{% for x in l if x > 1 %}{{ loop.index }}:{{ x }}/{{ loop.length }} {% endfor %}", "{% for x in l if x > 9 %}{{ x }}{% else %}none{% endfor %}", "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% else %}e{% endfor %}", "{% break %}", "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}", "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}", "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for x in [1, 1, 2] %}{{ loop.changed(x) }} {% endfor %}", "{% for x in l %}{% for y in l %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}", "{% for x in l %}{% set o = loop %}{% for y in [1] %}{{ o.index }}{% endfor %}{% endfor %}", "{% for x in l %}{% endfor %}{{ x }}", "{% set x = 0 %}{% for y in l %}{% set x = x + y %}{{ x }}{% endfor %}{{ x }}", "{% set ns = namespace(x=0) %}{% for y in l %}{% set ns.x = ns.x + y %}{% endfor %}{{ ns.x }}", "{% for x in nested recursive %}{% if x is iterable %}[{{ loop(x) }}]{% else %}{{ x }}{{ loop.depth }}{% endif %}{% endfor %}", "{% for x in l %}{{ loop(x) }}{% endfor %}", "{% for x in l|reverse %}{{ x }}{{ loop.last }}{% endfor %}", "{% for x in l[1:] + [9] %}{{ x }}{% endfor %}", "{% for x in l, 5 %}{{ x }}{% endfor %}", "{% for loop in l %}{{ loop }}{% endfor %}", "{% for x in range(3) %}{{ x }}{% endfor %}", "{% for x in 'ab' if x != 'a' %}{{ x }}{{ loop.last }}{% endfor %}", "{% set ns = namespace(on=true) %}{% for x in l if ns.on %}{{ x }}{% set ns.on = false %}{% endfor %}", "{% for item in d.items() %}{{ item[0] }}{{ item.1 }}{% endfor %}", "{% for x in l %}{{ loop.nope }}{% endfor %}", "{% for x in l %}{{ loop.length }}{% break %}{% endfor %}", "{% for p in people|groupby('age') %}{{ p.0 }}:{{ p[1]|length }} {% endfor %}", "{% for a.b in l %}{% endfor %}", "{% for x in l if x is odd else %}{% endfor %}")
add("{% set x = 1 %}{{ x }}", "{% set x, y = 1, 2 %}{{ x }}{{ y }}", "{% set (x, y) = [1, 2] %}{{ x }}{{ y }}", "{% set x, y = 1 %}", "{% set x = 1, 2 %}{{ x }}", "{% set x %}a{{ n }}b{% endset %}[{{ x }}]", "{% set x | upper %}abc{% endset %}{{ x }}", "{% set x | replace('a', 'b') | upper %}abc{% endset %}{{ x }}", "{% set d.x = 1 %}", "{% set nope.x = 1 %}", "{% set ns = namespace() %}{% set ns.a = 1 %}{% set ns.b = ns.a + 1 %}{{ ns.a }}{{ ns.b }}{{ ns.c }}", "{% set ns = namespace(a=1) %}{% set ns.a %}blk{% endset %}{{ ns.a }}", "{% set true = 1 %}", "{% set 1 = 1 %}", "{% set x = n if t else s %}{{ x }}", "{% set ns = namespace(l=[]) %}{% for x in l %}{% set ns.l = ns.l + [x * 2] %}{% endfor %}{{ ns.l }}", "{% set ns = namespace(a=1) %}{% set ns.a, x = 3, 4 %}{{ ns.a }}{{ x }}", "{% set x = y = 1 %}")
add("{% macro m(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(b=5, a=4) }} {{ m() }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(x=2) }}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}{{ m(1) }}", "{% macro m(n) %}{% if n > 0 %}{{ n }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(4) }}", "{% macro m() %}{{ x }}{% endmacro %}{% set x = 5 %}{{ m() }}", "{% set x = 1 %}{% macro m() %}{% set x = 2 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}", "{% macro m() %}a{% endmacro %}{{ m()|upper ~ m() }}{{ m() | length }}", "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(3) }}", "{% macro box() %}<{{ caller() }}>{% endmacro %}{% call box() %}in{{ n }}{% endcall %}", "{% macro each(l) %}{% for x in l %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(x) each(l) %}[{{ x }}]{% endcall %}", "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}", "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}", "{% macro m(a=1, b) %}{% endmacro %}", "{% macro m() %}{% break %}{% endmacro %}", "{{ m() }}{% macro m() %}x{% endmacro %}", "{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}", "{% macro m(x) %}{{ x }}{% endmacro %}{{ m.name }}{{ m is callable }}", "{% macro m(x='d') -%}\n  [{{ x }}]\n{%- endmacro %}\n{{ m() }}\n{{ m(none) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'a': 2}) }}", "{% macro m(a) %}{% endmacro %}{{ m(1, a=2) }}", "{% call s.upper() %}x{% endcall %}", "{% call n %}x{% endcall %}")
add("{% filter upper %}ab{{ s }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}aXa{% endfilter %}", "{% filter nosuch %}x{% endfilter %}", "{% if e %}{{ s | nosuch }}{% endif %}ok", "{% if e %}{% for x in l %}{{ s | nosuch }}{% endfor %}{% endif %}ok", "{{ 1 if t else s|nosuch }}", "{{ s|nosuch if e else 1 }}", "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set q = 1 %}{% endwith %}{{ q }}", "{% generation %}a{{ n }}{% set z = 1 %}{% endgeneration %}{{ z }}", "{% for x in l %}{% generation %}{{ x }}{% endgeneration %}{% endfor %}", "{% print n, s %}", "{% set gen = l | map('string') %}{{ gen | list }}{{ gen | list }}", "{% set gen = l | select('odd') %}{{ gen | first }}{{ gen | first }}", "{% set x = 5 | map('upper') %}ok", "{% set x = 5 | map('upper') %}{{ x | list }}", "{{ '\n' }}x", "{% set a = [1, [2, (3, {'k': 'v'})]] %}{{ a }}{{ a|tojson }}", "{% include 'x' %}", "{% do 1 %}", "{% if s is string and s | length > 3 and not (n is odd and f) %}y{% else %}n{% endif %}", "{%if t%}a{%else%}b{%endif%}", "{% if not t is defined %}a{% else %}b{% endif %}", "{{ messages }}", "{{ l[0] if l else 'none' }}", "{% for m in people %}{%- if loop.index0 == 0 and m.name == 'Ann' %}{{ m.name + '!' }}{%- else %}{{ ', ' + m['name'] | lower }}{%- endif %}{% endfor %}")
