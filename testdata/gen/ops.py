"""Golden results of every op of spec/ops.md, by PyTorch in float64 on float32 inputs.

    python ops.py OUT        writes OUT/KIND.json and OUT/KIND.safetensors

KIND.json lists cases: {"name", "graph" (spec/ops.md), "passes": [[{"seq", "n", "rows", "end"}, ..], ..]}; seq is the
number of a sequence, -1 for none. Tensors: CASE/param/NAME; for each pass CASE/PASS/in/NAME and CASE/PASS/out/NAME, rows
of the parts one after the other. Needs torch, numpy, safetensors, transformers (for Bloom's slopes and T5's buckets).
"""
import json, math, sys
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

T, R, B, S = -1, -2, -3, -4
rng = np.random.default_rng(20260101)


def normal(*shape, scale=1.0, mean=0.0):
    return (rng.standard_normal(shape) * scale + mean).astype(np.float32)


def d(x):
    return torch.from_numpy(np.asarray(x)).double() if np.asarray(x).dtype != np.int32 else torch.from_numpy(np.asarray(x)).long()


class Case:
    """A graph of one or more nodes, built as the JSON of spec/ops.md wants it."""

    def __init__(self, name):
        self.name, self.g, self.tensors, self.passes = name, {"symbols": ["T", "R", "B", "S"], "inputs": [], "outputs": [], "values": [], "params": [], "nodes": []}, {}, []

    def input(self, name, shape, dtype="f32"):
        self.g["inputs"].append({"name": name, "dtype": dtype, "shape": list(shape)})
        return name

    def param(self, name, x):
        self.g["params"].append({"name": name, "shape": list(x.shape)})
        self.tensors[f"{self.name}/param/{name}"] = x
        return name

    def node(self, name, op, ins, params, outs, **attrs):
        """outs: [(name, shape)] or with dtype."""
        n = {"name": name, "op": op}
        if attrs:
            n["attrs"] = {k: list(v) if isinstance(v, list) else v for k, v in attrs.items()}
        n["in"] = ins
        if params:
            n["params"] = params
        n["out"] = [o[0] for o in outs]
        self.g["nodes"].append(n)
        for o in outs:
            self.g["values"].append({"name": o[0], "dtype": o[2] if len(o) > 2 else "f32", "shape": list(o[1])})
        return n["out"][0]

    def run(self, parts, ins, outs):
        """One pass: parts [(seq, n, rows, end)], tensors in and expected out by name."""
        i = len(self.passes)
        self.passes.append([{"seq": s, "n": n, "rows": r, "end": e} for s, n, r, e in parts])
        for name, x in ins.items():
            self.tensors[f"{self.name}/{i}/in/{name}"] = np.ascontiguousarray(x)
        for name, y in outs.items():
            y = y.detach().numpy() if isinstance(y, torch.Tensor) else np.asarray(y)
            y = y.astype(np.int32) if np.issubdtype(y.dtype, np.integer) else y.astype(np.float32)
            self.tensors[f"{self.name}/{i}/out/{name}"] = np.ascontiguousarray(y)

    def done(self):
        # only the symbols in use, numbered anew
        shapes = [v["shape"] for v in self.g["inputs"] + self.g["values"]]
        shapes += [n["attrs"]["shape"] for n in self.g["nodes"] if n["op"] == "reshape"]
        used = [e for e in (T, R, B, S) if any(e in s for s in shapes)]
        self.g["symbols"] = [self.g["symbols"][-1 - e] for e in used]
        for s in {id(s): s for s in shapes}.values():
            s[:] = [-1 - used.index(e) if e < 0 else e for e in s]
        self.g["outputs"] = [o for n in self.g["nodes"][-1:] for o in n["out"]]
        files.setdefault(kind, []).append(self)


files, kind = {}, ""



def alone(*lengths):
    return [(-1, n, [], 0) for n in lengths]


def simple(name, op, inputs, params, out, f, parts=(3, 1, 5), outs=None, **attrs):
    """One node on inputs {name: (shape, array of all rows)}, params [(name, array or None)]; f gives the result(s)."""
    c = Case(name)
    for k, (shape, x) in inputs.items():
        c.input(k, shape, "i32" if x.dtype == np.int32 else "f32")
    ps = ["" if x is None else c.param(k, x) for k, x in params]
    outs = outs or [("out", out)]
    c.node("op", op, list(inputs), ps, outs, **attrs)
    ys = f(*[d(x) for _, x in inputs.values()], *[None if x is None else d(x) for _, x in params])
    ys = ys if isinstance(ys, tuple) else (ys,)
    tokens = any(T in s for s, _ in inputs.values())
    c.run(alone(*parts) if tokens else [], {k: x for k, (_, x) in inputs.items()}, dict(zip([o[0] for o in outs], ys)))
    c.done()


N = 9  # rows of parts (3, 1, 5)


def embedding():
    ids = np.array([4, 0, 6, 6, 1, 2, 3, 5, 4], np.int32)
    simple("plain", "embedding", {"ids": ([T], ids)}, [("table", normal(7, 5))], [T, 5], lambda i, t: t[i])
    simple("rank2", "embedding", {"ids": ([B, 3], ids[:6].reshape(2, 3))}, [("table", normal(7, 5))], [B, 3, 5], lambda i, t: t[i])


def linear():
    for name, n, k, bias in (("plain", 7, 13, False), ("bias", 17, 24, True), ("one", 1, 1, True)):
        simple(name, "linear", {"x": ([T, k], normal(N, k))}, [("w", normal(n, k)), ("b", normal(n) if bias else None)], [T, n],
               lambda x, w, b: F.linear(x, w, b))
    simple("rank3", "linear", {"x": ([T, 3, 5], normal(N, 3, 5))}, [("w", normal(4, 5)), ("b", None)], [T, 3, 4], lambda x, w, b: F.linear(x, w, b))
    simple("images", "linear", {"x": ([B, 2, 3, 5], normal(2, 2, 3, 5))}, [("w", normal(4, 5)), ("b", normal(4))], [B, 2, 3, 4], lambda x, w, b: F.linear(x, w, b))
    simple("vector", "linear", {"x": ([5], normal(5))}, [("w", normal(4, 5)), ("b", normal(4))], [4], lambda x, w, b: F.linear(x, w, b))


def rmsnorm():
    for name, shape, eps, off in (("plain", [13], 1e-5, 0), ("offset", [24], 0.01, 1), ("heads", [3, 8], 1e-6, 0)):
        attrs = {"eps": eps, **({"offset": off} if off else {})}
        simple(name, "rmsnorm", {"x": ([T] + shape, normal(N, *shape))}, [("w", normal(shape[-1]))], [T] + shape,
               lambda x, w: F.rms_norm(x, [shape[-1]], w + off, eps), **attrs)


