#!/usr/bin/env python3
"""Compares qrun serve with llama-server; see README.md.

    bench/serve.py LOAD.py DIR --llama-server PROGRAM [--scheme da8w4:q4_0] [--rounds 3] [--quick]

DIR is the folder of bench/peers.sh, with the .qpt, the .gguf and qrun. LOAD.py is a load generator for the OpenAI API that starts
the server it measures (--spawn) and writes what it saw as JSON. The servers take turns, each started anew for every test; figures
are medians of the rounds, longest gaps and memory the most of all. A round takes some four minutes.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

TESTS = [("1 client", "steady", 1), ("4 clients", "steady", 4), ("16 clients", "steady", 16), ("4 clients, then 1,500 tokens", "intrude", 4)]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("load")
    p.add_argument("dir")
    p.add_argument("--llama-server", default="", help="none: qrun alone")
    p.add_argument("--scheme", default="da8w4:q4_0", help="of the .qpt, and the type of the .gguf")
    p.add_argument("--shape", default="tinyllama-1.1b")
    p.add_argument("--port", type=int, default=8177)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--quick", action="store_true", help="few tokens: to see whether it runs")
    a = p.parse_args()
    scheme, gguf = a.scheme.split(":")
    model = os.path.join(a.dir, a.shape)
    qpt, gguf = f"{model}.{scheme}.qpt", f"{model}.{gguf}.gguf"
    servers = {"qrun": (f"{a.dir}/qrun serve {qpt} --port {a.port} --log none", "/ready", qpt)}
    if a.llama_server:
        servers["llama-server"] = (f"{a.llama_server} -m {gguf} --port {a.port} -t {a.threads} -np 16 -c 16384 -kvu", "/health", gguf)
    found = {}
    with tempfile.TemporaryDirectory() as tmp:
        for name, test, clients in TESTS * a.rounds:
            for server, (command, ready, file) in servers.items():
                out = os.path.join(tmp, "out.json")
                args = [sys.executable, a.load, "--url", f"http://127.0.0.1:{a.port}", "--spawn", command, "--ready", ready, "--tests", test, "--json", out]
                args += ["--concurrency", str(clients), "--streams", "4"]
                if a.quick:
                    args += ["--rounds", "1", "--min-requests", "1", "--prompt", "64", "--output", "16", "--intrude-output", "64", "--long", "300"]
                if subprocess.run(args, stdout=sys.stderr).returncode:
                    sys.exit(f"serve.py: {server}, {name}: the load generator failed")
                with open(out) as f:
                    doc = json.load(f)
                found.setdefault((name, server), []).append(figures(doc) | {"file": os.path.getsize(file) / 2**20})
    most = {"longest", "resident"}
    found = {k: {f: (max if f in most else statistics.median)(r[f] for r in list) for f in list[0]} for k, list in found.items()}
    head = ["", "server", "tokens/s", "to the first token, median", "between tokens, median and longest", "start to the first token", "resident, file"]
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for (name, server), r in found.items():
        print(f"| {name} | {server} | {r['rate']:.1f} | {r['first'] / 1000:.2f} s | {r['between']:.0f}, {r['longest']:.0f} ms | {r['start']:.2f} s | {r['resident']:.0f}, {r['file']:.0f} MiB |")
    print()
    for name, _, _ in TESTS:
        if (name, "llama-server") in found:
            q, l = found[name, "qrun"], found[name, "llama-server"]
            print(f"{name}: {q['rate'] / l['rate']:.2f} times the tokens/s, {q['first'] / l['first']:.2f} of the time to the first token")


def figures(doc):
    """Those of one test, in milliseconds, seconds and MiB. Where a long prompt comes between, the time to its first token, and the others' gaps meanwhile."""
    r = doc["results"][0]
    f = {"rate": r["tok_s"], "first": r["ttft_ms"]["p50"], "between": r["itl_ms"]["p50"], "longest": r["itl_ms"]["max"],
         "start": doc["startup"]["first_token_s"], "resident": r["peak_rss_mib"]}
    if "gap_during_max_ms" in r:
        f |= {"first": r["long_ttft_ms"], "between": r["gap_during_p50_ms"], "longest": r["gap_during_max_ms"]}
    return f


if __name__ == "__main__":
    main()
