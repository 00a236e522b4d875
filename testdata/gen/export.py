"""Small networks exported by PyTorch, for testdata/export.

    python export.py OUT

Writes NAME.pt2 (torch.export.save), NAME.golden.safetensors (input.I, output.I: two rows of pictures and the FP32 results; calib.I: eight
more pictures) and manifest.json: for each output how far FP32 is from FP64 at most. NAME.pt2e.pt2 is the network quantized by torchao's
static int8 flow on calib.I, pt2e.output.I its results. Needs torch, torchao, safetensors.
"""
import copy, json, sys
import torch, torch.nn as nn, torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(7)


class Net(nn.Module):
    def __init__(self, fn, **mods):
        super().__init__()
        for k, v in mods.items():
            setattr(self, k, v)
        self.fn = fn

    def forward(self, x):
        return self.fn(self, x)


def residual(s, x):
    """In-place ops, a batch norm, a sum of two convolutions, a shortcut."""
    y = F.relu_(s.bn(s.a(x)))
    z = s.b(y)
    z *= 3
    z += y
    w = s.c(F.relu(z)) + s.d(y)
    return s.fc(F.adaptive_avg_pool2d(F.relu_(w), 1).flatten(1))


def branches(s, x):
    """Concat of ranges 1 : 20, a gate, depthwise and grouped convolutions, pools, a shuffle, a transposed convolution."""
    a, b = F.relu(s.a(x)), s.b(x) * 20
    y = torch.cat([a, b, F.max_pool2d(a, 3, 1, 1)], 1)
    y = F.hardswish(s.dw(y))
    y = y * torch.sigmoid(s.u(F.relu(s.v(F.adaptive_avg_pool2d(y, 1)))))
    y = s.g(F.avg_pool2d(F.pad(y, (0, 1, 1, 0)), 3, 2, 1, ceil_mode=True))
    n, c, h, w = y.shape
    y = y.view(n, 4, c // 4, h, w).transpose(1, 2).reshape(n, c, h, w)
    p, q = torch.split(y, [6, 10], 1)
    return s.t(torch.cat([F.silu(q), p], 1)), F.interpolate(q, scale_factor=1.5, mode="bilinear").mean((2, 3))


def tokens(s, x):
    """Attention on patches: views, a class token, a layer norm, constants."""
    y = s.p(x).flatten(2).transpose(1, 2)
    y = torch.cat([s.cls.expand(y.shape[0], 1, 16), y], 1) + s.pos
    q, k, v = s.qkv(s.n(y)).view(y.shape[0], 17, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
    y = y + s.o(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(y.shape[0], 17, 16))
    return s.fc(y[:, 0]) @ s.w.t() + torch.tensor([1.0, -2, 3])


def means(s, x):
    """Means of codes that become codes of the same scale: many lie at a tie."""
    y = F.relu(s.a(x))
    y = s.c(F.avg_pool2d(s.b(y), 2))
    return s.fc(F.adaptive_avg_pool2d(y, 1).flatten(1))


def windows(s, x):
    """Attention within four windows, which the batch is joined with, as MobileViT cuts them."""
    b = x.shape[0]
    y = s.a(x).reshape(b * 8 * 4, 2, 4, 2).transpose(1, 2).reshape(b, 8, 16, 4).transpose(1, 3).reshape(b * 4, 16, 8)
    q, k, v = s.qkv(s.n(y)).reshape(b * 4, 16, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
    y = y + s.o(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b * 4, 16, 8))
    return s.fc(y.reshape(b, 4, 16, 8).transpose(1, 3).reshape(b, 8, 64).mean(-1))


nets = {
    "residual": Net(residual, a=nn.Conv2d(3, 16, 3, 2, 1, bias=False), bn=nn.BatchNorm2d(16), b=nn.Conv2d(16, 16, 3, padding=1), c=nn.Conv2d(16, 24, 3, 2, 1), d=nn.Conv2d(16, 24, 1, 2), fc=nn.Linear(24, 5)),
    "branches": Net(branches, a=nn.Conv2d(3, 8, 3, 2, 1), b=nn.Conv2d(3, 4, 1, 2), dw=nn.Conv2d(20, 20, 3, padding=1, groups=20), v=nn.Conv2d(20, 4, 1), u=nn.Conv2d(4, 20, 1),
                    g=nn.Conv2d(20, 16, 3, padding=2, dilation=2, groups=4), t=nn.ConvTranspose2d(16, 6, 3, 2, 1, output_padding=1, groups=2)),
    "tokens": Net(tokens, p=nn.Conv2d(3, 16, 8, 8), n=nn.LayerNorm(16), qkv=nn.Linear(16, 48), o=nn.Linear(16, 16), fc=nn.Linear(16, 4)),
}
with torch.random.fork_rng():
    torch.manual_seed(8)
    nets["means"] = Net(means, a=nn.Conv2d(3, 8, 3, 1, 1), b=nn.Conv2d(8, 16, 3, 2, 1), c=nn.Conv2d(16, 48, 1), fc=nn.Linear(48, 5))
    nets["windows"] = Net(windows, a=nn.Conv2d(3, 8, 4, 4), n=nn.LayerNorm(8), qkv=nn.Linear(8, 24), o=nn.Linear(8, 8), fc=nn.Linear(8, 3))
nets["tokens"].cls, nets["tokens"].pos = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 17, 16))
nets["tokens"].register_buffer("w", torch.randn(3, 4), persistent=False)
nets["residual"].bn.running_mean.normal_(), nets["residual"].bn.running_var.uniform_(0.5, 2)


def pictures(n):
    return F.interpolate(torch.randn(n, 3, 8, 8), size=32, mode="bilinear") + 0.2 * torch.randn(n, 3, 32, 32)


def leaves(y):
    return list(y) if isinstance(y, tuple) else [y]


def quantized(ep, x, calib):
    """The program quantized by torchao's X86InductorQuantizer."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import X86InductorQuantizer, get_default_x86_inductor_quantization_config
    q = X86InductorQuantizer()
    q.set_global(get_default_x86_inductor_quantization_config())
    p = prepare_pt2e(ep.module(), q)
    p(calib)
    c = convert_pt2e(p)
    return torch.export.export(c, (x,), dynamic_shapes=({0: torch.export.Dim("b", min=1, max=64)},)), leaves(c(x))


def save(ep, path):
    for n in ep.graph.nodes:
        n.meta.pop("stack_trace", None)
    torch.export.save(ep, path)


manifest = []
with torch.no_grad():
    for name, net in nets.items():
        net.eval()
        x, calib = pictures(2), pictures(8)
        want, exact = leaves(net(x)), leaves(copy.deepcopy(net).double()(x.double()) if name != "tokens" else net(x))
        ep = torch.export.export(net, (x,), dynamic_shapes=({0: torch.export.Dim("b", min=1, max=64)},))
        twin, outs = quantized(ep, x, calib) if name in ("branches", "means") else (None, [])
        save(ep, f"{sys.argv[1]}/{name}.pt2")
        if twin:
            save(twin, f"{sys.argv[1]}/{name}.pt2e.pt2")
        save_file({"input.0": x, "calib.0": calib, **{f"output.{i}": y.contiguous() for i, y in enumerate(want)}, **{f"pt2e.output.{i}": y.contiguous() for i, y in enumerate(outs)}}, f"{sys.argv[1]}/{name}.golden.safetensors")
        manifest.append({"name": name, "f32_vs_f64_max_abs": [max(float((a - b).abs().max()), 1e-6) for a, b in zip(want, exact)]})
json.dump(manifest, open(f"{sys.argv[1]}/manifest.json", "w"), indent=1)
