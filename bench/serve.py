#!/usr/bin/env python3
"""Compares qrun serve with llama-server; see README.md.

    bench/serve.py LOAD.py DIR --llama-server PROGRAM [--scheme da8w4:q4_0] [--quick]

DIR is the folder of bench/peers.sh, with the .qpt, the .gguf and qrun. LOAD.py is a load generator for the OpenAI API that starts
the server it measures (--spawn) and writes what it saw as JSON. The servers take turns, each started anew for every test.
"""
import argparse
import json
import os
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
        for name, test, clients in TESTS:
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
                found[name, server] = doc["results"][0] | doc["startup"] | {"file_mib": round(os.path.getsize(file) / 2**20)}
    head = ["", "server", "tokens/s", "to the first token, median", "between tokens, median and longest", "start to the first token", "resident, file"]
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for (name, server), r in found.items():
        gap = f"{r['itl_ms']['p50']:.0f}, {r['itl_ms']['max']:.0f} ms"
        first = r["ttft_ms"]["p50"]
        if "gap_during_max_ms" in r:
            gap, first = f"{r['gap_during_p50_ms']:.0f}, {r['gap_during_max_ms']:.0f} ms", r["long_ttft_ms"]
        print(f"| {name} | {server} | {r['tok_s']:.1f} | {first / 1000:.2f} s | {gap} | {r['first_token_s']:.2f} s | {r['peak_rss_mib']}, {r['file_mib']} MiB |")
    for name, _, _ in TESTS:
        if (name, "llama-server") in found:
            q, l = found[name, "qrun"], found[name, "llama-server"]
            print(f"{name}: {q['tok_s'] / l['tok_s']:.2f} times the tokens/s, {q['ttft_ms']['p50'] / l['ttft_ms']['p50']:.2f} of the time to the first token")


if __name__ == "__main__":
    main()
