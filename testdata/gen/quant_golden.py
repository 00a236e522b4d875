#!/usr/bin/python3
"""Makes kernels/quant/testdata/quant.safetensors: codes and scales of weights and
activations, computed apart from the Go code with plain torch arithmetic.

Run from the repository root with Debian's python3 and torch 1.13:

    /usr/bin/python3 testdata/gen/quant_golden.py

Formulas: spec/numerics.md N2, N3, N4; for --compat torchao (N5) the rules of
torchao 0.19's choose_qparams_affine and quantize_affine, in the tensor's own
dtype as there. A row at a time, candidate by candidate: slow and plain.
"""
import json, struct
from fractions import Fraction
import torch

torch.set_num_threads(1)
f32 = torch.float32
gen = torch.Generator().manual_seed(7)
out = {}


def normal(n, std=0.05):
    return torch.randn(n, generator=gen) * std


def rows(k):
    """[18, k] float32: a whole block of 16 rows and two of the next."""
    i = torch.arange(k).float()
    outlier = normal(k, 0.01)
    outlier[k // 2] = 3
    heavy = normal(k) / (torch.rand(k, generator=gen) + 0.02)
    mixed = normal(k)
    mixed[: k // 3] = 0  # whole groups of zeros beside others
    steps = normal(k) * torch.pow(2.0, -(i // 16))  # groups of very different size
    ties = (i % 255) - 127 + 0.5 * (i % 2)  # halves: absmax 127, so s = 1 exactly
    ties[0] = 127
    ties = torch.clamp(ties, -127, 127)
    half = (i % 31) - 15.5  # -15.5 .. 14.5: symmetric int8 of /127.5 meets ties too
    half[k - 1] = 127.5
    return torch.stack([
        normal(k), heavy, torch.zeros(k), outlier, torch.full((k,), 0.25), torch.full((k,), -0.75),
        -normal(k).abs() - 0.01, normal(k).abs() + 0.01, mixed, steps, ties, half,
        normal(k, 1e-40), normal(k, 1e-7), normal(k, 2e-6), normal(k, 1e4), -ties, i % 16,
    ]).to(f32)


def importance(k):
    return torch.rand(k, generator=gen) * 4 + 0.01


def inv(s):
    """1/s, 0 below 2^-120 (N2.2)."""
    return torch.where(s < 2.0 ** -120, torch.zeros_like(s), 1 / s)


def fma(x, y, z):
    """x*y + z of float32, rounded once, to the even one of two equally near."""
    exact = Fraction(x) * Fraction(y) + Fraction(z)
    c = torch.tensor([float(exact)], dtype=torch.float64).to(f32)  # perhaps one off: rounded twice
    near = torch.cat([torch.nextafter(c, c - float("inf")), c, torch.nextafter(c, c + float("inf"))])
    odd = (near.view(torch.int32) & 1).tolist()
    return min(zip(near.tolist(), odd), key=lambda p: (abs(Fraction(p[0]) - exact), p[1]))[0]


def residual(w, q, step):
    """w - q*step, rounded once: exact in float64."""
    return (w.double() - q.double() * step.double()).to(f32)


def error(w, h, step, lo, hi):
    """N4.4: sum over k in order."""
    q = torch.round(torch.clamp(w * inv(step), lo, hi))
    d = residual(w, q, step)
    hd = d if h is None else h * d
    e = 0.0
    for a, b in zip(hd.tolist(), d.tolist()):
        e = fma(a, b, e)
    return torch.tensor(e, dtype=f32), q


def int8(w, h):
    """N2: codes and scale of a row."""
    top = w.abs().max()
    best = None
    for f in (1, 0.97, 0.94, 0.91, 0.88, 0.85, 0.82, 0.79):
        s = top / 127 * torch.tensor(f, dtype=f32)
        e, q = error(w, h, s, -127, 127)
        if best is None or e < best[0]:
            best = e, q, s
    return best[1], best[2]


def bounds(z, g):
    return max(-z, -(128 // g)), min(15 - z, 127 // g)


def choose(w, h, lo, hi, s, aim, gscales, zeros):
    """N4.3: (error, zero, gscale) of a group."""
    v = (hi - lo) * (torch.tensor(aim, dtype=f32) / 15) * inv(s)
    pick = None
    for i in range(gscales):
        g = min(max(int(v) + 1 - i, 1), 16)
        step = s * g
        for d in zeros:
            z = int(torch.round(torch.clamp((7.5 + d) - (lo + hi) / 2 * inv(step), 0, 15)))
            e, _ = error(w, h, step, *bounds(z, g))
            if pick is None or e < pick[0]:
                pick = e, z, g
    return pick


def int4(w, h, group):
    """N4: codes, zeros, gscales and scale of a row."""
    parts = list(zip(w.split(group), [None] * len(w) if h is None else h.split(group)))
    zero = torch.zeros((), dtype=f32)
    lo = [torch.minimum(p.min(), zero) for p, _ in parts]
    hi = [torch.maximum(p.max(), zero) for p, _ in parts]
    top = max((b - a) / 15 / 16 for a, b in zip(lo, hi))
    top = max(top, max(hi) / 127, -min(lo) / 128)
    best = None
    for f in (1, 1.15, 1.1, 1.067, 1.033, 0.967, 0.933, 0.9):
        s = top * torch.tensor(f, dtype=f32)
        total = torch.zeros((), dtype=f32)
        for (p, hp), a, b in zip(parts, lo, hi):
            aim = {64: 0.97, 128: 0.95}.get(group, 1)
            total = total + choose(p, hp, a, b, s, aim, 2, (0,) if h is None else (-0.5, 0.5))[0]
        if best is None or total < best[0]:
            best = total, s
    s = best[1]
    codes, zs, gs, cross, squares = [], [], [], 0.0, 0.0
    for (p, hp), a, b in zip(parts, lo, hi):
        _, z, g = choose(p, hp, a, b, s, 1, *((4, (-0.5, 0.5)) if h is None else (5, (-0.5, 0.5, -1.5, 1.5))))
        q = torch.round(torch.clamp(p * inv(s * g), *bounds(z, g)))
        d, hq = residual(p, q, s * g), q if hp is None else hp * q
        x, y = 0.0, 0.0
        for a, b, c in zip(d.tolist(), q.tolist(), hq.tolist()):
            x, y = fma(a, c, x), fma(b, c, y)
        cross, squares = fma(x, g, cross), fma(y, g * g, squares)
        codes.append(q + z)
        zs.append(z)
        gs.append(g)
    if squares > 0:
        s = torch.tensor(s.item() + cross / squares, dtype=torch.float64).to(f32)
    return torch.cat(codes), zs, gs, s


def own(name, w, h):
    k = w.shape[1]
    out[f"{name}.w"] = w
    if h is not None:
        out[f"{name}.h"] = h
    q, s = zip(*[int8(r, h) for r in w])
    out[f"{name}.i8.codes"], out[f"{name}.i8.scale"] = torch.stack(q).to(torch.int8), torch.stack(s)
    for group in (16, 32, 64, 128):
        c, z, g, s = zip(*[int4(r, h, group) for r in w])
        p = f"{name}.i4g{group}"
        out[p + ".codes"], out[p + ".scale"] = torch.stack(c).to(torch.int8), torch.stack(s)
        out[p + ".zeros"], out[p + ".gscales"] = torch.tensor(z, dtype=torch.int8), torch.tensor(g, dtype=torch.int8)


def torchao(name, w):
    """w [N, K] in the checkpoint's dtype; every line is one operation in the dtype of its operands."""
    out[f"{name}.w"] = w
    zero = torch.zeros((), dtype=w.dtype)

    def low(x):
        return torch.minimum(x.min(), zero)

    def high(x):
        return torch.maximum(x.max(), zero)

    def at_least(s, eps):  # torch.clamp(s, min=eps), which takes eps in the dtype of s
        m = torch.maximum(s, torch.tensor(eps, dtype=w.dtype))
        assert w.dtype == torch.float16 or m == torch.clamp(s, min=eps)  # Half has no clamp in 1.13
        return m

    codes, scales = [], []
    for r in w:
        s = at_least(torch.maximum(-low(r), high(r)) / 127.5, 2.0 ** -23).float()
        codes.append(torch.clamp(torch.round(r * (1.0 / s).reshape(1)), -128, 127))  # one dimension: promotes r to float32
        scales.append(s)
    out[f"{name}.i8.codes"], out[f"{name}.i8.scale"] = torch.stack(codes).to(torch.int8), torch.stack(scales)
    for group in (32, 64, 128):
        codes, scales, zeros = [], [], []
        for r in w:
            cs, ss, zs = [], [], []
            for p in r.split(group):
                s = at_least((high(p) - low(p)) / 15.0, 1e-6)
                z = torch.clamp(0 - torch.round((low(p) / s).float()), 0, 15)  # small integers: the same in Half
                s = s.float()
                cs.append(torch.clamp(torch.round(p * (1.0 / s).reshape(1)) + z, 0, 15))
                ss.append(s)
                zs.append(z)
            codes.append(torch.cat(cs))
            scales.append(torch.stack(ss))
            zeros.append(torch.stack(zs))
        p = f"{name}.i4g{group}"
        out[p + ".codes"], out[p + ".scale"] = torch.stack(codes).to(torch.int8), torch.stack(scales)
        out[p + ".zeros"] = torch.stack(zeros).to(torch.int8)


def activations(name, x):
    """N3: scale and codes of every row, symmetric 8 and 16 bits."""
    out[f"{name}.x"] = x
    for bits, top in (("a8", 127), ("a16", 32767)):
        scales, codes = [], []
        for r in x:
            m = r.abs().max()
            if not torch.isfinite(r).all():
                s, q = torch.tensor(float("nan")), torch.zeros_like(r)
            elif m < torch.tensor(1e-30, dtype=f32):
                s, q = torch.tensor(0.0), torch.zeros_like(r)
            else:
                s, q = m / top, torch.round(r * (top / m))
            scales.append(s)
            codes.append(q)
        out[f"{name}.{bits}.scale"] = torch.stack(scales)
        out[f"{name}.{bits}.codes"] = torch.stack(codes).to(torch.int32 if top > 127 else torch.int8)


own("own43", rows(43), None)
own("own172", rows(172), importance(172))
w = rows(172)
torchao("torchao.f32", w)
torchao("torchao.bf16", w.bfloat16())
torchao("torchao.f16", w.half())

for k in (43, 172):
    x = rows(k)
    i = torch.arange(k).float()
    special = torch.stack([
        torch.full((k,), 9.9e-31), torch.full((k,), -1.01e-30), torch.full((k,), 3.4e38) * torch.where(i % 2 > 0, 1.0, -0.3),
        torch.where(i == 3, float("nan"), i), torch.where(i == k - 1, float("inf"), i), torch.where(i == 0, float("-inf"), i),
        torch.where(i == 5, 32767.0, i + 0.5), torch.where(i == 5, -32767.0, -i - 0.5),
    ]).to(f32)
    activations(f"act{k}", torch.cat([x, special]))


def write(path, tensors):
    """safetensors by hand: u64 header length, JSON header, data."""
    codes = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int32: "I32", torch.int8: "I8"}
    header, data = {}, b""
    for name, t in tensors.items():
        t = t.contiguous()
        raw = t.view(torch.int16).numpy().tobytes() if t.element_size() == 2 else t.numpy().tobytes()
        header[name] = {"dtype": codes[t.dtype], "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


write("kernels/quant/testdata/quant.safetensors", out)
