"""Some 400 networks of one op or a few, in unusual arguments, exported plain, static and decomposed, as bench/vision reads them.

    python modules.py OUT [--only PREFIX,..]

Writes OUT/{plain,static,decomposed}/NAME.pt2, NAME.golden.safetensors and manifest.json. Some cannot be exported or have results that no
program can give (random numbers); they are here to see what is said about them. The networks net_* are those of testdata/export.
"""
import argparse, copy, json, os, sys, warnings, zlib
warnings.filterwarnings("ignore")
import torch, torch.nn as nn, torch.nn.functional as F
from safetensors.torch import save_file

CASES = {}


class Net(nn.Module):
    """f(y, x, s): x a picture [B, 3, 10, 12], y a convolution's result [B, 8, 10, 12]."""
    def __init__(self, f, **mods):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        for k, v in mods.items():
            if isinstance(v, torch.Tensor) and not isinstance(v, nn.Parameter):
                self.register_buffer(k, v)
            else:
                setattr(self, k, v)
        self.f = f

    def forward(self, x):
        return self.f(self.conv(x), x, self)


def c(name, f, shape=(3, 10, 12), **mods):
    CASES[name] = (f, mods)


P = lambda *s: nn.Parameter(torch.randn(*s))
# convolutions
c("conv_reflect", lambda y, x, s: s.a(y), a=lambda: nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"))
c("conv_replicate", lambda y, x, s: s.a(y), a=lambda: nn.Conv2d(8, 8, 3, padding=(2, 1), padding_mode="replicate"))
c("conv_circular", lambda y, x, s: s.a(y), a=lambda: nn.Conv2d(8, 8, 3, padding=(2, 1), padding_mode="circular"))
c("conv_same_even", lambda y, x, s: s.a(y), a=lambda: nn.Conv2d(8, 8, (2, 4), padding="same", dilation=(1, 3)))
c("conv_valid", lambda y, x, s: s.a(y), a=lambda: nn.Conv2d(8, 8, 3, padding="valid", stride=2))
c("conv_groups_mult", lambda y, x, s: s.a(y), a=lambda: nn.Conv2d(8, 24, 3, padding=1, groups=4))
c("conv_dw_mult", lambda y, x, s: s.a(y), a=lambda: nn.Conv2d(8, 24, 5, padding=2, groups=8, stride=(2, 1)))
c("conv_dw_dil", lambda y, x, s: s.a(y), a=lambda: nn.Conv2d(8, 8, 3, padding=3, groups=8, dilation=3))
c("conv_1x1_stride", lambda y, x, s: s.a(y), a=lambda: nn.Conv2d(8, 5, 1, stride=(3, 2)))
c("conv_bigpad", lambda y, x, s: s.a(y), a=lambda: nn.Conv2d(8, 5, 3, padding=5, stride=3))
c("conv_whole", lambda y, x, s: s.a(y), a=lambda: nn.Conv2d(8, 5, (10, 12)))
c("conv_functional", lambda y, x, s: F.conv2d(y, s.w, None, 1, 1), w=lambda: P(4, 8, 3, 3))
c("conv_weight_expr", lambda y, x, s: F.conv2d(y, s.w * s.g.view(4, 1, 1, 1) / s.w.flatten(1).norm(dim=1)[:, None, None, None], s.b), w=lambda: P(4, 8, 3, 3), g=lambda: P(4), b=lambda: P(4))
c("conv_weight_std", lambda y, x, s: F.conv2d(y, (s.w - s.w.mean((1, 2, 3), keepdim=True)) / (s.w.var((1, 2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()), w=lambda: P(4, 8, 3, 3))
c("conv_weight_bn", lambda y, x, s: F.conv2d(y, F.batch_norm(s.w.reshape(1, 4, -1), None, None, weight=(s.g * 0.3).view(-1), training=True, momentum=0.0, eps=1e-6).reshape_as(s.w)), w=lambda: P(4, 8, 3, 3), g=lambda: P(4, 1, 1, 1))
c("alias_view_as", lambda y, x, s: y.flatten(1).view_as(y) + x.mean(1, keepdim=True).broadcast_to(y.shape))
c("alias_clip", lambda y, x, s: torch.subtract(torch.multiply(torch.clip(y, -0.5, 0.7), 2.0), torch.divide(y, 3.0)))
c("alias_in_place", lambda y, x, s: y.multiply_(2.0).clip_(-1, 1).negative_().absolute_())
c("alias_less", lambda y, x, s: torch.where(torch.less_equal(y, 0.1), y, torch.erfc(y)) + F.tanhshrink(y))
c("weight_norm", lambda y, x, s: s.a(y), a=lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 5, 3)))
c("spectral_norm", lambda y, x, s: s.a(y), a=lambda: nn.utils.parametrizations.spectral_norm(nn.Conv2d(8, 5, 3)))
for st, pd, op, k, g, d in [(2, 1, 1, 3, 1, 1), (3, 0, 2, 2, 2, 1), (2, 2, 0, 5, 4, 1), (1, 1, 0, 3, 8, 1), ((2, 3), (1, 0), (0, 1), (4, 3), 1, 1), (2, 1, 1, 3, 1, 2)]:
    c(f"deconv_s{st}_p{pd}_o{op}_k{k}_g{g}_d{d}".replace(", ", "x").replace("(", "").replace(")", ""), lambda y, x, s: s.a(y), a=lambda st=st, pd=pd, op=op, k=k, g=g, d=d: nn.ConvTranspose2d(8, 16, k, st, pd, op, groups=g, dilation=d))
c("deconv_size", lambda y, x, s: s.a(y, output_size=[20, 24]), a=lambda: nn.ConvTranspose2d(8, 6, 3, 2, 1))
c("conv1d", lambda y, x, s: s.a(y.flatten(2)), a=lambda: nn.Conv1d(8, 6, 5, 2, 2, dilation=2, groups=2))
c("conv1d_last", lambda y, x, s: s.a(y.mean(3)), a=lambda: nn.Conv1d(8, 6, 3, padding=1))
c("conv3d", lambda y, x, s: s.a(y.unsqueeze(1)), a=lambda: nn.Conv3d(1, 6, (3, 3, 2), (1, 2, 2), (0, 1, 1)))
c("deconv1d", lambda y, x, s: s.a(y.flatten(2)), a=lambda: nn.ConvTranspose1d(8, 6, 4, 2, 1))
c("deconv3d", lambda y, x, s: s.a(y.unsqueeze(2)), a=lambda: nn.ConvTranspose3d(8, 4, 2, 2))
c("unfold", lambda y, x, s: F.unfold(y, 3, padding=1, stride=2))
c("fold", lambda y, x, s: F.fold(F.unfold(y, 2, stride=2), (10, 12), 2, stride=2))
c("im2col_mm", lambda y, x, s: s.w @ F.unfold(y, (3, 2), dilation=2), w=lambda: P(5, 48))
# pools
c("maxpool_ceil_pad", lambda y, x, s: F.max_pool2d(y, 3, 2, 1, ceil_mode=True))
c("maxpool_dil", lambda y, x, s: F.max_pool2d(y, (2, 3), (1, 2), 1, dilation=(3, 1), ceil_mode=True))
c("maxpool_1d", lambda y, x, s: F.max_pool1d(y.flatten(2), 3, 2, 1, ceil_mode=True))
c("maxpool_3d", lambda y, x, s: F.max_pool3d(y.unsqueeze(1), 2, (2, 1, 2), 1))
c("maxpool_3rank", lambda y, x, s: F.max_pool2d(y.flatten(0, 0).mean(1), 2))
c("avgpool_ceil", lambda y, x, s: F.avg_pool2d(y, 3, 2, 1, ceil_mode=True))
c("avgpool_nopad", lambda y, x, s: F.avg_pool2d(y, (3, 5), (2, 1), (1, 2), count_include_pad=False))
c("avgpool_div", lambda y, x, s: F.avg_pool2d(y, 2, divisor_override=3))
c("avgpool_1d", lambda y, x, s: F.avg_pool1d(y.flatten(2), 4, 3, 1, ceil_mode=True, count_include_pad=False))
c("avgpool_3d", lambda y, x, s: F.avg_pool3d(y.unsqueeze(1), (2, 3, 2), (2, 2, 1), (1, 0, 0)))
c("lppool", lambda y, x, s: F.lp_pool2d(y, 2, 3, 2))
c("adaptive_odd", lambda y, x, s: F.adaptive_avg_pool2d(y, (3, 7)))
c("adaptive_none", lambda y, x, s: F.adaptive_avg_pool2d(y, (None, 5)))
c("adaptive_up", lambda y, x, s: F.adaptive_avg_pool2d(y, (14, 13)))
c("adaptive_max", lambda y, x, s: F.adaptive_max_pool2d(y, (4, 5)))
c("adaptive_max_idx", lambda y, x, s: F.adaptive_max_pool2d(y, (4, 5), return_indices=True)[0])
c("adaptive_1d", lambda y, x, s: F.adaptive_avg_pool1d(y.flatten(2), 7))
c("adaptive_max1d", lambda y, x, s: F.adaptive_max_pool1d(y.flatten(2), 7))
c("adaptive_3d", lambda y, x, s: F.adaptive_avg_pool3d(y.unsqueeze(1), (3, 5, 1)))
c("maxpool_unpool_idx", lambda y, x, s: F.max_pool2d(y, 2, return_indices=True)[0])
# norms
c("bn_noaffine", lambda y, x, s: s.a(y), a=lambda: nn.BatchNorm2d(8, affine=False))
c("bn1d", lambda y, x, s: s.a(y.mean((2, 3))), a=lambda: nn.BatchNorm1d(8))
c("bn1d_3", lambda y, x, s: s.a(y.flatten(2)), a=lambda: nn.BatchNorm1d(8))
c("bn3d", lambda y, x, s: s.a(y.unsqueeze(2)), a=lambda: nn.BatchNorm3d(8))
c("bn_first", lambda y, x, s: s.a(x), a=lambda: nn.BatchNorm2d(3))
c("bn_nostats", lambda y, x, s: s.a(y), a=lambda: nn.BatchNorm2d(8, track_running_stats=False))
c("gn", lambda y, x, s: s.a(y), a=lambda: nn.GroupNorm(2, 8))
c("gn1", lambda y, x, s: s.a(y), a=lambda: nn.GroupNorm(1, 8, affine=False))
c("gn_flat", lambda y, x, s: s.a(y.flatten(1)), a=lambda: nn.GroupNorm(4, 960))
c("gn_1d", lambda y, x, s: s.a(y.flatten(2)), a=lambda: nn.GroupNorm(4, 8))
c("inorm", lambda y, x, s: s.a(y), a=lambda: nn.InstanceNorm2d(8))
c("inorm_aff", lambda y, x, s: s.a(y), a=lambda: nn.InstanceNorm2d(8, affine=True, eps=1e-3))
c("inorm_track", lambda y, x, s: s.a(y), a=lambda: nn.InstanceNorm2d(8, affine=True, track_running_stats=True))
c("inorm1d", lambda y, x, s: s.a(y.flatten(2)), a=lambda: nn.InstanceNorm1d(8, affine=True))
c("ln_last", lambda y, x, s: s.a(y), a=lambda: nn.LayerNorm(12))
c("ln_chw", lambda y, x, s: s.a(y), a=lambda: nn.LayerNorm((8, 10, 12)))
c("ln_hw", lambda y, x, s: s.a(y), a=lambda: nn.LayerNorm((10, 12), elementwise_affine=False))
c("ln_channels", lambda y, x, s: s.a(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), a=lambda: nn.LayerNorm(8, bias=False))
c("ln_manual", lambda y, x, s: (y - y.mean(1, keepdim=True)) / torch.sqrt((y - y.mean(1, keepdim=True)).pow(2).mean(1, keepdim=True) + 1e-6) * s.w[:, None, None] + s.b[:, None, None], w=lambda: P(8), b=lambda: P(8))
c("rms", lambda y, x, s: s.a(y), a=lambda: nn.RMSNorm(12))
c("rms_manual", lambda y, x, s: y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-6))
c("lrn", lambda y, x, s: F.local_response_norm(y, 3, 1e-2, 0.75, 1.0))
c("normalize1", lambda y, x, s: F.normalize(y, p=1, dim=1))
c("normalize2", lambda y, x, s: F.normalize(y.flatten(1)))
c("var", lambda y, x, s: y.var((2, 3)))
c("var_biased", lambda y, x, s: y.var(1, unbiased=False, keepdim=True))
c("std", lambda y, x, s: y.std(-1))
c("var_mean", lambda y, x, s: torch.var_mean(y, dim=(1,), correction=0))
c("grn", lambda y, x, s: y * (torch.norm(y, p=2, dim=(2, 3), keepdim=True) / (torch.norm(y, p=2, dim=(2, 3), keepdim=True).mean(1, keepdim=True) + 1e-6)))
# activations
for n, f in dict(relu=F.relu, relu6=F.relu6, leaky=lambda y: F.leaky_relu(y, 0.3), elu=lambda y: F.elu(y, 0.7), selu=F.selu, celu=lambda y: F.celu(y, 0.5), gelu=F.gelu, gelu_tanh=lambda y: F.gelu(y, approximate="tanh"), silu=F.silu, mish=F.mish,
                 softplus=F.softplus, softplus_beta=lambda y: F.softplus(y, 2, 3), softsign=F.softsign, tanhshrink=F.tanhshrink, hardshrink=F.hardshrink, softshrink=lambda y: F.softshrink(y, 0.3), threshold=lambda y: F.threshold(y, 0.1, -2.0), hardswish=F.hardswish,
                 hardsigmoid=F.hardsigmoid, hardtanh=lambda y: F.hardtanh(y, -0.5, 2), logsigmoid=F.logsigmoid, sigmoid=torch.sigmoid, tanh=torch.tanh, quickgelu=lambda y: y * torch.sigmoid(1.702 * y), glu=lambda y: F.glu(y, 1), glu_last=lambda y: F.glu(y),
                 softmax=lambda y: F.softmax(y, 1), softmax_all=lambda y: F.softmax(y.flatten(1), -1), log_softmax=lambda y: F.log_softmax(y, 1), softmin=lambda y: F.softmin(y, 2), logsumexp=lambda y: torch.logsumexp(y, 1), rrelu=lambda y: F.rrelu(y),
                 exp=torch.exp, log=lambda y: torch.log(y.abs() + 0.1), log1p=lambda y: torch.log1p(y.abs()), log2=lambda y: torch.log2(y * y + 1), expm1=torch.expm1, sqrt=lambda y: torch.sqrt(y.abs()), rsqrt=lambda y: torch.rsqrt(y.abs() + 1), square=torch.square, sin=torch.sin, cos=torch.cos, erf=torch.erf, abs=torch.abs, neg=torch.neg,
                 floor=torch.floor, ceil=torch.ceil, round=torch.round, trunc=torch.trunc, sign=torch.sign, reciprocal=lambda y: torch.reciprocal(y.abs() + 1), pow3=lambda y: y ** 3, pow_half=lambda y: (y.abs() + 0.1) ** 0.5, pow_frac=lambda y: (y.abs() + 0.1) ** 1.7, pow_neg=lambda y: (y.abs() + 1) ** -2, pow_base=lambda y: 2.0 ** y, pow_four=lambda y: y ** 4, pow_zero=lambda y: y ** 0, atan=torch.atan, sinh=torch.sinh, frac=torch.frac).items():
    c("act_" + n, lambda y, x, s, f=f: f(y))
c("prelu1", lambda y, x, s: s.a(y), a=lambda: nn.PReLU())
c("prelu8", lambda y, x, s: s.a(y), a=lambda: nn.PReLU(8, init=0.1))
c("prelu_neg", lambda y, x, s: F.prelu(y, s.w), w=lambda: P(8))
c("inplace_acts", lambda y, x, s: F.hardswish(F.relu6(F.leaky_relu(y, 0.1, inplace=True), inplace=True) * 2 - 3, inplace=True))
# arithmetic
c("scalars", lambda y, x, s: (2 - y * 3 + 1) / 4 - 0.5)
c("rdiv", lambda y, x, s: 1.0 / (y.abs() + 1))
c("rsub", lambda y, x, s: torch.rsub(y, 2, alpha=3))
c("add_alpha", lambda y, x, s: torch.add(y, y * y, alpha=0.3) - torch.sub(y, y.abs(), alpha=2))
c("broadcast", lambda y, x, s: y * y.mean((2, 3), keepdim=True) + y.amax(1, keepdim=True) - y[:, :, :1] / (y[:, :1, :, :1].abs() + 1))
c("bcast_vec", lambda y, x, s: y * s.w + y.permute(0, 2, 3, 1).mul(s.v).permute(0, 3, 1, 2), w=lambda: P(12), v=lambda: P(8))
c("bcast_param", lambda y, x, s: y * s.w + s.v, w=lambda: P(1, 8, 1, 12), v=lambda: P(10, 1))
c("maxmin", lambda y, x, s: torch.maximum(y, y.flip(1)) - torch.minimum(y, s.w), w=lambda: P(8, 1, 1))
c("clamp_tensor", lambda y, x, s: torch.clamp(y, min=s.lo, max=s.hi), lo=lambda: nn.Parameter(torch.randn(8, 1, 1) - 2), hi=lambda: nn.Parameter(torch.randn(8, 1, 1) + 2))
c("clamp_one", lambda y, x, s: y.clamp(max=0.3) + y.clamp(min=-0.2))
c("floordiv", lambda y, x, s: y // 0.5)
c("div_trunc", lambda y, x, s: torch.div(y, 0.3, rounding_mode="trunc"))
c("remainder", lambda y, x, s: torch.remainder(y, 0.7))
c("fmod", lambda y, x, s: torch.fmod(y, 0.7))
c("addcmul", lambda y, x, s: torch.addcmul(y, y, y.flip(2), value=0.5))
c("addcdiv", lambda y, x, s: torch.addcdiv(y, y, y.abs() + 1, value=0.5))
c("lerp", lambda y, x, s: torch.lerp(y, y.flip(1), 0.3))
c("lerp_t", lambda y, x, s: torch.lerp(y, y.flip(1), torch.sigmoid(y)))
c("atan2", lambda y, x, s: torch.atan2(y, y.flip(1)))
c("hypot", lambda y, x, s: torch.hypot(y, y.flip(1)))
c("where_const", lambda y, x, s: torch.where(s.m, y, y * 0.1), m=lambda: torch.rand(10, 12) > 0.5)
c("where_cmp", lambda y, x, s: torch.where(y > 0.2, y, y * 0.1))
c("where_scalar", lambda y, x, s: torch.where(y > 0, y, 0.0) + torch.where(y < -0.3, 1.0, y))
c("where_two", lambda y, x, s: torch.where(y > y.flip(1), y, y.flip(2)))
c("masked_fill", lambda y, x, s: y.masked_fill(s.m, -1.5), m=lambda: torch.rand(1, 1, 10, 12) > 0.5)
c("masked_fill_inf", lambda y, x, s: F.softmax(y.masked_fill(s.m, float("-inf")), -1), m=lambda: torch.rand(12) > 0.5)
c("masked_fill_cmp", lambda y, x, s: y.masked_fill(y < 0, 0.25))
c("mask_mul", lambda y, x, s: y * (y > 0.1) + (y <= 0).float() * 2)
c("bools", lambda y, x, s: y * ((y > 0) & (x[:, :1] < 0.5) | ~(y < 1)).to(y.dtype))
c("eq_int", lambda y, x, s: (y.argmax(1) == 3).float())
c("tri", lambda y, x, s: F.softmax((y @ y.transpose(2, 3)).masked_fill(torch.triu(torch.ones(10, 10, dtype=torch.bool), 1), float("-inf")), -1))
c("tril_mul", lambda y, x, s: torch.tril(y @ y.transpose(2, 3)))
c("nan_to_num", lambda y, x, s: torch.nan_to_num(y))
c("isnan", lambda y, x, s: torch.where(torch.isnan(y), torch.zeros_like(y), y))
# reductions
c("mean_all_dims", lambda y, x, s: y.mean((1, 2, 3)))
c("mean_c", lambda y, x, s: y.mean(1))
c("mean_keep", lambda y, x, s: y.mean((-1,), keepdim=True))
c("sum_mix", lambda y, x, s: y.sum((1, 3)))
c("amax_mix", lambda y, x, s: y.amax((1, 3), keepdim=True) - y.amin(2, keepdim=True))
c("max_dim", lambda y, x, s: y.max(2)[0])
c("max_dim_both", lambda y, x, s: y.max(1))
c("min_dim", lambda y, x, s: y.min(3, keepdim=True)[0])
c("argmax", lambda y, x, s: y.argmax(1))
c("argmin", lambda y, x, s: y.argmin(-1, keepdim=True))
c("prod", lambda y, x, s: y.prod(1))
c("cumsum", lambda y, x, s: y.cumsum(2))
c("topk", lambda y, x, s: y.flatten(1).topk(5))
c("topk_small", lambda y, x, s: y.topk(3, dim=1, largest=False)[0])
c("sort", lambda y, x, s: y.sort(1)[0])
c("sort_desc", lambda y, x, s: torch.sort(y.flatten(1), descending=True)[0])
c("argsort", lambda y, x, s: y.mean((2, 3)).argsort(1))
c("median", lambda y, x, s: y.flatten(1).median(1)[0])
c("norm1", lambda y, x, s: y.norm(p=1, dim=1))
c("norm_inf", lambda y, x, s: y.norm(p=float("inf"), dim=(2, 3)))
c("norm2", lambda y, x, s: torch.linalg.norm(y.flatten(1), dim=1, keepdim=True))
c("count_nonzero", lambda y, x, s: (y > 0).sum((1, 2, 3)))
c("any", lambda y, x, s: (y > 1).any(1).float())
c("all", lambda y, x, s: (y > -9).all(1).float())
c("cdist", lambda y, x, s: torch.cdist(y.flatten(2), s.w), w=lambda: P(5, 120))
c("cosine", lambda y, x, s: F.cosine_similarity(y, y.flip(1) + 1, dim=1))
# views
c("flatten_mid", lambda y, x, s: y.flatten(1, 2))
c("view_split", lambda y, x, s: y.view(y.shape[0], 4, 2, 10, 12).permute(0, 2, 1, 4, 3).reshape(y.shape[0], 8, -1))
c("view_neg", lambda y, x, s: y.view(-1, 8, 120))
c("unflatten", lambda y, x, s: y.unflatten(1, (2, -1)).sum(1))
c("patches", lambda y, x, s: y.view(y.shape[0], 8, 5, 2, 6, 2).permute(0, 2, 4, 3, 5, 1).reshape(y.shape[0], 30, 32))
c("windows", lambda y, x, s: s.a(y.permute(0, 2, 3, 1).view(y.shape[0], 2, 5, 3, 4, 8).permute(0, 1, 3, 2, 4, 5).reshape(-1, 20, 8)).view(y.shape[0], 6, 20, 5), a=lambda: nn.Linear(8, 5))
c("squeeze", lambda y, x, s: y.mean(1, keepdim=True).squeeze(1).unsqueeze(-1).squeeze())
c("movedim", lambda y, x, s: y.movedim(1, -1).movedim((1, 2), (2, 1)))
c("transpose_hw", lambda y, x, s: s.a(y.transpose(2, 3)), a=lambda: nn.Conv2d(8, 4, (3, 1)))
c("swap_cw", lambda y, x, s: s.a(y.transpose(1, 3)), a=lambda: nn.Conv2d(12, 4, 3))
c("mT", lambda y, x, s: y.mT @ y)
c("slice_steps", lambda y, x, s: torch.cat([y[:, ::2, 1::2, ::2], y[:, 1::2, ::2, 1::2]], 1))
c("slice_neg", lambda y, x, s: y[..., -5:-1] + y[:, :, :, :4])
c("slice_mixed", lambda y, x, s: y[:, 3, 2:8:3, None, :-1])
c("select_last", lambda y, x, s: y[:, -1] + y[:, :, -2].mean(2)[..., None, None][:, 0])
c("index_list", lambda y, x, s: y[:, [3, 1, 1, 7]])
c("index_tensor", lambda y, x, s: y[:, :, s.i], i=lambda: torch.tensor([[1, 2], [9, 0]]))
c("index_two", lambda y, x, s: y[:, s.i, s.j], i=lambda: torch.tensor([1, 2, 7]), j=lambda: torch.tensor([0, 9, 3]))
c("index_two_apart", lambda y, x, s: y[:, s.i, :, s.j], i=lambda: torch.tensor([1, 2, 7]), j=lambda: torch.tensor([0, 9, 3]))
c("index_mask", lambda y, x, s: y[:, s.m], m=lambda: torch.tensor([True, False, True, True, False, False, True, False]))
c("index_select", lambda y, x, s: torch.index_select(y, 3, s.i), i=lambda: torch.tensor([0, 11, 5]))
c("gather_const", lambda y, x, s: torch.gather(y.flatten(2), 2, s.i.expand(y.shape[0], -1, -1)), i=lambda: torch.randint(0, 120, (1, 8, 7)))
c("gather_computed", lambda y, x, s: torch.gather(y.flatten(2), 2, y.flatten(2).topk(3, 2)[1]))
c("take_argmax", lambda y, x, s: s.e(y.mean((2, 3)).argmax(1)), e=lambda: nn.Embedding(8, 5))
c("embed_idx", lambda y, x, s: s.t[y.argmax(1)], t=lambda: P(8, 4))
c("one_hot", lambda y, x, s: F.one_hot(y.mean((2, 3)).argmax(1), 8).float())
c("split_uneven", lambda y, x, s: torch.cat([t.relu() * (i + 1) for i, t in enumerate(y.split(3, 1))], 1))
c("split_sizes", lambda y, x, s: (lambda a, b, q: torch.cat([q, a, b], 2))(*y.split([1, 4, 5], 2)))
c("chunk_last", lambda y, x, s: sum(y.chunk(5, -1)[:4]))
c("tensor_split", lambda y, x, s: [t.mean(3) for t in torch.tensor_split(y, 3, 1)])
c("unbind", lambda y, x, s: torch.stack([t * i for i, t in enumerate(y.unbind(1))], -1))
c("stack_dims", lambda y, x, s: torch.stack([y, -y], 2).flatten(1, 2))
c("hstack", lambda y, x, s: torch.hstack([y, y * 2]))
c("cat_hw", lambda y, x, s: torch.cat([torch.cat([y, y.flip(2)], 2), torch.cat([y * 2, -y], 2)], 3))
c("cat_const", lambda y, x, s: torch.cat([s.t.expand(y.shape[0], -1, -1, -1), y, torch.zeros_like(y[:, :1])], 1), t=lambda: P(1, 2, 10, 12))
c("cat_input", lambda y, x, s: s.a(torch.cat([x, y], 1)), a=lambda: nn.Conv2d(11, 4, 1))
c("repeat", lambda y, x, s: y.repeat(1, 2, 1, 3))
c("repeat_new", lambda y, x, s: y.mean(3).repeat(1, 1, 2))
c("repeat_interleave", lambda y, x, s: y.repeat_interleave(2, 1).repeat_interleave(3, -1))
c("tile", lambda y, x, s: torch.tile(y, (2, 1)))
c("expand", lambda y, x, s: y.mean(1, keepdim=True).expand(-1, 4, -1, -1) + s.t.expand(4, 10, 12), t=lambda: P(4, 1, 1))
c("flip", lambda y, x, s: y.flip(2, 3) - torch.flip(y, [1]))
c("roll", lambda y, x, s: torch.roll(y, (3, -2), (2, 3)))
c("roll_c", lambda y, x, s: y.roll(1, 1))
c("rot90", lambda y, x, s: torch.rot90(y, 1, (2, 3)))
c("pixel_shuffle", lambda y, x, s: F.pixel_shuffle(y, 2))
c("pixel_unshuffle", lambda y, x, s: F.pixel_unshuffle(y, 2))
c("channel_shuffle", lambda y, x, s: F.channel_shuffle(y, 4))
c("unread", lambda y, x, s: y.view(y.shape[0], *y[0].shape[:1], -1) * (1 if x[0].numel() > 3 else 0))
c("alias_concat", lambda y, x, s: torch.concat([torch.concatenate([y, x], 1), torch.special.expit(y).unsafe_chunk(2, 1)[1]], 1) + torch.special.softmax(y.ravel().sum() * 0 + y[:, :1], 3))
c("as_strided_turned", lambda y, x, s: torch.as_strided(y[:, :, :, :10].contiguous(), (y.shape[0], 8, 10, 10), (800, 100, 1, 10)) * 2)
c("as_strided_rows", lambda y, x, s: torch.as_strided(y.contiguous(), (y.shape[0], 8, 10, 12), (960, 120, 1, 1)) * 2)
c("as_strided", lambda y, x, s: torch.as_strided(s.t, (4, 3), (1, 2)) @ y.flatten(2)[:, :3], t=lambda: P(20))
c("diag", lambda y, x, s: torch.diagonal(y, dim1=2, dim2=3))
c("meshgrid", lambda y, x, s: y + torch.meshgrid(torch.arange(10.), torch.linspace(0, 1, 12), indexing="ij")[0] * 0.1)
c("full_like", lambda y, x, s: y * torch.full_like(y, 2.0) + torch.ones(y.shape[0], 1, 10, 12) - torch.zeros_like(y))
c("new_tensors", lambda y, x, s: y + y.new_zeros(12) + y.new_full((10, 1), 0.5) + y.new_ones(y.shape[0], 8, 1, 1) + torch.eye(10, 12))
c("new_tensor_batch", lambda y, x, s: torch.cat([y.new_zeros(y.shape[0], 1, 10, 12), y], 1))
# pads
c("pad_const", lambda y, x, s: F.pad(y, (1, 2, 3, 0), value=0.7))
c("pad_neg", lambda y, x, s: F.pad(y, (-1, 2, 1, -2)))
c("pad_reflect", lambda y, x, s: F.pad(y, (1, 2, 3, 4), mode="reflect"))
c("pad_replicate", lambda y, x, s: F.pad(y, (5, 2, 3, 4), mode="replicate"))
c("pad_circular", lambda y, x, s: F.pad(y, (1, 2, 3, 4), mode="circular"))
c("pad_channels", lambda y, x, s: F.pad(y, (0, 0, 0, 0, 2, 1)))
c("pad_1d", lambda y, x, s: F.pad(y.flatten(2), (2, 3), mode="reflect"))
c("pad_3d", lambda y, x, s: F.pad(y.unsqueeze(1), (1, 1, 2, 2, 3, 3), mode="replicate"))
c("zeropad_module", lambda y, x, s: s.b(s.a(y)), a=lambda: nn.ZeroPad2d((0, 1, 0, 1)), b=lambda: nn.MaxPool2d(2))
# resize
for mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area"):
    c("up_" + mode, lambda y, x, s, mode=mode: F.interpolate(y, size=(17, 15), mode=mode))
    c("down_" + mode, lambda y, x, s, mode=mode: F.interpolate(y, size=(4, 7), mode=mode))
    c("scale_" + mode, lambda y, x, s, mode=mode: F.interpolate(y, scale_factor=(1.7, 0.6), mode=mode))
c("scale_recompute", lambda y, x, s: F.interpolate(y, scale_factor=1.35, mode="bilinear", recompute_scale_factor=True))
c("up_corners", lambda y, x, s: F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True) + F.interpolate(y, size=(20, 24), mode="bicubic", align_corners=True))
c("up_antialias", lambda y, x, s: F.interpolate(y, size=(5, 6), mode="bilinear", antialias=True))
c("up_linear", lambda y, x, s: F.interpolate(y.flatten(2), scale_factor=1.5, mode="linear"))
c("up_nearest1d", lambda y, x, s: F.interpolate(y.flatten(2), size=77))
c("up_trilinear", lambda y, x, s: F.interpolate(y.unsqueeze(1), size=(4, 12, 15), mode="trilinear"))
c("up_nearest3d", lambda y, x, s: F.interpolate(y.unsqueeze(1), scale_factor=2))
c("grid_sample", lambda y, x, s: F.grid_sample(y, s.g.expand(y.shape[0], -1, -1, -1), align_corners=False), g=lambda: torch.rand(1, 5, 6, 2) * 2 - 1)
# products
c("linear_4d", lambda y, x, s: s.a(y), a=lambda: nn.Linear(12, 5))
c("linear_nobias", lambda y, x, s: s.a(y.flatten(2).transpose(1, 2)), a=lambda: nn.Linear(8, 5, bias=False))
c("linear_chain", lambda y, x, s: s.b(F.relu(s.a(y.flatten(1)))), a=lambda: nn.Linear(960, 20), b=lambda: nn.Linear(20, 3))
c("bilinear", lambda y, x, s: s.a(y.mean((2, 3)), y.amax((2, 3))), a=lambda: nn.Bilinear(8, 8, 4))
c("matmul_self", lambda y, x, s: y.flatten(2) @ y.flatten(2).transpose(1, 2))
c("matmul_bcast", lambda y, x, s: y @ s.w, w=lambda: P(8, 12, 5))
c("matmul_left", lambda y, x, s: s.w @ y, w=lambda: P(5, 10))
c("matmul_vec", lambda y, x, s: y @ s.w, w=lambda: P(12))
c("matmul_vec_left", lambda y, x, s: s.w @ y, w=lambda: P(10))
c("bmm", lambda y, x, s: torch.bmm(y.flatten(2), y.flatten(2).mT))
c("baddbmm", lambda y, x, s: torch.baddbmm(s.w, y.flatten(2), y.flatten(2).mT, beta=0.5, alpha=0.1), w=lambda: P(1, 8, 8))
c("addmm", lambda y, x, s: torch.addmm(s.b, y.flatten(1), s.w, beta=2, alpha=0.5), b=lambda: P(4), w=lambda: P(960, 4))
c("mm", lambda y, x, s: torch.mm(y.flatten(1), s.w), w=lambda: P(960, 4))
c("mv", lambda y, x, s: torch.mv(y.flatten(1), s.w), w=lambda: P(960))
c("outer", lambda y, x, s: y.mean((2, 3))[:, :, None] * y.amax((2, 3))[:, None])
c("einsum_bchw", lambda y, x, s: torch.einsum("bchw,dc->bdhw", y, s.w), w=lambda: P(5, 8))
c("einsum_gram", lambda y, x, s: torch.einsum("bchw,bdhw->bcd", y, y) / 120)
c("einsum_rel", lambda y, x, s: torch.einsum("bhwc,hkc->bhwk", y.permute(0, 2, 3, 1), s.w), w=lambda: P(10, 7, 8))
c("einsum_sum", lambda y, x, s: torch.einsum("bchw->bc", y))
c("einsum_diagsum", lambda y, x, s: torch.einsum("bchw,chw->b", y, s.w), w=lambda: P(8, 10, 12))
c("einsum_dots", lambda y, x, s: torch.einsum("...i,ij->...j", y, s.w), w=lambda: P(12, 5))
c("einsum_three", lambda y, x, s: torch.einsum("bchw,c,hk->bwk", y, s.v, s.w), v=lambda: P(8), w=lambda: P(10, 3))
c("einsum_tr", lambda y, x, s: torch.einsum("bchw->bwhc", y))
c("tensordot", lambda y, x, s: torch.tensordot(y, s.w, dims=([1], [0])), w=lambda: P(8, 4))
c("kron_less", lambda y, x, s: torch.matmul(y.unsqueeze(-2), y.unsqueeze(-1)).squeeze())
c("sdpa", lambda y, x, s: F.scaled_dot_product_attention(y, y * 2, y + 1))
c("sdpa_mask", lambda y, x, s: F.scaled_dot_product_attention(y, y, y, attn_mask=s.m, scale=0.3), m=lambda: P(8, 10, 10))
c("sdpa_bool", lambda y, x, s: F.scaled_dot_product_attention(y, y, y, attn_mask=s.m), m=lambda: torch.rand(10, 10) > 0.2)
c("sdpa_causal", lambda y, x, s: F.scaled_dot_product_attention(y, y, y, is_causal=True))
c("sdpa_gqa", lambda y, x, s: F.scaled_dot_product_attention(y, y[:, :4], y[:, 4:], enable_gqa=True))
c("sdpa_cross", lambda y, x, s: F.scaled_dot_product_attention(y[:, :, :3], y, y[..., :5]))
c("mha", lambda y, x, s: s.a(*[y.flatten(2).transpose(1, 2)] * 3)[0], a=lambda: nn.MultiheadAttention(8, 2, batch_first=True))
c("mha_w", lambda y, x, s: s.a(*[y.flatten(2).transpose(1, 2)] * 3, average_attn_weights=False), a=lambda: nn.MultiheadAttention(8, 2, batch_first=True, bias=False))
c("mha_seqfirst", lambda y, x, s: s.a(*[y.flatten(2).permute(2, 0, 1)] * 3, need_weights=False)[0].transpose(0, 1), a=lambda: nn.MultiheadAttention(8, 2))
c("mha_kv", lambda y, x, s: s.a(y.flatten(2).transpose(1, 2), y.flatten(2), y.flatten(2))[0], a=lambda: nn.MultiheadAttention(8, 2, kdim=120, vdim=120, batch_first=True, add_bias_kv=True))
c("encoder_layer", lambda y, x, s: s.a(y.flatten(2).transpose(1, 2)), a=lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, activation="gelu"))
c("decoder_layer", lambda y, x, s: s.a(s.q.expand(y.shape[0], -1, -1), y.flatten(2).transpose(1, 2)), a=lambda: nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), q=lambda: P(1, 5, 8))
c("lstm", lambda y, x, s: s.a(y.mean(3).transpose(1, 2))[0], a=lambda: nn.LSTM(8, 6, batch_first=True))
c("gru", lambda y, x, s: s.a(y.mean(3).transpose(1, 2))[0], a=lambda: nn.GRU(8, 6, batch_first=True))
# writes
def w_slice(y, x, s):
    z = y.clone(); z[:, :2] = 0; z[:, :, 3:5] = y[:, :, 1:3] * 2; return z
