#!/usr/bin/python3
"""Makes kernels/quant/testdata/static.safetensors: linear layers with static int8
activations as torch.ao runs them (torch.ops.quantized.linear, oneDNN).

Run from the repository root with Debian's python3 and torch 1.13, on a
processor with VNNI (without it pairs of products would saturate; the script
checks):

    /usr/bin/python3 testdata/gen/static_golden.py

For each case: input x and its scale and zero point, the codes that torch gives
it; int8 weights, one scale a channel, bias; y, the result in float64 from the
integers; and the codes that torch's linear gives for an output scale and zero.
"""
import json, struct
import torch

torch.backends.quantized.engine = "onednn"
torch.set_num_threads(1)
gen = torch.Generator().manual_seed(11)
out = {}

for name, m, k, n, scale, zero in [("small", 5, 43, 19, 0.0625, 77), ("wide", 3, 172, 33, 0.0171, 128), ("positive", 4, 64, 16, 0.013, 0), ("negative", 1, 300, 48, 0.25, 255)]:
    x = torch.randn(m, k, generator=gen) * scale * 90
    if name == "positive":
        x = x.abs()
    if name == "negative":
        x = -x.abs()
    x[0, :6] = torch.tensor([0.5, 1.5, -2.5, 1e4, -1e4, 1e-30]) * scale  # ties, both ends, almost nothing
    w8 = torch.randint(-127, 128, (n, k), generator=gen, dtype=torch.int8)
    ws = torch.rand(n, generator=gen) * 0.01 + 1e-4
    bias = torch.randn(n, generator=gen)
    xq = torch.quantize_per_tensor(x, scale, zero, torch.quint8)
    wq = torch._make_per_channel_quantized_tensor(w8, ws.double(), torch.zeros(n, dtype=torch.long), 0)
    y = (xq.int_repr().double() - zero) @ w8.double().T * torch.tensor(scale, dtype=torch.float32).double() * ws.double() + bias.double()
    so, zo = float(y.abs().max() / 120), 131
    yq = torch.ops.quantized.linear(xq, torch.ops.quantized.linear_prepack(wq, bias), so, zo).int_repr()
    want = torch.clamp(torch.round(y / so) + zo, 0, 255)
    assert (want - yq.double()).abs().max() <= 1 and (want != yq).double().mean() < 0.01, name
    p = name + "."
    out[p + "x"], out[p + "qparams"] = x, torch.tensor([scale, zero])
    out[p + "codes"] = xq.int_repr()
    out[p + "w8"], out[p + "wscale"], out[p + "bias"] = w8, ws, bias
    out[p + "y"] = y
    out[p + "out.qparams"], out[p + "out.codes"] = torch.tensor([so, zo]), yq

codes = {torch.float32: "F32", torch.float64: "F64", torch.int8: "I8", torch.uint8: "U8"}
header, data = {}, b""
for name, t in out.items():
    raw = t.contiguous().numpy().tobytes()
    header[name] = {"dtype": codes[t.dtype], "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
    data += raw
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
with open("kernels/quant/testdata/static.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + data)
