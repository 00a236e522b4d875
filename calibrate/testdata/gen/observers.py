#!/usr/bin/env python3
"""Writes ../observers.json: qparams of torch 1.13's observers.

Run in calibrate/testdata/gen: python3 observers.py. The values come from an
integer generator that observer_test.go repeats, so none are stored.
Histogram: torch 1.13 truncates the range given to histc to integers and
spreads old counts in 128 parts; PyTorch 2 does neither. So `forward` is
PyTorch 2's rule, written here in torch operations, and the search is 1.13's
own code (the two are the same).
"""
import json
import warnings

import torch
from torch.ao.quantization import observer as ob

warnings.simplefilter("ignore")


def batch(seed, n, kind, scale):
    s, out = seed, []
    for _ in range(n):
        v = 0
        for _ in range(4):
            s = (s * 1664525 + 1013904223) % 2**32
            v += s >> 12
        out.append((v - 2**21) / 2.0**19)
    x = torch.tensor(out, dtype=torch.float32) * torch.tensor(scale, dtype=torch.float32)
    if kind == "positive":
        x = x.abs()
    elif kind == "cubed":
        x = x * x * x
    elif kind == "outlier":
        x[n // 2] = torch.tensor(100 * scale, dtype=torch.float32)
    elif kind == "constant":
        x = torch.full((n,), scale, dtype=torch.float32)
    elif kind == "shifted":
        x = x + torch.tensor(10 * scale, dtype=torch.float32)
    return x


class Hist2(ob.HistogramObserver):
    def forward(self, x):
        if x.numel() == 0:
            return x
        lo, hi = torch.aminmax(x)
        if self.min_val == float("inf"):
            self.min_val, self.max_val = lo, hi
            self.histogram = self.histc(x, lo, hi)
            return x
        nlo, nhi = torch.min(lo, self.min_val), torch.max(hi, self.max_val)
        hist = self.histc(x, nlo, nhi)
        if nlo == self.min_val and nhi == self.max_val:
            hist = hist + self.histogram
        elif self.min_val == self.max_val:
            hist = hist + self.histc(self.min_val.reshape(1), nlo, nhi) * self.histogram.sum()
        else:
            up, n = 16, self.bins
            old = self.histogram.repeat_interleave(up) / up
            mid = torch.linspace(float(self.min_val), float(self.max_val), n * up + 1)[:-1] + 0.5 * (
                (self.max_val - self.min_val) / (n * up))
            edges = torch.linspace(float(nlo), float(nhi), n + 1)
            where = (torch.bucketize(mid, edges, right=True) - 1).clamp(0, n - 1)
            hist = hist + torch.bincount(where, weights=old, minlength=n)
        self.min_val, self.max_val, self.histogram = nlo, nhi, hist
        return x

    def histc(self, x, lo, hi):
        return torch.histc(x, self.bins, min=float(lo), max=float(hi))


DATA = {
    "normal": [(1, 4000, "normal", 1.0), (2, 4000, "normal", 1.0)],
    "growing": [(3, 3000, "normal", 0.25 * 1.7**i) for i in range(6)],
    "shrinking": [(4, 3000, "normal", 8 * 0.6**i) for i in range(4)],
    "positive": [(5, 5000, "positive", 0.5), (6, 5000, "positive", 0.7)],
    "heavy": [(7, 6000, "cubed", 1.0), (8, 6000, "cubed", 1.3)],
    "outlier": [(9, 6000, "outlier", 1.0), (10, 6000, "normal", 1.0)],
    "late outlier": [(11, 6000, "normal", 1.0), (12, 6000, "outlier", 1.0)],
    "constant": [(13, 256, "constant", 2.5), (13, 256, "constant", 2.5)],
    "constant, then more": [(14, 256, "constant", 2.5), (15, 4096, "normal", 2.0)],
    "zeros": [(16, 64, "constant", 0.0)],
    "negative constant": [(17, 64, "constant", -3.0)],
    "shifted": [(18, 4000, "shifted", 1.0), (19, 4000, "shifted", 1.0)],
    "tiny": [(20, 2000, "normal", 1e-7)],
    "huge": [(21, 2000, "normal", 1e30)],
    "empty": [(22, 0, "normal", 1.0)],
    "empty between": [(23, 1000, "normal", 1.0), (24, 0, "normal", 1.0), (25, 1000, "normal", 1.5)],
}
GRIDS = {
    "u8": dict(dtype=torch.quint8, symmetric=False),
    "u8 reduced": dict(dtype=torch.quint8, symmetric=False, reduce_range=True),
    "u8 symmetric": dict(dtype=torch.quint8, symmetric=True),
    "s8 symmetric": dict(dtype=torch.qint8, symmetric=True),
    "s8": dict(dtype=torch.qint8, symmetric=False),
    "s8 symmetric reduced": dict(dtype=torch.qint8, symmetric=True, reduce_range=True),
    "s8 eps 2^-12": dict(dtype=torch.qint8, symmetric=True, eps=2.0**-12),
}
KINDS = {
    "minmax": (ob.MinMaxObserver, {}),
    "average": (ob.MovingAverageMinMaxObserver, dict(averaging_constant=0.01)),
    "histogram": (Hist2, {}),
}
cases = []
for kind, (cls, args) in KINDS.items():
    for grid, g in GRIDS.items():
        g = dict(g)
        scheme = "per_tensor" + ("_symmetric" if g.pop("symmetric") else "_affine")
        for name, batches in DATA.items():
            o = cls(qscheme=getattr(torch, scheme), **args, **g)
            for b in batches:
                o(batch(*b))
            s, z = o.calculate_qparams()
            cases.append({"observer": kind, "grid": grid, "data": name, "scale": s.item(), "zero": z.item()})
with open("../observers.json", "w") as f:
    json.dump({"data": {k: [list(b) for b in v] for k, v in DATA.items()}, "cases": cases}, f, separators=(",", ":"))
    f.write("\n")
print(len(cases), "cases")