def layernorm():
    for name, shape, w, b, mean in (("plain", [13], True, True, 0), ("weight", [24], True, False, 30), ("bare", [33], False, False, 0), ("heads", [3, 8], True, True, -2),
                                    ("zeros", [7], True, True, 0)):
        x = normal(N, *shape, mean=mean)
        if name == "zeros":
            x[::2] = 0
        simple(name, "layernorm", {"x": ([T] + shape, x)}, [("w", normal(shape[-1]) if w else None), ("b", normal(shape[-1]) if b else None)], [T] + shape,
               lambda x, w, b: F.layer_norm(x, [shape[-1]], w, b, 1e-5), eps=1e-5)
    simple("image", "layernorm", {"x": ([B, 4, 5], normal(3, 4, 5))}, [("w", normal(5)), ("b", normal(5))], [B, 4, 5], lambda x, w, b: F.layer_norm(x, [5], w, b, 0.1), eps=0.1)


def unary():
    fs = {"silu": F.silu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x), "relu": F.relu,
          "relu2": lambda x: F.relu(x) ** 2, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "exp": torch.exp, "neg": torch.neg,
          "relu6": F.relu6, "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid, "abs": torch.abs, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt}
    for name, f in fs.items():
        x = normal(N, 13, scale=3)
        x[0, :8] = [0, -0.0, 1e-20, -1e-20, 20, -20, 80, -80]
        if "sqrt" in name:
            x = np.abs(x) + np.float32(name == "rsqrt")
        simple(name, "unary", {"x": ([T, 13], x)}, [], [T, 13], f, func=name)

    for name, f in (("leaky_relu", lambda x, a: F.leaky_relu(x, a)), ("elu", lambda x, a: F.elu(x, a))):
        a = float(np.float32(0.1))
        simple(name, "unary", {"x": ([T, 13], normal(N, 13, scale=3))}, [], [T, 13], lambda x: f(x, a), func=name, alpha=a)
    for name, f in {"floor": torch.floor, "ceil": torch.ceil, "round": torch.round, "trunc": torch.trunc, "sign": torch.sign, "log": torch.log, "sin": torch.sin, "cos": torch.cos, "erf": torch.erf}.items():
        x = normal(N, 13, scale=3)
        x[0, :8] = [0, -0.0, 0.5, -0.5, 1.5, -2.5, 20, -20]
        simple(name, "unary", {"x": ([T, 13], np.abs(x) + np.float32(0.01) if name == "log" else x)}, [], [T, 13], f, func=name)


def binary():
    fs = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "max": torch.maximum, "min": torch.minimum}
    for name, f in fs.items():
        simple(name, "binary", {"x": ([T, 13], normal(N, 13)), "y": ([T, 13], normal(N, 13) + 0.25)}, [], [T, 13], f, func=name)
        s = float(np.float32(0.7))
        simple(name + "-scalar", "binary", {"x": ([T, 13], normal(N, 13))}, [], [T, 13], lambda x: f(x, torch.tensor(s, dtype=torch.float64)), func=name, scalar=s)
    for name, a, b, out in (("row", [T, 13], [13], [T, 13]), ("row-first", [13], [T, 13], [T, 13]), ("column", [T, 13], [T, 1], [T, 13]), ("one", [T, 5], [1], [T, 5]),
                            ("heads", [T, 3, 4], [3, 4], [T, 3, 4]), ("middle", [T, 3, 4], [T, 1, 4], [T, 3, 4]), ("outer", [T, 3, 1], [1, 4], [T, 3, 4]),
                            ("channels", [B, 2, 3, 4], [B, 1, 1, 4], [B, 2, 3, 4]), ("numbers", [2, 3], [2, 1], [2, 3])):
        val = lambda s: normal(*[{T: N, B: 2}.get(e, e) for e in s])
        for func in ("sub", "mul"):
            simple(f"{name}-{func}", "binary", {"x": (a, val(a)), "y": (b, val(b))}, [], out, fs[func], func=func)
    for name, f in {"pow": torch.pow, "gt": torch.gt, "ge": torch.ge, "lt": torch.lt, "le": torch.le, "eq": torch.eq, "ne": torch.ne, "keep": lambda x, y: torch.where(y != 0, x, torch.zeros_like(x))}.items():
        x, y = normal(N, 13), np.round(normal(N, 13))
        x[::2] = np.abs(np.round(x[::2])) + 1
        x = np.abs(x) if name == "pow" else x
        x[0, 0] = np.inf
        simple(name, "binary", {"x": ([T, 13], x), "y": ([T, 13], y)}, [], [T, 13], lambda x, y: f(x, y).double(), func=name)
        simple(name + "-scalar", "binary", {"x": ([T, 13], x)}, [], [T, 13], lambda x: f(x, torch.tensor(1.0, dtype=torch.float64)).double(), func=name, scalar=1.0)


def softmax():
    x = normal(N, 13, scale=4)
    x[1] = 200
    x[2, 3] = 300
    simple("plain", "softmax", {"x": ([T, 13], x)}, [], [T, 13], lambda x: F.softmax(x, -1))
    simple("one", "softmax", {"x": ([T, 2, 1], normal(N, 2, 1))}, [], [T, 2, 1], lambda x: F.softmax(x, -1))


def topk():
    for name, shape, k in (("plain", [13], 3), ("all", [5], 5), ("one", [2, 8], 1)):
        x = normal(N, *shape)
        f = lambda x: torch.topk(x, k, -1)
        outs = [("y", [T] + shape[:-1] + [k]), ("idx", [T] + shape[:-1] + [k], "i32")]
        simple(name, "topk", {"x": ([T] + shape, x)}, [], None, lambda x: tuple(f(x)), outs=outs, k=k)
    ties = np.array([[1, 3, 3, 2, 3], [0, 0, 0, 0, 0], [-1, -0.0, 0, -1, 5]] * 3, np.float32)
    # torch promises no order among equals: stable descending sort has the lower index first
    simple("ties", "topk", {"x": ([T, 5], ties)}, [], None, lambda x: tuple(t[..., :4] for t in torch.sort(x, dim=-1, descending=True, stable=True)),
           outs=[("y", [T, 4]), ("idx", [T, 4], "i32")], k=4)


def take():
    idx = rng.integers(0, 13, (N, 4)).astype(np.int32)
    simple("plain", "take", {"x": ([T, 13], normal(N, 13)), "idx": ([T, 4], idx)}, [], [T, 4], lambda x, i: torch.gather(x, -1, i))
    idx = rng.integers(0, 5, (N, 2, 3)).astype(np.int32)
    simple("rank3", "take", {"x": ([T, 2, 5], normal(N, 2, 5)), "idx": ([T, 2, 3], idx)}, [], [T, 2, 3], lambda x, i: torch.gather(x, -1, i))


