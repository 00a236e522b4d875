"""Renders the templates of families/ as transformers does, with tools and switches, and writes families.json.

Run in this folder's parent: python3 gen/families.py, or with a folder of other templates, beside which it writes: python3 gen/families.py DIR,
then QPT_TEMPLATES=DIR go test -run TestFamilies. Needs transformers 5.24. Each case has the template, the index of a
conversation (of conversations.jsonl, then families.jsonl), whether there are tools, add_generation_prompt, further variables, and the text or the error.
"""
import datetime, json, pathlib, sys

import transformers.utils.chat_template_utils as utils


class Day(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


utils.datetime = Day
here = pathlib.Path(__file__).parent.parent
talks = [json.loads(line) for name in ("conversations.jsonl", "families.jsonl") for line in (here / name).read_text().splitlines()]
tools = json.loads((here / "tools.json").read_text())
switches = [{"enable_thinking": False}, {"thinking": True, "reasoning_effort": "low", "tools_in_user_message": False, "controls": {"length": "short"}, "documents": [{"doc_id": 7, "text": "a é"}]}]
folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "families"
cases = []
for path in sorted(folder.glob("*.jinja")):
    try:
        template = utils._compile_jinja_template(path.read_text(encoding="utf-8"))
    except Exception as e:
        print(path.name, type(e).__name__, str(e)[:100])
        continue
    for i, talk in enumerate(talks):
        seen = set()
        more = [(g, True, s) for s in switches for g in (False, True)] if i >= len(talks) - 3 else []
        for given, prompt, more in [(False, True, {}), (True, False, {}), *more]:
            c = {"template": path.name, "talk": i, "tools": given, "prompt": prompt, "vars": more}
            try:
                c["text"] = template.render(**{"messages": talk, "tools": tools if given else None, "documents": None, "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>", **more})
            except Exception as e:
                c["error"] = type(e).__name__
            key = (c.get("text"), c.get("error"))
            if key not in seen:  # a switch that changes nothing here
                seen.add(key)
                cases.append(c)
(folder / "cases.json" if len(sys.argv) > 1 else here / "families.json").write_text("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases) + "\n]\n")
print(len(cases), sum("error" in c for c in cases))
