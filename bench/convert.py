#!/usr/bin/env python3
"""Converts one checkpoint with qconv and with llama.cpp's quantizer in turns; see README.md.

    bench/convert.py DIR [--rounds 5] [--threads 2] [--scheme da8w4] [--ftype 2]

DIR is the folder of peers.sh. The quantizer is llama_model_quantize of the npm
package's library, what the program llama-quantize calls; it reads a GGUF file
of the same bfloat16 weights. ftype 2 is Q4_0, 7 Q8_0.
"""
import argparse, os, statistics, subprocess, sys, time

import llamacpp

arg = argparse.ArgumentParser()
arg.add_argument("dir")
for name, value in (("rounds", 5), ("threads", 2), ("ftype", 2)):
    arg.add_argument("--" + name, type=int, default=value)
arg.add_argument("--scheme", default="da8w4")
arg.add_argument("--shape", default="tinyllama-1.1b")
arg.add_argument("--quantize", nargs=2, help=argparse.SUPPRESS)  # the child that quantizes
arg = arg.parse_args()
folder = os.path.abspath(arg.dir)


def run(command):
    """Returns the seconds, CPU seconds and peak MB of a command."""
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"convert: error: {' '.join(command)} ended with status {status}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if arg.quantize:
    sys.exit(llamacpp.quantize(llamacpp.load(folder)[1], *arg.quantize, arg.ftype, arg.threads))
model = os.path.join(folder, arg.shape)
gguf, out = model + ".bf16.gguf", os.path.join(folder, "converted.tmp")
if not os.path.exists(gguf):
    subprocess.run(["go", "run", "./bench/gguf/mkgguf", "--in", model, "--type", "bf16", "--out", gguf], check=True)
commands = {
    f"llama.cpp ftype {arg.ftype}": [sys.executable, os.path.abspath(__file__), folder, "--threads", str(arg.threads), "--ftype", str(arg.ftype), "--quantize", gguf, out],
    f"qconv {arg.scheme}": [folder + "/qconv", "--in", model, "--scheme", arg.scheme, "--references", "-1", "--threads", str(arg.threads), "--out", out],
}
runs = {name: [] for name in commands}
for i in range(arg.rounds + 1):  # the first fills the page cache
    for name, command in commands.items():
        figures = run(command)
        os.remove(out)
        if i:
            runs[name].append(figures)
print("| converter | seconds, median (min-max) | CPU seconds | peak memory, MB |\n| --- | --- | --- | --- |")
for name, list in runs.items():
    wall, cpu, memory = zip(*list)
    print(f"| {name} | {statistics.median(wall):.2f} ({min(wall):.2f}-{max(wall):.2f}) | {statistics.median(cpu):.2f} | {max(memory):.0f} |")
first, second = (statistics.median(r[0] for r in list) for list in runs.values())
print(f"\nqconv takes {second / first:.2f} of the time")