def one_hot():
    idx = rng.integers(0, 6, (N, 3)).astype(np.int32)
    simple("plain", "one_hot", {"idx": ([T, 3], idx)}, [], [T, 6], lambda i: F.one_hot(i, 6).amax(-2).double(), n=6)


def experts(x, idx, ws, bs):
    y = torch.stack([w for w in ws])[idx]  # [.., C, N, K]
    x = x if x.dim() == idx.dim() + 1 else x.unsqueeze(-2).expand(*idx.shape, x.shape[-1])
    y = torch.einsum("...nk,...k->...n", y, x)
    return y if bs is None else y + torch.stack(list(bs))[idx]


def expert_linear():
    for name, e, n, k, own, bias in (("shared", 4, 7, 13, False, False), ("own", 3, 5, 24, True, False), ("bias", 5, 16, 8, False, True), ("own-bias", 2, 3, 5, True, True), ("single", 1, 4, 6, False, False)):
        choices = min(2, e)
        idx = np.stack([rng.permutation(e)[:choices] for _ in range(N)]).astype(np.int32)
        shape = [T, choices, k] if own else [T, k]
        x = normal(N, *shape[1:])
        params = [(f"w{i}", normal(n, k)) for i in range(e)] + ([(f"b{i}", normal(n)) for i in range(e)] if bias else [])
        attrs = {"experts": e, **({"bias": True} if bias else {})}
        simple(name, "expert_linear", {"x": (shape, x), "idx": ([T, choices], idx)}, params, [T, choices, n],
               lambda x, i, *p: experts(x, i, p[:e], p[e:] or None), **attrs)
    for name, e, n, k, bias in (("heads", 5, 7, 12, False), ("heads-bias", 2, 16, 3, True)):  # without idx
        params = [(f"w{i}", normal(n, k)) for i in range(e)] + ([(f"b{i}", normal(n)) for i in range(e)] if bias else [])
        simple(name, "expert_linear", {"x": ([T, e, k], normal(N, e, k))}, params, [T, e, n],
               lambda x, *p: experts(x, torch.arange(e).expand(N, e), p[:e], p[e:] or None), **{"experts": e, **({"bias": True} if bias else {})})


def weighted_sum():
    simple("plain", "weighted_sum", {"y": ([T, 3, 13], normal(N, 3, 13)), "w": ([T, 3], normal(N, 3))}, [], [T, 13], lambda y, w: (w.unsqueeze(-1) * y).sum(-2))
    simple("one", "weighted_sum", {"y": ([T, 1, 5], normal(N, 1, 5)), "w": ([T, 1], normal(N, 1))}, [], [T, 5], lambda y, w: (w.unsqueeze(-1) * y).sum(-2))


def moe():
    """A whole mixture: router, softmax, top 2 renormalised, gated experts, weighted sum."""
    c, e, h, f = Case("mixture"), 4, 12, 20
    x = normal(N, h)
    c.input("x", [T, h])
    router = normal(e, h)
    gate, up, down = [[normal(*s) for _ in range(e)] for s in ((f, h), (f, h), (h, f))]
    c.node("router", "linear", ["x"], [c.param("router", router), ""], [("router", [T, e])])
    c.node("prob", "softmax", ["router"], [], [("prob", [T, e])])
    c.node("top", "topk", ["prob"], [], [("top", [T, 2]), ("idx", [T, 2], "i32")], k=2)
    c.node("sum", "reduce", ["top"], [], [("sum", [T, 1])], func="sum", axis=1)
    c.node("weight", "binary", ["top", "sum"], [], [("weight", [T, 2])], func="div")
    c.node("gate", "expert_linear", ["x", "idx"], [c.param(f"gate{i}", w) for i, w in enumerate(gate)], [("gate", [T, 2, f])], experts=e)
    c.node("up", "expert_linear", ["x", "idx"], [c.param(f"up{i}", w) for i, w in enumerate(up)], [("up", [T, 2, f])], experts=e)
    c.node("act", "unary", ["gate"], [], [("act", [T, 2, f])], func="silu")
    c.node("mid", "binary", ["act", "up"], [], [("mid", [T, 2, f])], func="mul")
    c.node("down", "expert_linear", ["mid", "idx"], [c.param(f"down{i}", w) for i, w in enumerate(down)], [("down", [T, 2, h])], experts=e)
    c.node("y", "weighted_sum", ["down", "weight"], [], [("y", [T, h])])
    y = torch.zeros(N, h, dtype=torch.float64)
    for t in range(N):
        xt = d(x[t])
        p = F.softmax(d(router) @ xt, -1)
        best = sorted(range(e), key=lambda i: -p[i])[:2]
        for i in best:
            y[t] += p[i] / sum(p[j] for j in best) * (d(down[i]) @ (F.silu(d(gate[i]) @ xt) * (d(up[i]) @ xt)))
    c.run(alone(3, 1, 5), {"x": x}, {"y": y})
    c.done()


def concat():
    simple("features", "concat", {"x": ([T, 5], normal(N, 5)), "y": ([T, 1], normal(N, 1)), "z": ([T, 8], normal(N, 8))}, [], [T, 14], lambda *x: torch.cat(x, -1), axis=1)
    simple("middle", "concat", {"x": ([B, 1, 3, 2], normal(2, 1, 3, 2)), "y": ([B, 2, 3, 2], normal(2, 2, 3, 2))}, [], [B, 3, 3, 2], lambda *x: torch.cat(x, 1), axis=1)
    simple("repeat", "concat", {"x": ([1, 4], normal(1, 4)), "y": ([B, 3, 4], normal(2, 3, 4))}, [], [B, 4, 4], lambda x, y: torch.cat([x.expand(2, 1, 4), y], 1), axis=1)
    simple("alone", "concat", {"x": ([T, 5], normal(N, 5))}, [], [T, 5], lambda x: x, axis=1)
    simple("numbers", "concat", {"x": ([2, 3], normal(2, 3)), "y": ([4, 3], normal(4, 3))}, [], [6, 3], lambda *x: torch.cat(x, 0), axis=0)


def slice_():
    simple("features", "slice", {"x": ([T, 13], normal(N, 13))}, [], [T, 6], lambda x: x[:, 5:11], axis=1, **{"from": 5, "to": 11})
    simple("step", "slice", {"x": ([T, 13], normal(N, 13))}, [], [T, 4], lambda x: x[:, 1:12:3], axis=1, **{"from": 1, "to": 12, "step": 3})
    simple("middle", "slice", {"x": ([B, 5, 3], normal(2, 5, 3))}, [], [B, 2, 3], lambda x: x[:, 1:4:2], axis=1, **{"from": 1, "to": 4, "step": 2})


