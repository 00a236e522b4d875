"""Writes suite.json.gz: the groups of the JSON Schema test suite for 2020-12, and its formats, in one file.

    python suite.py FOLDER    # a checkout of github.com/json-schema-org/JSON-Schema-Test-Suite, or its bare repository
"""

import gzip, json, pathlib, subprocess, sys

FORMATS = "date date-time duration email hostname ipv4 ipv6 time uuid".split()
repo = sys.argv[1]


def git(*args):
    return subprocess.run(["git", "-C", repo, *args], check=True, capture_output=True, text=True).stdout


groups = []
for path in git("ls-tree", "--name-only", "HEAD:tests/draft2020-12/").split() + [f"optional/format/{f}.json" for f in FORMATS]:
    if not path.endswith(".json"):
        continue
    for group in json.loads(git("show", "HEAD:tests/draft2020-12/" + path)):
        tests = [{"data": json.dumps(t["data"], separators=(",", ":"), ensure_ascii=False), "valid": t["valid"]} for t in group["tests"]]
        groups.append({"name": path + ": " + group["description"], "schema": group["schema"], "tests": tests})
out = pathlib.Path(__file__).parent.parent / "suite.json.gz"
out.write_bytes(gzip.compress(json.dumps({"license": git("show", "HEAD:LICENSE"), "commit": git("rev-parse", "HEAD").strip(), "groups": groups}, ensure_ascii=False).encode(), 9, mtime=0))
print(len(groups), "groups")
