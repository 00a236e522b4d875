#!/usr/bin/env python3
"""Writes what llama.cpp's quantizer makes of a Llama checkpoint, with an importance matrix; see README.md.

    bench/importance.py MODULES CHECKPOINT CALIB.jsonl OUT q4_k_m iq4_xs q4_0

MODULES is the folder of peers.sh with the npm package; Python needs torch, transformers and gguf. Which type each tensor gets is
llama_model_quantize's choice; the bytes come from ggml_quantize_chunk with the mean square of each input of a
layer over the texts of CALIB.jsonl (field "text", 64 of them, 256 tokens each at most), as llama-imatrix collects it. The table of embeddings and the output layer get none, as there.
Writes OUT/TYPE.gguf and, with importance, OUT/TYPE-importance.gguf, for qconv to take and qrun eval to judge.
"""
import ctypes, json, os, shutil, subprocess, sys

import llamacpp

FTYPES = {"q4_0": 2, "q4_1": 3, "q8_0": 7, "q4_k_s": 14, "q4_k_m": 15, "q6_k": 18, "iq4_nl": 25, "iq4_xs": 30}
modules, checkpoint, calib, out, types = sys.argv[1], sys.argv[2], sys.argv[3], os.path.abspath(sys.argv[4]), sys.argv[5:]
here = os.path.dirname(os.path.abspath(__file__))


def importance():
    """The mean square of each input, by the GGUF name of the layer."""
    import torch, transformers
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    sums, count = {}, 0
    names = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}
    for name, layer in model.named_modules():
        parts = name.split(".")
        if parts[-1] in names:
            key = f"blk.{parts[2]}.{names[parts[-1]]}.weight"
            layer.register_forward_pre_hook(lambda _, x, key=key: sums.__setitem__(key, sums.get(key, 0) + x[0].double().square().sum((0, 1))))
    with torch.no_grad():
        for line in open(calib).read().splitlines()[:64]:
            ids = tokenizer(json.loads(line)["text"], return_tensors="pt").input_ids[:, :256]
            model.model(ids)
            count += ids.shape[1]
    return {k: (v / count).float().numpy() for k, v in sums.items()}


os.makedirs(out, exist_ok=True)
source = out + "/f32.gguf"
if not os.path.exists(source):
    subprocess.run(["go", "run", "./bench/gguf/mkgguf", "--in", os.path.abspath(checkpoint), "--type", "f32", "--out", source], check=True, cwd=os.path.dirname(here))
weights = importance()
checkpoint = os.path.abspath(checkpoint)
base, llama = llamacpp.load(modules)
base.ggml_quantize_chunk.restype = ctypes.c_size_t
base.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
import gguf, numpy
for name in types:
    plain, weighed = f"{out}/{name}.gguf", f"{out}/{name}-importance.gguf"
    if llamacpp.quantize(llama, source, plain, FTYPES[name], 2):
        sys.exit(f"importance: error: llama_model_quantize failed for {name}")
    shutil.copyfile(plain, weighed)
    values = {t.name: t.data for t in gguf.GGUFReader(source).tensors}
    bits, numbers, kinds = 0, 0, {}
    for t in gguf.GGUFReader(weighed, "r+").tensors:
        bits, numbers = bits + 8 * int(t.n_bytes), numbers + int(t.n_elements)
        if len(t.shape) == 2:
            kinds[t.tensor_type.name] = kinds.get(t.tensor_type.name, 0) + int(t.n_elements)
        if t.name not in weights:
            continue
        x, h = numpy.ascontiguousarray(values[t.name], dtype=numpy.float32), weights[t.name]
        rows, k = x.shape
        y = numpy.empty(t.n_bytes, dtype=numpy.uint8)
        n = base.ggml_quantize_chunk(int(t.tensor_type), x.ctypes.data, y.ctypes.data, 0, rows, k, h.ctypes.data)
        assert n == t.n_bytes, (t.name, n, t.n_bytes)
        t.data[:] = y.reshape(t.data.shape)
    print(f"{name}: {bits / numbers:.3f} bits a weight; " + ", ".join(f"{k} {v / numbers:.1%}" for k, v in kinds.items()), flush=True)