def w_view(y, x, s):
    z = y.clone(); v = z.view(z.shape[0], 8, 120); v.mul_(2); z.add_(1); return z, v
def w_chain(y, x, s):
    a, b = y.chunk(2, 1); a.add_(b); b.mul_(3); return y
def w_fill(y, x, s):
    z = torch.zeros(y.shape[0], 8, 12, 14); z[:, :, 1:-1, 1:-1] = y; return z
def w_mask(y, x, s):
    m = torch.zeros(1, 10, 12); m[:, 3:, :4] = 1; m[:, :2, 5:] = 2; return y + m
def w_index(y, x, s):
    z = y.clone(); z[:, [1, 3]] = 5.0; return z
def w_copy(y, x, s):
    z = torch.empty_like(y); z.copy_(y * 2); return z
def w_sel(y, x, s):
    z = y * 1; z[:, 2] += z[:, 3]; return z
def w_detach(y, x, s):
    z = y.detach(); z.relu_(); return y + z
for f in (w_slice, w_view, w_chain, w_fill, w_mask, w_index, w_copy, w_sel, w_detach):
    c(f.__name__, f)
c("slice_scatter", lambda y, x, s: torch.slice_scatter(y, y[:, :2] * 2, 1, 3, 5))
c("select_scatter", lambda y, x, s: torch.select_scatter(y, y[:, 0], 1, 3))
c("index_add", lambda y, x, s: y.index_add(1, s.i, y[:, :2]), i=lambda: torch.tensor([3, 5]))
c("buffer_mut", lambda y, x, s: (s.n.add_(1), y * s.n)[1], n=lambda: torch.zeros(1))
c("input_mut", lambda y, x, s: x.mul_(2) + y[:, :3])
# dtypes, outputs
c("half", lambda y, x, s: (y.half() * 2).float())
c("bf16", lambda y, x, s: y.to(torch.bfloat16).float())
c("double", lambda y, x, s: (y.double() * 2).float())
c("double_out", lambda y, x, s: y.double())
c("to_int", lambda y, x, s: (y * 10).int())
c("to_long_float", lambda y, x, s: (y * 10).long().float())
c("to_bool", lambda y, x, s: (y.relu()).bool().float())
c("uint8_out", lambda y, x, s: (torch.sigmoid(y) * 255).round().to(torch.uint8))
c("type_as", lambda y, x, s: y.argmax(1, keepdim=True).type_as(y) + y)
c("dict_out", lambda y, x, s: {"b": y, "a": [y.mean((2, 3)), (x * 2,)]})
c("same_twice", lambda y, x, s: (y, y, x))
c("const_out", lambda y, x, s: (y, torch.arange(4.)))
c("scalar_out", lambda y, x, s: (y, y.shape[2]))
c("complex", lambda y, x, s: torch.fft.rfft2(y).abs())
c("randn", lambda y, x, s: y + torch.randn_like(y))
c("dropout", lambda y, x, s: F.dropout(F.dropout2d(y, 0.5, False), 0.3, False) + F.alpha_dropout(y, 0.1, False))
c("identity", lambda y, x, s: nn.Identity()(y.contiguous().clone().detach()).to("cpu"))
c("checkpoint", lambda y, x, s: torch.utils.checkpoint.checkpoint(lambda t: t.relu() * 2, y, use_reentrant=False))
c("no_grad", lambda y, x, s: nograd(y))
c("autocast", lambda y, x, s: autocast(y))
c("cond", lambda y, x, s: torch.cond(y.sum() > 0, lambda t: t * 2, lambda t: t - 1, (y,)))
c("shape_arith", lambda y, x, s: y.reshape(y.shape[0], y.shape[1] // 2, 2, y.shape[2] * y.shape[3]).sum(2) / y.shape[1] ** 0.5)
c("reshape_batch_join", lambda y, x, s: s.a(y.reshape(-1, 1, 10, 12)).reshape(-1, 8, 8, 10), a=lambda: nn.Conv2d(1, 1, 3))
c("batch_mean", lambda y, x, s: y - y.mean(0))
c("batch_pair", lambda y, x, s: y.flatten(1) @ y.flatten(1).t())
c("linspace_pos", lambda y, x, s: y + torch.sin(torch.arange(12) / 10000 ** (torch.arange(12) / 12)))
c("bucketize", lambda y, x, s: torch.bucketize(y, s.b), b=lambda: torch.tensor([-1., 0., 1.]))


def net_choices(y, x, s):
    """Comparisons, truth values, masks of -inf, indices, the first of a row by its place, sums of three tensors."""
    z = torch.where((y > 0.1) & ~(x[:, :1] > 0.5), y, y.clamp(max=0.2) * 0.5).masked_fill(y < -0.8, -0.25)
    p = F.softmax((z @ z.mT).masked_fill(torch.triu(torch.ones(10, 10, dtype=torch.bool), 1), float("-inf")), -1)
    with torch.no_grad():
        q = p.flatten(2).topk(4, 2)
    w = torch.gather(z.flatten(2), 2, q[1]) + q[0]
    r = z.flatten(2)[torch.arange(z.shape[0]), z.mean((2, 3)).argmax(1)]
    return torch.einsum("bchw,c,hk->bwk", z, s.v, s.w), w, r, (z.argmax(1) == 3).float().sum((1, 2)), z[:, [3, 1, 7]].std((2, 3))


def net_writes(y, x, s):
    """Writes into parts of tensors, seen by all that share them; a batch joined with windows; parts, turns, pads."""
    z = torch.zeros(y.shape[0], 8, 12, 14)
    z[:, :, 1:-1, 1:-1] = y
    a, b = z.chunk(2, 1)
    a.add_(b)
    b[:, 2] = 0.5
    z[:, :, ::3] *= 2
    t = s.a(z.reshape(-1, 1, 12, 14)).reshape(-1, 8, 10, 12)
    t = F.pad(t, (1, 2, 3, 0), mode="circular").flip(3)
    n = t.permute(0, 2, 3, 1).reshape(-1, 13, 5, 3, 8)
    q, k, v = s.qkv(n).reshape(-1, 15, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
    n = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(y.shape[0], 13, 15, 8)
    return z, F.interpolate(n.permute(0, 3, 1, 2), size=(17, 9), mode="nearest-exact"), F.glu(n, -1)


c("net_choices", net_choices, v=lambda: P(8), w=lambda: P(10, 3))
c("net_writes", net_writes, a=lambda: nn.Conv2d(1, 1, 3), qkv=lambda: nn.Linear(8, 24))


def nograd(y):
    with torch.no_grad():
        z = y * 2
    return z + y

# odd programs: strides in place, windows, what is joined with the batch, orders, sizes that do not divide
c("inplace_strided", lambda y, x, s: (y[:, ::2].mul_(2), y[:, 1::3, ::2].add_(1), y)[-1])
c("inplace_strided_neg", lambda y, x, s: (y[..., 1:-1:3].zero_(), y[:, -3:].neg_(), y)[-1])
c("inplace_copy", lambda y, x, s: (y[:, 2:6, 1:9:2].copy_(x[:, :1, :4]), y)[-1])
c("inplace_fill_select", lambda y, x, s: (y[:, 3].fill_(0.5), y[..., 0].mul_(y[..., 1]), y)[-1])
c("inplace_transposed", lambda y, x, s: (y.transpose(2, 3)[:, :, 2:5].sub_(1), y.permute(0, 2, 3, 1)[..., :2].relu_(), y)[-1])
c("inplace_view_chain", lambda y, x, s: (y.view(y.shape[0], 4, 2, -1)[:, 1:3, 0].exp_(), y.flatten(1)[:, ::7].tanh_(), y)[-1])
c("inplace_chunks", lambda y, x, s: (lambda a, b: (a.add_(b), b.mul_(a), y)[-1])(*y.chunk(2, 1)))
c("inplace_unbind", lambda y, x, s: ([t.add_(i) for i, t in enumerate(y.unbind(1))], y)[-1])
c("inplace_diag", lambda y, x, s: (y[:, :, :10, :10].diagonal(dim1=2, dim2=3).add_(3), y)[-1])
c("inplace_masked", lambda y, x, s: (y.masked_fill_(y > 0.3, -1), y)[-1])
c("inplace_index_put", lambda y, x, s: (y.index_put_((torch.tensor([0]), torch.tensor([1])), torch.tensor(2.0)), y)[-1])
c("inplace_lists", lambda y, x, s: (y.__setitem__((slice(None), [1, 5, 2]), 0.25), y)[-1])
c("inplace_self", lambda y, x, s: (y[:, 1:].add_(y[:, :-1]), y)[-1])
c("copy_contiguous", lambda y, x, s: (lambda z: y + z.mul_(2).permute(0, 3, 1, 2))(y.permute(0, 2, 3, 1).contiguous()))
c("copy_reshape", lambda y, x, s: (lambda z: y.flatten(1) + z.mul_(2))(y.permute(0, 2, 3, 1).reshape(y.shape[0], -1)))
c("copy_flatten", lambda y, x, s: (lambda z: y.flatten(1) + z.add_(1))(y.transpose(1, 2).flatten(1)))
c("view_contiguous", lambda y, x, s: (lambda z: y + z.mul_(2))(y.contiguous()))
c("view_reshape", lambda y, x, s: (lambda z: y.flatten(1) + z.mul_(2))(y.reshape(y.shape[0], -1)))
c("view_expand", lambda y, x, s: (lambda z: (y.add_(1), z.mean(4))[-1])(y[..., None].expand(-1, -1, -1, -1, 3)))
c("view_unfold_write", lambda y, x, s: (y.unfold(2, 5, 5).mul_(2), y)[-1])
c("view_unfold_read", lambda y, x, s: (lambda z: (y.mul_(2), z.sum(-1))[-1])(y.unfold(2, 5, 5)))
c("view_diag_read", lambda y, x, s: (lambda z: (y.mul_(2), z)[-1])(y.diagonal(dim1=2, dim2=3)))
c("copy_to_same", lambda y, x, s: (lambda z: y + z.mul_(2))(y.to(torch.float32)))
c("copy_to_other", lambda y, x, s: (lambda z: y + z.mul_(2).float())(y.to(torch.float64)))
c("copy_repeat", lambda y, x, s: (lambda z: y.mean() + z.mul_(2))(y.repeat(1, 2, 1, 1)))
c("copy_cat_one", lambda y, x, s: (lambda z: y + z.mul_(2))(torch.cat([y], 1)))
c("copy_dropout", lambda y, x, s: (lambda z: y + z.mul_(2))(F.dropout(y, 0.5, False)))
c("copy_mul_one", lambda y, x, s: (lambda z: y + z.mul_(2))(y * 1 + 0))
c("copy_pad_zero", lambda y, x, s: (lambda z: y + z.mul_(2))(F.pad(y, (0, 0, 0, 0))))
c("copy_roll_zero", lambda y, x, s: (lambda z: y + z.mul_(2))(y.roll(0, 2)))
c("copy_flip_none", lambda y, x, s: (lambda z: y + z.mul_(2))(y.flip(())))
c("copy_index_all", lambda y, x, s: (lambda z: y + z.mul_(2))(y[:, torch.arange(8)]))
c("copy_interp_same", lambda y, x, s: (lambda z: y + z.mul_(2))(F.interpolate(y, size=(10, 12))))
c("copy_pool_one", lambda y, x, s: (lambda z: y + z.mul_(2))(F.avg_pool2d(y, 1)))
c("copy_clamp_none", lambda y, x, s: (lambda z: y + z.mul_(2))(y.clamp(min=-1e30)))
c("copy_where", lambda y, x, s: (lambda z: y + z.mul_(2))(torch.where(torch.ones(1, dtype=torch.bool), y, x.mean(1, keepdim=True))))
c("copy_einsum", lambda y, x, s: (lambda z: y + z.mul_(2))(torch.einsum("bchw->bchw", y)))
c("view_movedim", lambda y, x, s: (lambda z: (z.mul_(2), y)[-1])(y.movedim(1, 3)))
c("view_squeeze", lambda y, x, s: (lambda z: (z.mul_(2), y)[-1])(y[:, :1].squeeze(1)))
c("view_split_sizes", lambda y, x, s: (lambda z: (z[1].mul_(2), z[0].add_(z[1][:, :2]), y)[-1])(y.split([2, 3, 3], 1)))
c("unfold_overlap", lambda y, x, s: y.unfold(3, 4, 3).unfold(2, 3, 2))
c("unfold_tight", lambda y, x, s: y.unfold(2, 5, 5).mean(2))
c("unfold_channels", lambda y, x, s: (y.unfold(1, 3, 1) * 2).sum(-1))
c("unfold_param", lambda y, x, s: y.mean((2, 3)) @ s.w.unfold(0, 8, 4).reshape(-1, 8).t(), w=lambda: P(20))
c("batch_cat", lambda y, x, s: torch.cat([y.reshape(-1, 4, 10, 12), y.flip(3).reshape(-1, 4, 10, 12)], 1).view(y.shape[0], 16, 10, 12))
c("batch_pad", lambda y, x, s: F.pad(y.reshape(-1, 10, 12), (1, 2, 0, 1)).view(y.shape[0], 8, 11, 15))
c("batch_pad_circular", lambda y, x, s: F.pad(y.reshape(-1, 1, 10, 12), (1, 2, 0, 1), mode="circular").view(y.shape[0], 8, 11, 15))
c("batch_topk", lambda y, x, s: y.reshape(-1, 120).topk(5, 1)[0].view(y.shape[0], 40))
c("batch_argmax", lambda y, x, s: y.reshape(-1, 120).argmax(1).view(y.shape[0], 8))
c("batch_softmax", lambda y, x, s: y.reshape(-1, 10, 12).softmax(1).sum(2).view(y.shape[0], -1))
c("batch_conv", lambda y, x, s: s.a(y.reshape(-1, 2, 10, 12)).view(y.shape[0], -1), a=lambda: nn.Conv2d(2, 3, 3))
c("batch_pool", lambda y, x, s: F.adaptive_avg_pool2d(y.reshape(-1, 1, 10, 12), (3, 5)).view(y.shape[0], 8, 3, 5))
c("batch_interp", lambda y, x, s: F.interpolate(y.reshape(-1, 4, 10, 12), scale_factor=2, mode="bilinear").view(y.shape[0], 8, 20, 24))
c("batch_im2col", lambda y, x, s: F.unfold(y.reshape(-1, 2, 10, 12), 3, padding=1, stride=2).reshape(y.shape[0], -1))
c("batch_norm_groups", lambda y, x, s: F.layer_norm(y.reshape(-1, 2, 120), (120,)).view_as(y))
c("batch_stack_mean", lambda y, x, s: torch.stack([y.mean((2, 3)), y.amax((2, 3))], 0).mean(0))
c("batch_stack_unbind", lambda y, x, s: (lambda a, b: a - b)(*torch.stack([y, y * y]).unbind(0)))
c("batch_last", lambda y, x, s: y.permute(1, 2, 3, 0).mul(2).permute(3, 0, 1, 2))
c("batch_roll", lambda y, x, s: y.reshape(-1, 4, 120).roll(1, 1).view_as(y))
c("batch_transposed_join", lambda y, x, s: y.transpose(1, 2).reshape(-1, 8, 12).mean(1).view(y.shape[0], 10, 12))
c("seq_first", lambda y, x, s: s.a(y.flatten(2).permute(2, 0, 1)).mean(0), a=lambda: nn.Linear(8, 5))
c("seq_first_norm", lambda y, x, s: F.layer_norm(y.flatten(2).permute(2, 0, 1), (8,)).softmax(0).permute(1, 2, 0))
c("gn_odd", lambda y, x, s: s.a(y[:, :6]), a=lambda: nn.GroupNorm(3, 6, eps=1e-3))
c("gn_3d", lambda y, x, s: s.a(y.view(y.shape[0], 4, 2, 10, 12)), a=lambda: nn.GroupNorm(2, 4))
c("inorm_3d", lambda y, x, s: s.a(y.view(y.shape[0], 4, 2, 10, 12)), a=lambda: nn.InstanceNorm3d(4, affine=True))
c("ln_three", lambda y, x, s: s.a(y), a=lambda: nn.LayerNorm((8, 10, 12)))
c("ln_permuted", lambda y, x, s: s.a(y.permute(0, 3, 1, 2)), a=lambda: nn.LayerNorm((8, 10)))
c("ln_nobias", lambda y, x, s: s.a(y.flatten(2)), a=lambda: nn.LayerNorm(120, bias=False, eps=1e-3))
c("prelu_shared_vec", lambda y, x, s: s.a(y.mean((2, 3))), a=lambda: nn.PReLU(8))
c("prelu_3d", lambda y, x, s: s.a(y.flatten(2)), a=lambda: nn.PReLU(8, init=-0.3))
c("glu_channels", lambda y, x, s: F.glu(y, 1))
c("glu_last", lambda y, x, s: F.glu(y, -1))
c("glu_manual", lambda y, x, s: (lambda a, b: a * F.gelu(b))(*y.chunk(2, 1)))
c("bucketize_right", lambda y, x, s: torch.bucketize(y, torch.tensor([-0.5, 0.0, 0.5]), right=True).float())
c("searchsorted", lambda y, x, s: torch.searchsorted(torch.tensor([-0.5, 0.0, 0.5]), y).float())
c("digitize_embed", lambda y, x, s: s.e(torch.bucketize(y.mean(1), torch.tensor([-0.5, 0.0, 0.5]))), e=lambda: nn.Embedding(4, 6))
c("cumsum_c", lambda y, x, s: y.cumsum(1))
c("cumsum_last_exclusive", lambda y, x, s: y.cumsum(-1) - y)
c("cumprod", lambda y, x, s: y.sigmoid().cumprod(2))
c("cummax", lambda y, x, s: y.cummax(1)[0])
c("logcumsumexp", lambda y, x, s: y.logcumsumexp(2))
c("diff", lambda y, x, s: torch.diff(y, dim=3))
c("diff2", lambda y, x, s: torch.diff(y, n=2, dim=2))
c("kthvalue", lambda y, x, s: y.kthvalue(3, dim=1)[0])
c("mode_value", lambda y, x, s: y.round().mode(1)[0])
c("quantile", lambda y, x, s: y.quantile(0.3, dim=1))
c("unique_order", lambda y, x, s: y.flatten(1).sort(1, descending=True)[0][:, ::13])
c("topk_gather", lambda y, x, s: y.flatten(2).gather(2, y.flatten(2).topk(4, 2)[1]))
c("topk_mask", lambda y, x, s: y.where(y >= y.topk(3, 1)[0][:, -1:], y * 0))
c("scatter_one", lambda y, x, s: torch.zeros_like(y).scatter(1, y.argmax(1, keepdim=True), 1.0))
c("scatter_add", lambda y, x, s: torch.zeros(y.shape[0], 8, 12).scatter_add(1, y.argmax(2), y.amax(2)))
c("max_unpool", lambda y, x, s: F.max_unpool2d(*F.max_pool2d(y, 2, return_indices=True), 2))
c("index_copy", lambda y, x, s: y.index_copy(1, torch.tensor([3, 0]), x[:, :2]))
c("index_fill", lambda y, x, s: y.index_fill(2, torch.tensor([1, 4]), -2.0))
c("masked_scatter", lambda y, x, s: y.masked_scatter(y > 0, y * 2))
c("take_along", lambda y, x, s: torch.take_along_dim(y, torch.arange(12).flip(0).view(1, 1, 1, 12), 3))
c("narrow_neg", lambda y, x, s: y.narrow(3, -4, 3) + y.narrow(3, 2, 3))
c("split_odd", lambda y, x, s: torch.cat([t.mean(3, keepdim=True) for t in y.split(5, 3)], 3))
c("adaptive_odd_big", lambda y, x, s: F.adaptive_avg_pool2d(y, (7, 5)) + F.adaptive_max_pool2d(y, (7, 5)))
c("adaptive_3d_odd", lambda y, x, s: F.adaptive_avg_pool3d(y.view(y.shape[0], 2, 4, 10, 12), (3, 4, 5)))
c("adaptive_1d_odd", lambda y, x, s: F.adaptive_avg_pool1d(y.flatten(2), 7))
c("deconv_outpad", lambda y, x, s: s.a(y), a=lambda: nn.ConvTranspose2d(8, 6, (3, 5), (2, 3), (1, 2), (1, 2), groups=2))
c("deconv1d_outpad", lambda y, x, s: s.a(y.flatten(2)), a=lambda: nn.ConvTranspose1d(8, 4, 4, 3, 1, 2))
c("deconv3d_outpad", lambda y, x, s: s.a(y.view(y.shape[0], 2, 4, 10, 12)), a=lambda: nn.ConvTranspose3d(2, 3, 3, 2, 1, 1))
c("conv3d_dil_groups", lambda y, x, s: s.a(y.view(y.shape[0], 2, 4, 10, 12)), a=lambda: nn.Conv3d(2, 4, (2, 3, 3), (1, 2, 1), (0, 2, 1), (1, 2, 1), groups=2))
c("conv1d_dw", lambda y, x, s: s.a(y.mean(2)), a=lambda: nn.Conv1d(8, 16, 5, padding=4, dilation=2, groups=8))
c("conv_computed_weight", lambda y, x, s: F.conv2d(y, y[:1, :, :3, :3]))
c("conv_dynamic", lambda y, x, s: torch.einsum("bchw,bc->bhw", y, s.a(y.mean((2, 3)))), a=lambda: nn.Linear(8, 8))
c("einsum_ellipsis", lambda y, x, s: torch.einsum("...hw,wk->...hk", y, s.w), w=lambda: P(12, 5))
c("einsum_batch_outer", lambda y, x, s: torch.einsum("bchw,bdhw->bcd", y, y))
c("einsum_perm", lambda y, x, s: torch.einsum("bchw->bwch", y))
c("einsum_four", lambda y, x, s: torch.einsum("bchw,hk,wl,cm->bmkl", y, s.h, s.w, s.c), h=lambda: P(10, 3), w=lambda: P(12, 4), c=lambda: P(8, 5))
c("pixel_shuffle_conv", lambda y, x, s: F.pixel_shuffle(s.a(y), 3), a=lambda: nn.Conv2d(8, 18, 1))
c("grid_affine", lambda y, x, s: F.grid_sample(y, F.affine_grid(torch.tensor([[[1.0, 0.2, 0], [0, 0.8, 0.1]]]).expand(y.shape[0], 2, 3), (1, 8, 10, 12), align_corners=False).expand(y.shape[0], 10, 12, 2), align_corners=False))
c("roll_two", lambda y, x, s: y.roll((2, -3), (2, 3)).roll(1, 1))
c("shift_windows", lambda y, x, s: y.roll((-2, -2), (2, 3)).unfold(2, 5, 5).unfold(3, 4, 4).permute(0, 2, 3, 4, 5, 1).reshape(-1, 20, 8).softmax(-1).view(y.shape[0], 2, 3, 5, 4, 8).permute(0, 5, 1, 3, 2, 4).reshape(y.shape[0], 8, 10, 12).roll((2, 2), (2, 3)))
c("fft", lambda y, x, s: torch.fft.rfft2(y).abs())
c("erfinv", lambda y, x, s: torch.erfinv(y.tanh() * 0.9))
c("celu_selu", lambda y, x, s: F.celu(y, 0.7) + F.selu(y) + F.elu(y, 1.3) + F.softplus(y, 2, 3) + F.hardtanh(y, -0.3, 0.4) + F.softsign(y) + F.hardshrink(y, 0.2) + F.softshrink(y, 0.1) + F.threshold(y, 0.1, -1) + F.logsigmoid(y) + F.mish(y) + F.relu6(y * 9))
c("rrelu_eval", lambda y, x, s: s.a(y), a=lambda: nn.RReLU(0.1, 0.5))
c("gelu_both", lambda y, x, s: F.gelu(y) - F.gelu(y, approximate="tanh"))
c("xlogy", lambda y, x, s: torch.xlogy(y.abs(), y.abs() + 1) + torch.logaddexp(y, -y) + torch.special.expit(y) + torch.exp2(y) + torch.log1p(y.abs()) + torch.expm1(y) + torch.rsqrt(y.abs() + 1) + torch.reciprocal(y.abs() + 1) + torch.square(y) + torch.frac(y) + torch.sign(y) + torch.logit(y.sigmoid()) + torch.sinc(y) + torch.deg2rad(y))
c("heaviside", lambda y, x, s: torch.heaviside(y, torch.tensor(0.5)) + torch.copysign(x.mean(1, keepdim=True), y) + torch.signbit(y).float())
c("std_mean_two", lambda y, x, s: torch.cat([*torch.std_mean(y, (2, 3))], 1))
c("cov", lambda y, x, s: (lambda z: z @ z.mT / 119)(y.flatten(2) - y.flatten(2).mean(2, keepdim=True)))
c("triu_attn", lambda y, x, s: (y.flatten(2).mT @ y.flatten(2) + torch.triu(torch.full((120, 120), float("-inf")), 1)).softmax(-1).mean(1))
c("nonzero", lambda y, x, s: y.nonzero().sum(0, keepdim=True).expand(y.shape[0], 4))
c("item_branch", lambda y, x, s: y * (2 if y.shape[2] > 5 else 3))
c("multinomial", lambda y, x, s: torch.multinomial(y.mean((2, 3)).softmax(1), 2).float())
c("ctc_like", lambda y, x, s: y.mean(2).permute(2, 0, 1).log_softmax(2).permute(1, 0, 2))
c("complex_view", lambda y, x, s: torch.view_as_real(torch.view_as_complex(y.reshape(y.shape[0], -1, 2).contiguous()) * torch.polar(torch.ones(480), torch.arange(480.0))).flatten(1))
c("matrix_ops", lambda y, x, s: torch.linalg.inv(y[:, 0, :4, :4] + 5 * torch.eye(4)))
c("addbmm", lambda y, x, s: torch.baddbmm(y.mean(1), y[:, 0], s.w.expand(y.shape[0], 12, 12), beta=0.5, alpha=2), w=lambda: P(12, 12))
c("chain_matmul", lambda y, x, s: torch.linalg.multi_dot([y.mean((2, 3)), s.a, s.b]), a=lambda: P(8, 6), b=lambda: P(6, 3))
c("mean_of_empty", lambda y, x, s: torch.cat([y, y[:, :0]], 1))
c("zero_dim", lambda y, x, s: y * y.new_tensor(3.0).exp() + torch.tensor(2).float())
c("deep_alias", lambda y, x, s: (lambda a: (a.view(-1, 2, 4, 120)[:, 1].transpose(1, 2)[:, :60].mul_(-1), y)[-1])(y))
c("two_outputs_alias", lambda y, x, s: (y, y.add_(1), y.view(y.shape[0], -1)))


def aliases(y, x, s):
    """What is a view and what a copy, and writes through them; joined with the batch."""
    z = y.permute(0, 2, 3, 1).contiguous().mul_(2).permute(0, 3, 1, 2)
    w = y.transpose(1, 2).flatten(1).add_(1)
    y.reshape(y.shape[0], 8, -1)[:, 1:6:2].mul_(-1)
    u = y.unfold(3, 4, 3).unfold(2, 3, 2).amax((4, 5))
    v = F.pad(torch.cat([y.reshape(-1, 4, 120), y.reshape(-1, 4, 120).flip(1)], 1), (1, 0))
    return (y + z).mean((2, 3)), w[:, ::9], u, v.reshape(y.shape[0], -1)[:, ::5], torch.stack([y.mean(1), y.amax(1)]).mean(0)


c("net_aliases", aliases)


def gates(y, x, s):
    """Functions that decomposed programs have in pieces, and what only looks like them."""
    a = F.hardswish(y) + F.hardsigmoid(y) + F.silu(y) + F.relu6(y)
    t = y.transpose(2, 3).reshape(y.shape[0], 8, 10, 12)
    b = y * F.relu6(y + 2) / 6 + y * F.relu6(t + 3) / 6 + y * F.relu6(y + 3) / 5 + t * torch.sigmoid(y)
    return (a + b).mean((2, 3)), s.b(F.relu(s.a(y.mean((2, 3))))) @ s.b.weight


def tied():
    a, b = nn.Linear(8, 8), nn.Linear(8, 8)
    a.weight = b.weight
    return a, b


TIED = tied()
c("net_gates", gates, a=lambda: TIED[0], b=lambda: TIED[1])

def autocast(y):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return (y @ y.mT).float()


def leaves(y):
    if isinstance(y, torch.Tensor):
        return [y]
    if isinstance(y, dict):
        y = list(y.values())
    return [t for k in y for t in leaves(k)] if isinstance(y, (list, tuple)) else []


def pictures(n, gen):
    return (F.interpolate(torch.randn(n, 3, 4, 4, generator=gen), size=(10, 12), mode="bilinear") + 0.3 * torch.randn(n, 3, 10, 12, generator=gen)).contiguous()


def one(name, out, res):
    f, mods = CASES[name]
    gen = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    torch.manual_seed(zlib.crc32(name.encode()))
    m = Net(f, **{k: v() for k, v in mods.items()}).eval()
    with torch.no_grad():
        for k in m.modules():
            if isinstance(k, nn.modules.batchnorm._NormBase) and k.running_mean is not None:
                k.running_mean.normal_(); k.running_var.uniform_(0.5, 2)
            if hasattr(k, "weight") and isinstance(k, (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)) and k.weight is not None:
                k.weight.normal_(1, 0.3)
                if k.bias is not None: k.bias.normal_(0, 0.3)
        x, cal = pictures(3, gen), pictures(8, gen)
        want = [torch.cat(t) for t in zip(*[[t if t.dim() else t[None] for t in leaves(copy.deepcopy(m)(x[i:i + 1].clone()))] for i in range(3)])]
        try:
            exact = [torch.cat(t) for t in zip(*[[t if t.dim() else t[None] for t in leaves(copy.deepcopy(m).double()(x[i:i + 1].double()))] for i in range(3)])]
            away = [float((a.double() - b.double()).abs().max()) for a, b in zip(want, exact)]
        except Exception as e:
            away = [1e-6 * float(w.abs().max()) for w in want]
        gold = {"input.0": x, "calib.0": cal}
        for i, w in enumerate(want):
            gold[f"output.{i}"] = w.contiguous().clone() if w.dtype not in (torch.bool,) else w.to(torch.uint8)
        for kind in ("plain", "static", "decomposed"):
            try:
                n = 1 if kind == "static" else 2
                ep = torch.export.export(copy.deepcopy(m), (x[:n].clone(),), dynamic_shapes=None if kind == "static" else ({0: torch.export.Dim("b", min=1, max=64)},))
                if kind == "decomposed":
                    ep = ep.run_decompositions()
                for nd in ep.graph.nodes:
                    nd.meta.pop("stack_trace", None)
            except Exception as e:
                print(f"{kind}/{name}: export: {str(e).strip().splitlines()[0][:150]}", file=sys.stderr, flush=True)
                continue
            d = os.path.join(out, kind)
            os.makedirs(d, exist_ok=True)
            torch.export.save(ep, os.path.join(d, name + ".pt2"))
            save_file(gold, os.path.join(d, name + ".golden.safetensors"))
            res.setdefault(kind, {})[name] = {"name": name, "f32_vs_f64_max_abs": away}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("out"); ap.add_argument("--only", default=""); ap.add_argument("--list", action="store_true")
    o = ap.parse_args()
    res = {}
    for k in ("plain", "static", "decomposed"):
        p = os.path.join(o.out, k, "manifest.json")
        if os.path.exists(p):
            res[k] = {e["name"]: e for e in json.load(open(p))}
    for name in CASES:
        if o.only and not any(name.startswith(p) for p in o.only.split(",")):
            continue
        try:
            one(name, o.out, res)
        except Exception as e:
            print(f"{name}: {type(e).__name__}: {str(e).strip().splitlines()[0][:200]}", file=sys.stderr, flush=True)
        for k, v in res.items():
            json.dump(list(v.values()), open(os.path.join(o.out, k, "manifest.json"), "w"), indent=1)


main()
