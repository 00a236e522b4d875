#!/usr/bin/env python3
"""A peer for bench/encoders: a checkpoint of sentence-transformers' kind in another library.

    peer.py make CHECKPOINT DIR                                             writes DIR/f32.onnx, int8.onnx, f32.xml, if they are not there
    peer.py onnx-f32|onnx-int8|openvino-f32|openvino-bf16|openvino-int8 CHECKPOINT DIR THREADS

Texts go in batches of 32, sorted by length, padded to the longest of the batch, as sentence-transformers does; the mean of the
tokens, normalized. openvino-int8 is int8.onnx in OpenVINO. make needs torch, transformers and onnx, the others tokenizers, and
onnxruntime or openvino. Nothing is downloaded.
"""
import json, os, sys, time

kind, folder, where = sys.argv[1:4]
names = ["input_ids", "attention_mask", "token_type_ids"]
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # libraries print what they like


def make():
    import torch
    from transformers import AutoModel

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

        def forward(self, *x):
            return self.model(**dict(zip(names, x))).last_hidden_state

    import onnx, openvino as ov
    from onnxruntime.quantization import QuantType, quantize_dynamic

    example = tuple(torch.ones(2, 9, dtype=torch.int64) for _ in names)
    torch.onnx.export(Hidden(), example, f"{where}/f32.onnx", input_names=names, output_names=["y"], dynamic_axes={n: {0: "b", 1: "t"} for n in [*names, "y"]}, dynamo=False)
    quantize_dynamic(f"{where}/f32.onnx", f"{where}/int8.onnx", per_channel=True, weight_type=QuantType.QInt8)
    ov.save_model(ov.convert_model(Hidden(), example_input=example), f"{where}/f32.xml", compress_to_fp16=False)


if kind == "make":
    if not os.path.exists(f"{where}/f32.xml"):
        make()
    sys.exit()

threads = sys.argv[4]
import numpy as np
from tokenizers import Tokenizer

if kind.startswith("onnx"):
    import onnxruntime as ort
    o = ort.SessionOptions()
    o.intra_op_num_threads = int(threads)
    session = ort.InferenceSession(f"{where}/{kind.rpartition('-')[2]}.onnx", o, providers=["CPUExecutionProvider"])
    run = lambda x: session.run(None, x)[0]
else:
    import openvino as ov
    settings = {"INFERENCE_NUM_THREADS": int(threads), "PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": 1}
    if kind != "openvino-int8":
        settings["INFERENCE_PRECISION_HINT"] = kind.rpartition("-")[2]
    c = ov.Core().compile_model(f"{where}/int8.onnx" if kind == "openvino-int8" else f"{where}/f32.xml", "CPU", settings)
    run = lambda x: c([x[n] for n in names])[0]

tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
tokenizer.enable_truncation(min(256, json.load(open(f"{folder}/config.json"))["max_position_embeddings"]))
tokenizer.enable_padding(pad_id=tokenizer.token_to_id("[PAD]") or 0)


def once(path):
    texts = [line.strip() for line in open(path, encoding="utf-8") if line.strip()]
    start = time.perf_counter()
    order = sorted(texts, key=len, reverse=True)
    for i in range(0, len(texts), 32):
        batch = tokenizer.encode_batch(order[i:i + 32])
        x = {n: np.array([getattr(e, a) for e in batch], np.int64) for n, a in zip(names, ["ids", "attention_mask", "type_ids"])}
        mask = x["attention_mask"][..., None].astype(np.float32)
        y = (run(x) * mask).sum(1) / mask.sum(1)
        y / np.linalg.norm(y, axis=1, keepdims=True)
    return time.perf_counter() - start


print("ready", file=out, flush=True)
for line in sys.stdin:
    print(once(line.strip()), file=out, flush=True)