def reshape():
    simple("split", "reshape", {"x": ([T, 12], normal(N, 12))}, [], [T, 3, 4], lambda x: x.reshape(N, 3, 4), shape=[T, 3, 4])
    simple("join", "reshape", {"x": ([B, 2, 3, 4], normal(2, 2, 3, 4))}, [], [B, 24], lambda x: x.reshape(2, 24), shape=[B, 24])
    simple("numbers", "reshape", {"x": ([2, 3, 4], normal(2, 3, 4))}, [], [4, 6], lambda x: x.reshape(4, 6), shape=[4, 6])


def transpose():
    simple("heads", "transpose", {"x": ([T, 3, 4], normal(N, 3, 4))}, [], [T, 4, 3], lambda x: x.permute(0, 2, 1), perm=[0, 2, 1])
    simple("four", "transpose", {"x": ([B, 2, 3, 4, 5], normal(2, 2, 3, 4, 5))}, [], [B, 4, 2, 5, 3], lambda x: x.permute(0, 3, 1, 4, 2), perm=[0, 3, 1, 4, 2])
    simple("matrix", "transpose", {"x": ([3, 5], normal(3, 5))}, [], [5, 3], lambda x: x.permute(1, 0), perm=[1, 0])


def constant():
    c = Case("add")  # a table of positions on every image
    x, p = normal(2, 3, 4), normal(3, 4)
    c.input("x", [B, 3, 4])
    c.node("table", "constant", [], [c.param("p", p)], [("table", [3, 4])])
    c.node("y", "binary", ["x", "table"], [], [("y", [B, 3, 4])], func="add")
    c.run([], {"x": x}, {"y": d(x) + d(p)})
    c.done()
    c = Case("alone")
    p = normal(2, 3, 2)
    c.node("y", "constant", [], [c.param("p", p)], [("y", [2, 3, 2])])
    c.run([], {}, {"y": p})
    c.done()
    c = Case("class")  # a class token before the patches of every image, each row scaled
    x, p, s = normal(2, 3, 4), normal(1, 4), normal(4)
    c.input("x", [B, 3, 4])
    c.node("class", "constant", [], [c.param("p", p)], [("class", [1, 4])])
    c.node("all", "concat", ["class", "x"], [], [("all", [B, 4, 4])], axis=1)
    c.node("scale", "constant", [], [c.param("s", s)], [("scale", [4])])
    c.node("y", "binary", ["all", "scale"], [], [("y", [B, 4, 4])], func="mul")
    c.run([], {"x": x}, {"y": torch.cat([d(p).expand(2, 1, 4), d(x)], 1) * d(s)})
    c.done()


def reduce():
    for func, f in (("mean", lambda x, a: x.mean(a, keepdim=True)), ("sum", lambda x, a: x.sum(a, keepdim=True)), ("max", lambda x, a: x.amax(a, keepdim=True)), ("min", lambda x, a: x.amin(a, keepdim=True))):
        simple(func + "-features", "reduce", {"x": ([T, 13], normal(N, 13))}, [], [T, 1], lambda x: f(x, 1), func=func, axis=1)
        simple(func + "-middle", "reduce", {"x": ([B, 5, 3], normal(2, 5, 3))}, [], [B, 1, 3], lambda x: f(x, 1), func=func, axis=1)


def gather():
    c = Case("rows")
    x = normal(N, 5)
    c.input("x", [T, 5])
    c.input("rows", [R], "i32")
    c.node("y", "gather", ["x", "rows"], [], [("y", [R, 5])])
    c.run([(-1, 3, [0, 2], 0), (-1, 1, [], 0), (-1, 5, [4], 0)], {"x": x}, {"y": d(x)[[0, 2, 8]]})
    c.done()


def sequence_pool():
    def parts(f):
        return lambda x: torch.stack([f(p) for p in x.split([3, 1, 5])])
    w = lambda p: torch.arange(1, len(p) + 1).double()[:, None]
    for name, f in {"first": lambda p: p[0], "last": lambda p: p[-1], "mean": lambda p: p.mean(0), "max": lambda p: p.amax(0),
                    "mean_sqrt": lambda p: p.sum(0) / len(p) ** 0.5, "weighted_mean": lambda p: (p * w(p)).sum(0) / w(p).sum()}.items():
        simple(name, "sequence_pool", {"x": ([T, 70], normal(N, 70))}, [], [S, 70], parts(f), func=name)


def unfold():
    f = lambda x: torch.cat([F.unfold(p.T[None, :, None], (1, 3), padding=(0, 1))[0].reshape(p.shape[1], 3, len(p)).permute(2, 1, 0).reshape(len(p), -1) for p in x.split([3, 1, 5])])
    simple("three", "unfold", {"x": ([T, 7], normal(N, 7))}, [], [T, 21], f, size=3)


def l2norm():
    x = normal(N, 13, scale=4)
    x[2] = 0
    simple("plain", "l2norm", {"x": ([T, 13], x)}, [], [T, 13], lambda x: F.normalize(x, dim=-1, eps=1e-12), eps=1e-12)
    simple("eps", "l2norm", {"x": ([B, 2, 5], normal(3, 2, 5))}, [], [B, 2, 5], lambda x: F.normalize(x, dim=-1, eps=2.0), eps=2.0)


def rotate(x, pos, dim, rotary, pairing, freqs, scale):
    """x [n, H*dim]; pairs turned as complex numbers."""
    n = x.shape[0]
    y = x.reshape(n, -1, dim).clone()
    # the angle is one binary32 product
    angle = torch.from_numpy(np.float32(pos)[:, None] * np.float32(freqs)[None]).double()
    turn = torch.polar(torch.full_like(angle, scale), angle)[:, None]  # [n, 1, rotary/2]
    half = rotary // 2
    a, b = (slice(0, half), slice(half, rotary)) if pairing == "half" else (slice(0, rotary, 2), slice(1, rotary, 2))
    z = torch.complex(y[..., a], y[..., b]) * turn
    y[..., a], y[..., b] = z.real, z.imag
    return y.reshape(n, -1)


