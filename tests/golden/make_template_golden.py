#!/usr/bin/env python3
"""Makes tests/golden/template/*.json: what Python's jinja2, set up as Hugging Face sets it up, makes of templates and expressions.

usage: make_template_golden.py TEMPLATE_FOLDER     (vendor/llama.cpp/models/templates of the llama-cpp-python source package)

templates.json    the contexts, and for each template and context the XXH3-128 of the text, or "error"
expressions.json  small templates with their text, or "error"
The templates themselves are not kept here.
"""
import datetime
import json
import pathlib
import sys

import jinja2
import jinja2.ext
import jinja2.sandbox
import xxhash

import template_cases

NOW = datetime.datetime(2024, 7, 26, 9, 30, 0)


class Generation(jinja2.ext.Extension):
    """Hugging Face's {% generation %}, without the tracking."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_through"), [], [], body).set_lineno(line)

    @jinja2.pass_eval_context
    def _through(self, context, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def render(source, context):
    try:
        text = environment().from_string(source).render(**json.loads(json.dumps(context)))
        text.encode()
        return text
    except Exception:  # whatever Python raises, our side has one answer for it
        return None


def digest(data):
    return xxhash.xxh3_128_hexdigest(data)


def main():
    folder = pathlib.Path(sys.argv[1])
    out = pathlib.Path(__file__).parent / "template"
    contexts = template_cases.contexts()
    results = {}
    for path in sorted(folder.glob("*.jinja")):
        source = path.read_bytes().decode()
        row = {"source": digest(path.read_bytes())}
        for name, context in contexts.items():
            text = render(source, context)
            row[name] = "error" if text is None else digest(text.encode())
        results[path.name] = row
    golden = {"jinja2": jinja2.__version__, "now": NOW.isoformat(), "contexts": contexts, "templates": results}
    lines = json.dumps(golden, ensure_ascii=False, indent=1, separators=(",", ":"))
    (out / "templates.json").write_text(lines + "\n")
    cases = []
    for source in template_cases.EXPRESSIONS:
        text = render(source, template_cases.EXPRESSION_CONTEXT)
        cases.append({"source": source, "error": True} if text is None else {"source": source, "text": text})
    golden = {"jinja2": jinja2.__version__, "now": NOW.isoformat(), "context": template_cases.EXPRESSION_CONTEXT, "cases": cases}
    (out / "expressions.json").write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")
    errors = sum(1 for row in results.values() for value in row.values() if value == "error")
    print(f"{len(results)} templates x {len(contexts)} contexts, {errors} errors; {len(cases)} expressions, "
          f"{sum('error' in case for case in cases)} errors")


if __name__ == "__main__":
    main()
