#!/usr/bin/env python3
"""Adds modules of torchao 0.18's newer classes to those of cut.py, as its own flattening stores them.

    python3 ao.py ..        # after cut.py; needs torchao, torch and safetensors

Values are its own dequantization in float32. Int4Tensor quantizes only with a GPU package and has no dequantization: its codes are packed
here as that package packs them (the first in the low bits, signed), and values are code * scale + zero_point.
"""
import hashlib, json, sys

import torch
from safetensors.torch import save_file
from torchao.prototype.mx_formats.mx_tensor import MXTensor
from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor, per_tensor_amax_to_scale
from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict
from torchao.quantization import Float8Tensor, Int4Tensor
from torchao.quantization.granularity import PerBlock

out, name = sys.argv[1], 'model.layers.0.self_attn.k_proj'
index = json.load(open(out + '/modules/index.json'))


def int4(w, group):
    n, k = w.shape
    x = w.float().reshape(n, k // group, group)
    low, high = x.amin(2), x.amax(2)
    scale = ((high - low) / 15).bfloat16()
    zero = (low + 8 * scale.float()).bfloat16()
    q = ((x - zero.float()[..., None]) / scale.float()[..., None]).round().clamp(-8, 7)
    value = (q * scale.float()[..., None] + zero.float()[..., None]).reshape(n, k)
    q = q.reshape(n, k).to(torch.int8)
    packed = (q[:, ::2] & 15) | (q[:, 1::2] << 4)
    return Int4Tensor(packed, scale.t().contiguous(), zero.t().contiguous(), [1, group], w.shape, activation_dtype=torch.bfloat16), value


mx = lambda kind, swizzled: lambda w: MXTensor.to_mx(w, kind, 32, is_swizzled_scales=swizzled)
nv = lambda scaled, swizzled: lambda w: NVFP4Tensor.to_nvfp4(w, 16, per_tensor_scale=per_tensor_amax_to_scale(w.abs().max()) if scaled else None, is_swizzled_scales=swizzled)
for label, shape, make in [
    ('ao-mxfp8', (16, 96), mx(torch.float8_e4m3fn, False)), ('ao-mxfp8-swizzled', (144, 160), mx(torch.float8_e4m3fn, True)),
    ('ao-mxfp4', (16, 96), mx(torch.float4_e2m1fn_x2, False)), ('ao-mxfp4-swizzled', (40, 160), mx(torch.float4_e2m1fn_x2, True)),
    ('ao-nvfp4', (16, 96), nv(False, False)), ('ao-nvfp4-scaled', (16, 96), nv(True, False)), ('ao-nvfp4-swizzled', (160, 96), nv(True, True)),
    ('ao-fp8-block', (64, 96), lambda w: Float8Tensor.from_hp(w, granularity=PerBlock([32, 32]))),
    ('ao-fp8-group', (16, 96), lambda w: Float8Tensor.from_hp(w, granularity=PerBlock([1, 32]))),
    ('ao-int4', (16, 96), lambda w: int4(w, 32)), ('ao-int4-wide', (24, 256), lambda w: int4(w, 128)),
]:
    torch.manual_seed(len(label))
    weight = (torch.randn(shape) * (.1 + torch.rand(shape[1]))).bfloat16()
    packed = make(weight)
    packed, value = packed if isinstance(packed, tuple) else (packed, packed.dequantize(torch.float32))
    tensors, meta = flatten_tensor_state_dict({name + '.weight': packed})
    save_file(tensors, f'{out}/modules/{label}.safetensors', metadata=meta)
    config = dict(quant_method='torchao', quant_type={'default': {}}, modules_to_not_convert=['lm_head'])
    index[label] = {'config': config, 'weights': {name + '.weight': {'shape': list(shape), 'sha256': hashlib.sha256(value.numpy().tobytes()).hexdigest()}}}
with open(out + '/modules/index.json', 'w') as f:
    json.dump(index, f, indent=1)
    f.write('\n')
