#!/usr/bin/env python3
"""A peer for bench/encoders: a checkpoint of sentence-transformers' kind in another library.

    peer.py onnx-f32|onnx-int8|openvino-f32|openvino-bf16|torch CHECKPOINT LINES THREADS

Texts go in batches of 32, sorted by length, padded to the longest of the batch, as sentence-transformers does; the mean of the
tokens, normalized. Needs torch, transformers, and onnx, onnxruntime or openvino. Nothing is downloaded.
"""
import os, sys, tempfile, time

kind, folder, path, threads = sys.argv[1:5]
os.environ["OMP_NUM_THREADS"] = threads
import numpy as np, torch
from transformers import AutoModel, AutoTokenizer

torch.set_num_threads(int(threads))
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # libraries print what they like
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
names = ["input_ids", "attention_mask", "token_type_ids"]


class Hidden(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = model

    def forward(self, *x):
        return self.model(**dict(zip(names, x))).last_hidden_state


example = tuple(torch.ones(2, 9, dtype=torch.int64) for _ in names)
if kind.startswith("onnx"):
    import onnxruntime as ort
    where = os.path.join(tempfile.mkdtemp(), "model.onnx")
    torch.onnx.export(Hidden(), example, where, input_names=names, output_names=["y"], dynamic_axes={n: {0: "b", 1: "t"} for n in [*names, "y"]}, dynamo=False)
    if kind.endswith("int8"):
        from onnxruntime.quantization import QuantType, quantize_dynamic
        quantize_dynamic(where, where + ".int8", per_channel=True, weight_type=QuantType.QInt8)
        where += ".int8"
    o = ort.SessionOptions()
    o.intra_op_num_threads = int(threads)
    session = ort.InferenceSession(where, o, providers=["CPUExecutionProvider"])
    run = lambda x: session.run(None, {n: x[n].numpy() for n in names})[0]
elif kind.startswith("openvino"):
    import openvino as ov
    m = ov.convert_model(Hidden(), example_input=example)
    c = ov.Core().compile_model(m, "CPU", {"INFERENCE_NUM_THREADS": int(threads), "INFERENCE_PRECISION_HINT": kind.rpartition("-")[2], "PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": 1})
    run = lambda x: c([x[n].numpy() for n in names])[0]
else:
    def run(x):
        with torch.inference_mode():
            return model(**x).last_hidden_state.numpy()

texts = [line.strip() for line in open(path, encoding="utf-8") if line.strip()]
most = min(256, tokenizer.model_max_length)


def once():
    start = time.perf_counter()
    order = sorted(texts, key=len, reverse=True)
    for i in range(0, len(texts), 32):
        x = tokenizer(order[i:i + 32], padding=True, truncation=True, max_length=most, return_tensors="pt", return_token_type_ids=True)
        y = run(x) * x["attention_mask"][..., None].numpy()
        y = y.sum(1) / x["attention_mask"].sum(1, keepdim=True).numpy()
        y / np.linalg.norm(y, axis=1, keepdims=True)
    return time.perf_counter() - start


print("ready", file=out, flush=True)
for _ in sys.stdin:
    print(once(), file=out, flush=True)
