#!/usr/bin/env python3
"""Adds modules that NVIDIA's ModelOpt 0.47 packs as MXFP4 and MXFP8, and FP8 in blocks, to those of cut.py.

    python3 nvidia_mx.py ..        # after cut.py; needs nvidia-modelopt, torch and safetensors
"""
import hashlib, json, sys

import torch
from modelopt.torch.quantization.qtensor import MXFP4QTensor, MXFP8QTensor
from safetensors.torch import save_file

out, name = sys.argv[1], 'model.layers.0.self_attn.k_proj'
index = json.load(open(out + '/modules/index.json'))
for label, algo in [('modelopt-mxfp4', 'W4A8_MXFP4_FP8'), ('modelopt-mxfp8', 'MXFP8'), ('modelopt-fp8-blocks', 'FP8_PB_WO')]:
    torch.manual_seed(len(label))
    weight = torch.randn(16, 96) * (.1 + torch.rand(96))
    if label == 'modelopt-mxfp4':
        packed, scale = MXFP4QTensor.quantize(weight, 32)
        golden = packed.dequantize(torch.float32, scale=scale, block_sizes={-1: 32})
        tensors = {'weight': packed._quantized_data, 'weight_scale': scale.reshape(16, 3), 'input_scale': torch.tensor(.0371)}
    elif label == 'modelopt-mxfp8':
        packed, scale = MXFP8QTensor.quantize(weight)
        golden = packed.dequantize(torch.float32, scale=scale)
        tensors = {'weight': packed._quantized_data, 'weight_scale': scale}
    else:  # one block and a short one, as its exporter shapes the scales
        weight = torch.randn(16, 160)
        scale = torch.stack([weight[:, :128].abs().max(), weight[:, 128:].abs().max()]) / 448
        packed = torch.cat([weight[:, :128] / scale[0], weight[:, 128:] / scale[1]], 1).to(torch.float8_e4m3fn)
        golden = packed.float() * scale.repeat_interleave(128)[:160]
        tensors = {'weight': packed, 'weight_scale': scale.reshape(1, 1, 2, 1)}
    save_file({f'{name}.{k}': v.contiguous() for k, v in tensors.items()}, f'{out}/modules/{label}.safetensors', metadata={'format': 'pt'})
    config = {'quant_algo': algo, 'producer': {'name': 'modelopt', 'version': '0.47.0'}, 'quant_method': 'modelopt', 'ignore': ['lm_head']}
    index[label] = {'config': config, 'weights': {name + '.weight': {'shape': list(weight.shape), 'sha256': hashlib.sha256(golden.contiguous().numpy().tobytes()).hexdigest()}}}
with open(out + '/modules/index.json', 'w') as f:
    json.dump(index, f, indent=1)
    f.write('\n')