def rope():
    for name, heads, dim, rotary, pairing, scale in (("half", 3, 8, 8, "half", 1.0), ("partial", 2, 10, 6, "half", 1.25), ("interleaved", 2, 8, 8, "interleaved", 1.0), ("interleaved-partial", 1, 7, 4, "interleaved", 0.5)):
        freqs = [float(np.float32(100.0 ** (-2 * i / rotary))) for i in range(rotary // 2)]
        x = normal(N, heads * dim)
        pos = np.array([0, 1, 2, 0, 0, 1, 2, 3, 4])
        c = Case(name)
        c.input("x", [T, heads * dim])
        c.input("pos", [T], "i32")
        c.node("op", "rope", ["x", "pos"], [], [("y", [T, heads * dim])], head_dim=dim, rotary_dim=rotary, pairing=pairing, freqs=freqs, scale=scale)
        c.run(alone(3, 1, 5), {"x": x}, {"y": rotate(d(x), pos, dim, rotary, pairing, freqs, scale)})
        # the first two parts go on, as sequences that have been somewhere
        c.run([(0, 4, [], 0), (1, 2, [], 0)], {"x": x[:6]}, {"y": rotate(d(x[:6]), np.array([0, 1, 2, 3, 0, 1]), dim, rotary, pairing, freqs, scale)})
        c.run([(1, 1, [], 0), (0, 3, [], 0)], {"x": x[:4]}, {"y": rotate(d(x[:4]), np.array([2, 4, 5, 6]), dim, rotary, pairing, freqs, scale)})
        c.done()
    # dynamic NTK: the length when the append is done decides
    dim, theta, factor, most = 8, 100.0, 2.0, 4
    base = [float(np.float32(theta ** (-2 * i / dim))) for i in range(dim // 2)]

    def at(length):
        if length <= most:
            return base
        th = theta * (factor * length / most - (factor - 1)) ** (dim / (dim - 2))
        return [float(np.float32(th ** (-2 * i / dim))) for i in range(dim // 2)]

    c = Case("dynamic")
    c.input("x", [T, dim])
    c.input("pos", [T], "i32")
    c.node("op", "rope", ["x", "pos"], [], [("y", [T, dim])], head_dim=dim, rotary_dim=dim, pairing="half", freqs=base, scale=1, dynamic={"theta": theta, "factor": factor, "max_pos": most})
    x = normal(N, dim)
    r = lambda i, n, first, length: rotate(d(x[i:i + n]), np.arange(first, first + n), dim, dim, "half", at(length), 1.0)
    c.run([(0, 3, [], 0), (1, 2, [], 7), (-1, 4, [], 0)], {"x": x}, {"y": torch.cat([r(0, 3, 0, 3), r(3, 2, 0, 7), r(5, 4, 0, 4)])})
    c.run([(0, 3, [], 0), (1, 2, [], 7), (-1, 1, [], 9)], {"x": x[:6]}, {"y": torch.cat([r(0, 3, 3, 6), r(3, 2, 2, 7), r(5, 1, 0, 9)])})
    c.done()


def attend(q, k, v, first, heads, kv, dim, scale, mask, window=0, softcap=0, slopes=None, rounded=False, relative=None, table=None, pos_keys=None, pos_queries=None, bias=None, sinks=None, values=0):
    """q [Nq, H*dim], k, v [Nk, G*dim] (v the first values columns of each head of k, if values is not 0), queries from position first on; one head and one query at a time."""
    wide = values or dim
    out = torch.zeros(q.shape[0], heads * wide, dtype=q.dtype)
    for h in range(heads):
        g = h // (heads // kv)
        for i in range(q.shape[0]):
            p = first + i
            s = []
            seen = []
            for j in range(k.shape[0]):
                if mask == "causal" and j > p or window and abs(p - j) >= window:
                    continue
                x = scale * torch.dot(q[i, h * dim:(h + 1) * dim], k[j, g * dim:(g + 1) * dim])
                if softcap:
                    x = softcap * torch.tanh(x / softcap)
                if rounded:
                    x = x + scale * (torch.tensor([slopes[h]]).bfloat16() * torch.tensor([j])).double()[0]
                elif slopes is not None:
                    x = x - slopes[h] * abs(j - p)
                if relative is not None:
                    far = len(relative) // 2
                    row = relative[min(max(j - p, -far), far) + far]
                    if table is not None:
                        x = x + table[row, h]
                    if pos_keys is not None:
                        x = x + scale * torch.dot(q[i, h * dim:(h + 1) * dim], pos_keys[row, h * dim:(h + 1) * dim])
                    if pos_queries is not None:
                        x = x + scale * torch.dot(k[j, g * dim:(g + 1) * dim], pos_queries[row, h * dim:(h + 1) * dim])
                if bias is not None:
                    x = x + bias[h, i, j]
                s.append(x)
                seen.append(j)
            s = torch.stack(s)
            if sinks is not None:
                s = torch.cat([s, sinks[h:h + 1]])
            w = F.softmax(s, -1)[:len(seen)]
            out[i, h * wide:(h + 1) * wide] = w @ (k[seen, g * dim:g * dim + values] if values else v[seen, g * dim:(g + 1) * dim])
    return out


def attention():
    def case(name, heads, kv, dim, mask, cached=True, window=0, **extra):
        """Three lone parts in one pass; then, with a cache, sequences in several passes."""
        c = Case(name)
        scale = 1 / math.sqrt(dim)
        attrs = {"heads": heads, "kv_heads": kv, "head_dim": dim, "scale": scale, "mask": {"kind": mask, **({"window": window} if window else {})}}
        if cached:
            attrs["cache"] = "kv"
        params = []
        more = dict(extra)
        if "softcap" in extra:
            attrs["softcap"] = extra["softcap"]
        if "slopes" in extra:
            attrs["slopes"] = extra["slopes"]
            if "rounded" in extra:
                attrs["rounded"] = True
        if "sinks" in extra:
            attrs["sinks"] = True
            params.append(c.param("sinks", extra["sinks"]))
            more["sinks"] = d(extra["sinks"])
        if "relative" in extra:
            attrs["relative"] = extra["relative"]
            if "table" in extra:
                params.append(c.param("table", extra["table"]))
                more["table"] = d(extra["table"])
        if "values" in extra:
            attrs["values"] = extra["values"]
        operands = "qk" if "values" in extra else "qkv"
        for x in operands:
            c.input(x, [T, (heads if x == "q" else kv) * dim])
        c.input("pos", [T], "i32")
        places = [x for x in ("pos_keys", "pos_queries") if x in extra]
        for x in places:
            attrs[x] = True
            more[x] = d(extra[x])
            c.node(x, "constant", [], [c.param(x + ".weight", extra[x])], [(x, list(extra[x].shape))])
        c.node("op", "attention", [*operands, "pos", *places], params, [("y", [T, heads * extra.get("values", dim)])], **attrs)

        def rows(n):
            return {x: normal(n, (heads if x == "q" else kv) * dim) for x in operands}

        past = {}

        def run(parts, x):
            ys, at = [], 0
            for seq, n, _, _ in parts:
                q, k, v = [d(x[i][at:at + n]) for i in (operands + "k")[:3]]
                at += n
                if seq >= 0:
                    if seq in past:
                        k, v = torch.cat([past[seq][0], k]), torch.cat([past[seq][1], v])
                    past[seq] = (k, v)
                ys.append(attend(q, k, v, k.shape[0] - n, heads, kv, dim, scale, mask, window, **more))
            c.run(parts, x, {"y": torch.cat(ys)})

        run(alone(3, 1, 11), rows(15))
        if cached:
            run([(0, 4, [], 0), (1, 1, [], 0), (-1, 3, [], 0)], rows(8))
            run([(1, 5, [], 0), (0, 1, [], 0)], rows(6))
            run([(0, 6, [], 0), (2, 2, [], 0), (1, 1, [], 0)], rows(9))
        c.done()

    case("causal", 4, 2, 8, "causal")
    case("odd", 3, 1, 5, "causal")
    case("window", 2, 2, 7, "causal", window=4)
    case("full", 4, 4, 6, "full", cached=False)
    case("full-window", 2, 1, 8, "full", cached=False, window=3)
    case("uncached", 2, 1, 4, "causal", cached=False)
    case("softcap", 4, 2, 8, "causal", softcap=0.5)
    case("softcap-window", 2, 1, 16, "causal", window=3, softcap=2.0)
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    for heads in (4, 6):
        ones = torch.ones(1, 2)
        slopes = build_alibi_tensor(ones, heads, torch.float32)[:, 0, 1].tolist()  # slope * 1
        case(f"alibi-{heads}", heads, heads, 8, "causal", slopes=[float(np.float32(s)) for s in slopes])
    case("sinks", 4, 2, 8, "causal", sinks=normal(4))
    case("sinks-window", 4, 1, 8, "causal", window=3, sinks=normal(4, scale=3))
    case("sinks-full", 2, 2, 5, "full", cached=False, sinks=normal(2))
    from transformers.models.t5.modeling_t5 import T5Attention

    for name, both, far in (("relative-both", True, 12), ("relative-past", False, 6)):
        dist = torch.arange(-far + 1, far)
        rel = T5Attention._relative_position_bucket(dist, bidirectional=both, num_buckets=8, max_distance=far - 1).tolist()
        case(name, 4, 4, 8, "full" if both else "causal", cached=not both, relative=rel, table=normal(8, 4))
    case("all", 4, 2, 8, "causal", window=6, softcap=1.5, sinks=normal(4), relative=[2, 0, 1], table=normal(3, 4), slopes=[0.5, 0.25, 0.125, 2.0])

    # within a dimension: rank 3 and more, cross, biases of several shapes
    def within(name, lead, nq, nk, heads, kv, dim, mask="full", bias=None, window=0, sinks=None, softcap=0):
        c = Case(name)
        scale = 0.3
        n = int(np.prod([2 if e == B else e for e in lead]))
        size = [2 if e == B else e for e in lead]
        attrs = {"heads": heads, "kv_heads": kv, "head_dim": dim, "scale": scale, "mask": {"kind": mask, **({"window": window} if window else {})}}
        x = {"q": normal(*size, nq, heads * dim), "k": normal(*size, nk, kv * dim), "v": normal(*size, nk, kv * dim)}
        c.input("q", lead + [nq, heads * dim])
        c.input("k", lead + [nk, kv * dim])
        c.input("v", lead + [nk, kv * dim])
        ins, params, full = ["q", "k", "v"], [], None
        if softcap:
            attrs["softcap"] = softcap
        if sinks is not None:
            attrs["sinks"] = True
            params.append(c.param("sinks", sinks))
        if bias is not None:
            attrs["bias"] = True
            x["bias"] = normal(*[2 if e == B else e for e in bias])
            c.input("bias", bias)
            ins.append("bias")
            full = d(x["bias"]).expand(*size, heads, nq, nk).reshape(n, heads, nq, nk)
        c.node("op", "attention", ins, params, [("y", lead + [nq, heads * dim])], **attrs)
        q, k, v = [d(x[i]).reshape(n, -1, x[i].shape[-1]) for i in "qkv"]
        y = torch.stack([attend(q[i], k[i], v[i], 0, heads, kv, dim, scale, mask, window, bias=None if full is None else full[i], softcap=softcap,
                                sinks=None if sinks is None else d(sinks)) for i in range(n)])
        c.run([], x, {"y": y.reshape(*size, nq, -1)})
        c.done()

    within("images", [B], 5, 5, 2, 2, 7)
    within("windows", [B, 3], 4, 4, 2, 1, 8, bias=[2, 4, 4])
    within("cross", [B], 3, 7, 4, 2, 8)
    within("cross-bias", [B], 3, 7, 2, 2, 4, bias=[B, 1, 1, 7])
    within("bias-heads", [2], 5, 5, 3, 3, 4, bias=[3, 1, 5], softcap=1.0)
    within("bias-one", [2], 5, 5, 3, 3, 4, bias=[5, 5])
    within("causal-within", [B], 6, 6, 2, 1, 8, mask="causal", window=3)
    within("sinks-within", [B], 6, 6, 2, 1, 8, sinks=normal(2))

    case("latent", 4, 1, 8, "causal", values=5)
    case("latent-heads", 6, 2, 37, "causal", window=4, values=32, softcap=2.0)
    case("alibi-rounded", 4, 2, 8, "causal", slopes=[0.5, float(torch.tensor(0.3).bfloat16()), 0.125, float(torch.tensor(0.7071).bfloat16())], rounded=True)
    case("latent-full", 2, 1, 6, "full", cached=False, values=6)

    rows = [min(max(6 - d, 0), 9) for d in range(-8, 9)]
    case("places", 3, 3, 8, "full", cached=False, relative=rows, pos_keys=normal(10, 24), pos_queries=normal(10, 24))
    case("places-keys", 2, 2, 5, "causal", relative=rows, pos_keys=normal(10, 10))
    case("places-queries", 2, 2, 40, "full", cached=False, window=4, relative=rows, pos_queries=normal(10, 80))


def first(x):
    """[B, S.., C] as PyTorch has it, [B, C, S..]"""
    return x.movedim(-1, 1)


def last(y):
    return y.movedim(1, -1).contiguous()


CONVS = {1: (F.conv1d, F.conv_transpose1d), 2: (F.conv2d, F.conv_transpose2d), 3: (F.conv3d, F.conv_transpose3d)}


def window(stride, pad, dilation):
    attrs = {}
    if any(s != 1 for s in stride):
        attrs["stride"] = list(stride)
    if any(pad):
        attrs["pad"] = list(pad)
    if any(d != 1 for d in dilation):
        attrs["dilation"] = list(dilation)
    return attrs


def conv():
    for name, size, c, n, kernel, stride, pad, dilation, groups, bias in (
            ("pointwise", (3, 4), 5, 7, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1, True), ("3x3", (5, 6), 3, 17, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1, True),
            ("stride", (7, 9), 4, 5, (3, 3), (2, 2), (0, 1, 0, 1), (1, 1), 1, False), ("asymmetric", (6, 8), 3, 4, (1, 5), (1, 2), (0, 0, 3, 1), (1, 1), 1, True),
            ("dilated", (9, 9), 3, 4, (3, 3), (1, 1), (2, 2, 4, 4), (2, 4), 1, True), ("groups", (5, 5), 6, 9, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 3, True),
            ("groups-wide", (4, 4), 32, 40, (2, 2), (1, 1), (0, 0, 0, 0), (1, 1), 2, False), ("depthwise", (6, 5), 9, 9, (3, 3), (2, 1), (1, 1, 1, 1), (1, 1), 9, True),
            ("multiplier", (5, 5), 3, 6, (3, 3), (1, 1), (1, 0, 0, 1), (1, 2), 3, False), ("one-channel", (9, 9), 1, 5, (5, 5), (4, 4), (2, 2, 2, 2), (1, 1), 1, True),
            ("skip", (5, 5), 3, 4, (1, 1), (2, 2), (0, 0, 0, 0), (1, 1), 1, True), ("line", (11,), 3, 4, (5,), (3,), (2, 1), (1,), 1, True), ("volume", (3, 5, 4), 2, 3, (2, 3, 3), (1, 2, 1), (0, 1, 1, 1, 1, 1), (1, 1, 1), 1, True),
            ("padding-only", (2, 2), 2, 3, (2, 2), (3, 3), (2, 2, 2, 2), (1, 1), 1, True)):
        r = len(size)
        x, w = normal(2, *size, c), normal(n, *kernel, c // groups)
        f, _ = CONVS[r]
        sides = [s for i in reversed(range(r)) for s in pad[2 * i:2 * i + 2]]
        run = lambda x, w, b: last(f(F.pad(first(x), sides), first(w), b, stride=stride, dilation=dilation, groups=groups))
        y = run(d(x), d(w), None)
        simple(name, "conv", {"x": ([B, *size, c], x)}, [("w", w), ("b", normal(n) if bias else None)], [B, *y.shape[1:]], run, **window(stride, pad, dilation), **({"groups": groups} if groups > 1 else {}))


def conv_transpose():
    for name, size, c, n, kernel, stride, pad, dilation, groups, extra in (
            ("2x2", (3, 4), 5, 7, (2, 2), (2, 2), (0, 0), (1, 1), 1, (0, 0)), ("overlap", (4, 3), 3, 4, (3, 3), (2, 1), (1, 1), (1, 1), 1, (1, 0)),
            ("groups", (3, 3), 4, 6, (3, 3), (2, 2), (1, 1), (1, 1), 2, (1, 1)), ("dilated", (3, 4), 2, 3, (3, 2), (2, 3), (1, 0), (2, 3), 1, (0, 2)), ("line", (5,), 3, 2, (4,), (2,), (1,), (1,), 1, (0,)),
            ("depthwise", (3, 3), 5, 5, (4, 4), (2, 2), (1, 1), (1, 1), 5, (0, 0))):
        r = len(size)
        x, w, b = normal(2, *size, c), normal(n, *kernel, c // groups), normal(n)
        _, f = CONVS[r]

        def run(x, w, b):
            # [N, kernel, C/g] to PyTorch's [C, N/g, kernel]
            v = w.reshape(groups, n // groups, *kernel, c // groups).movedim(-1, 1).reshape(c, n // groups, *kernel)
            return last(f(first(x), v, b, stride=stride, padding=pad, output_padding=extra, groups=groups, dilation=dilation))

        y = run(d(x), d(w), d(b))
        simple(name, "conv_transpose", {"x": ([B, *size, c], x)}, [("w", w), ("b", b)], [B, *y.shape[1:]], run, **window(stride, [p for p in pad for _ in "ab"], dilation),
               **({"groups": groups} if groups > 1 else {}), **({"extra": list(extra)} if any(extra) else {}))


def singles(*shape):
    """Numbers for means of single precision, from a generator of their own."""
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def pool():
    for name, func, size, kernel, stride, pad, dilation, attrs in (
            ("max", "max", (7, 8), (3, 3), (2, 2), (1, 1), (1, 1), {}), ("max-ceil", "max", (7, 8), (3, 2), (2, 3), (1, 0), (1, 1), {"ceil": True}), ("max-dilated", "max", (9, 9), (2, 2), (1, 1), (0, 0), (3, 3), {}),
            ("max-volume", "max", (2, 4, 5), (1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1), {}), ("max-line", "max", (9,), (3,), (3,), (1,), (1,), {}),
            ("mean", "mean", (7, 8), (3, 3), (2, 2), (1, 1), (1, 1), {}), ("mean-padded", "mean", (7, 8), (3, 3), (2, 2), (1, 1), (1, 1), {"padded": True}),
            ("mean-ceil", "mean", (8, 8), (3, 3), (2, 2), (1, 1), (1, 1), {"ceil": True, "padded": True}), ("mean-ceil-inside", "mean", (8, 7), (3, 2), (2, 2), (1, 1), (1, 1), {"ceil": True}),
            ("mean-divisor", "mean", (7, 7), (2, 4), (2, 2), (1, 2), (1, 1), {"divisor": 3}), ("mean-line", "mean", (9,), (2,), (2,), (0,), (1,), {}),
            ("single", "mean", (7, 8), (3, 3), (2, 2), (1, 1), (1, 1), {"padded": True, "single": True}), ("single-divisor", "mean", (7, 7), (2, 4), (2, 2), (1, 2), (1, 1), {"divisor": 3, "single": True})):
        r = len(size)
        x = singles(2, *size, 5) if "single" in attrs else normal(2, *size, 5)
        if func == "max":
            f = getattr(F, f"max_pool{r}d")
            run = lambda x: last(f(first(x), kernel, stride, pad, dilation, ceil_mode=attrs.get("ceil", False)))
        elif r == 1:
            run = lambda x: last(F.avg_pool1d(first(x), kernel, stride, pad))
        else:
            run = lambda x: last(F.avg_pool2d(first(x), kernel, stride, pad, attrs.get("ceil", False), attrs.get("padded", False), attrs.get("divisor")))
        y = run(d(x))
        simple(name, "pool", {"x": ([B, *size, 5], x)}, [], [B, *y.shape[1:]], run, func=func, kernel=list(kernel), **window(stride, [p for p in pad for _ in "ab"], dilation), **attrs)


def adaptive_pool():
    for func, size, out in (("mean", (7, 8), (1, 1)), ("mean", (7, 8), (3, 5)), ("max", (7, 8), (4, 2)), ("mean", (3, 3), (5, 4)), ("max", (9,), (2,)), ("mean", (2, 3, 4), (1, 2, 2))):
        f = getattr(F, f"adaptive_{'avg' if func == 'mean' else 'max'}_pool{len(size)}d")
        simple(f"{func}-{len(size)}d-{'x'.join(map(str, out))}", "adaptive_pool", {"x": ([B, *size, 5], normal(2, *size, 5))}, [], [B, *out, 5], lambda x: last(f(first(x), out)), func=func, size=list(out))
    for size, out in (((7, 8), (1, 1)), ((7, 8), (3, 5)), ((2, 3), (1, 1)), ((2, 3, 4), (1, 2, 2)), ((40, 31), (1, 1))):
        f = getattr(F, f"adaptive_avg_pool{len(size)}d")
        simple(f"single-{'x'.join(map(str, size))}-{'x'.join(map(str, out))}", "adaptive_pool", {"x": ([B, *size, 5], singles(2, *size, 5))}, [], [B, *out, 5], lambda x: last(f(first(x), out)), func="mean", size=list(out), single=True)


def batchnorm():
    for name, shape, w, b in (("image", [3, 4, 13], True, True), ("bare", [5], False, False), ("weight", [2, 9], True, False)):
        c = shape[-1]
        simple(name, "batchnorm", {"x": ([B, *shape], normal(3, *shape, mean=2))}, [("mean", normal(c)), ("var", np.abs(normal(c)) + np.float32(0.1)), ("w", normal(c) if w else None), ("b", normal(c) if b else None)], [B, *shape],
               lambda x, m, v, w, b: last(F.batch_norm(first(x), m, v, w, b, False, 0.0, 1e-3)), eps=1e-3)


def groupnorm():
    for name, shape, groups, affine in (("groups", [3, 4, 12], 4, True), ("instance", [5, 2, 6], 6, True), ("one", [7, 8], 1, False)):
        c = shape[-1]
        simple(name, "groupnorm", {"x": ([B, *shape], normal(2, *shape, mean=1))}, [("w", normal(c) if affine else None), ("b", normal(c) if affine else None)], [B, *shape],
               lambda x, w, b: last(F.group_norm(first(x), groups, w, b, 1e-5)), groups=groups, eps=1e-5)


def pad():
    simple("sides", "pad", {"x": ([B, 3, 4, 2], normal(2, 3, 4, 2))}, [], [B, 6, 4, 2], lambda x: F.pad(x, (0, 0, 0, 0, 1, 2)), pad=[1, 2, 0, 0, 0, 0], mode="constant")
    simple("value", "pad", {"x": ([B, 3, 4, 2], normal(2, 3, 4, 2))}, [], [B, 4, 5, 5], lambda x: F.pad(x, (1, 2, 1, 0, 0, 1), value=-1.5), pad=[0, 1, 1, 0, 1, 2], mode="constant", value=-1.5)
    simple("reflect", "pad", {"x": ([B, 3, 4, 2], normal(2, 3, 4, 2))}, [], [B, 6, 8, 2], lambda x: last(F.pad(first(x), (3, 1, 2, 1), mode="reflect")), pad=[2, 1, 3, 1, 0, 0], mode="reflect")
    simple("edge", "pad", {"x": ([B, 3, 4, 2], normal(2, 3, 4, 2))}, [], [B, 8, 4, 2], lambda x: last(F.pad(first(x), (0, 0, 4, 1), mode="replicate")), pad=[4, 1, 0, 0, 0, 0], mode="edge")
    simple("numbers", "pad", {"x": ([2, 3], normal(2, 3))}, [], [3, 4], lambda x: F.pad(x, (0, 1, 1, 0)), pad=[1, 0, 0, 1], mode="constant")


def resize():
    for name, mode, size, out, kw in (("nearest", "nearest", (3, 4), (6, 8), {}), ("nearest-odd", "nearest", (7, 9), (5, 21), {}), ("linear", "linear", (4, 5), (8, 7), {}), ("linear-down", "linear", (9, 8), (4, 3), {}),
                                      ("linear-corners", "linear", (4, 5), (7, 11), {"corners": True}), ("linear-scale", "linear", (5, 5), (7, 7), {"scale": 1.5}), ("cubic", "cubic", (4, 5), (8, 7), {}),
                                      ("cubic-corners", "cubic", (5, 4), (3, 9), {"corners": True}), ("line", "linear", (5,), (9,), {}), ("nearest-scale", "nearest", (5, 5), (12, 12), {"scale": 2.5})):
        torch_mode = {"nearest": "nearest", "linear": "linear" if len(size) == 1 else "bilinear", "cubic": "bicubic"}[mode]
        more = {} if mode == "nearest" else {"align_corners": kw.get("corners", False)}
        attrs = {"mode": mode, "size": list(out), **({"corners": True} if kw.get("corners") else {}), **({"scale": [1 / kw["scale"]] * len(size)} if "scale" in kw else {})}
        run = lambda x: last(F.interpolate(first(x), scale_factor=kw["scale"], mode=torch_mode, **more) if "scale" in kw else F.interpolate(first(x), size=out, mode=torch_mode, **more))
        simple(name, "resize", {"x": ([B, *size, 3], normal(2, *size, 3))}, [], [B, *out, 3], run, **attrs)


def matmul():
    simple("images", "matmul", {"x": ([B, 3, 13], normal(2, 3, 13)), "y": ([B, 5, 13], normal(2, 5, 13))}, [], [B, 3, 5], lambda x, y: x @ y.mT)
    simple("heads", "matmul", {"x": ([B, 2, 4, 8], normal(2, 2, 4, 8)), "y": ([B, 2, 1, 8], normal(2, 2, 1, 8))}, [], [B, 2, 4, 1], lambda x, y: x @ y.mT)
    simple("numbers", "matmul", {"x": ([3, 5], normal(3, 5)), "y": ([4, 5], normal(4, 5))}, [], [3, 4], lambda x, y: x @ y.mT)


OPS = {"embedding": embedding, "linear": linear, "expert_linear": expert_linear, "weighted_sum": weighted_sum, "mixture": moe, "rmsnorm": rmsnorm, "layernorm": layernorm, "rope": rope,
       "attention": attention, "unary": unary, "binary": binary, "softmax": softmax, "topk": topk, "take": take, "one_hot": one_hot, "reduce": reduce, "gather": gather, "sequence_pool": sequence_pool, "unfold": unfold, "l2norm": l2norm, "concat": concat,
       "slice": slice_, "reshape": reshape, "transpose": transpose, "constant": constant, "conv": conv, "conv_transpose": conv_transpose, "pool": pool, "adaptive_pool": adaptive_pool, "batchnorm": batchnorm, "groupnorm": groupnorm,
       "pad": pad, "resize": resize, "matmul": matmul}

for kind, make in OPS.items():
    rng = np.random.default_rng(sum(ord(ch) * 131**i for i, ch in enumerate(kind)) % 2**32)
    make()
for k, cases in files.items():
    tensors = {}
    for c in cases:
        tensors.update(c.tensors)
    save_file(tensors, f"{sys.argv[1]}/{k}.safetensors")
    with open(f"{sys.argv[1]}/{k}.json", "w") as f:
        f.write("[\n" + ",\n".join(json.dumps({"name": c.name, "graph": c.g, "passes": c.passes}, separators=(",", ":")) for c in cases) + "\n]\n")
