"""Renders every template of templates/ with every conversation of conversations.jsonl through Jinja2, set up as
transformers' apply_chat_template does, and writes goldens.json. Run in this folder's parent: python3 gen/goldens.py"""

import datetime
import json
import pathlib

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    """{% generation %} marks what the assistant wrote; the text is the same."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("body"), [], [], body).set_lineno(line)

    def body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def strftime_now(form):
    return datetime.datetime(2024, 7, 26).strftime(form)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = raise_exception
env.globals["strftime_now"] = strftime_now

here = pathlib.Path(__file__).parent.parent
talks = [json.loads(line) for line in (here / "conversations.jsonl").read_text().splitlines()]
goldens = []
for path in sorted((here / "templates").glob("*.jinja")):
    results = []
    for talk in talks:
        try:
            text = env.from_string(path.read_text()).render(
                messages=talk, tools=None, documents=None, add_generation_prompt=False, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
            results.append({"text": text})
        except Exception as e:
            results.append({"error": f"{type(e).__name__}: {e}"})
    goldens.append({"template": path.name, "results": results})
(here / "goldens.json").write_text(json.dumps(goldens, indent=1, ensure_ascii=False) + "\n")
