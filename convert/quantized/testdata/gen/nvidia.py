#!/usr/bin/env python3
"""Adds modules that NVIDIA's ModelOpt packs to those of cut.py, its own reader's weights in float32 beside them.

    python3 nvidia.py ..        # after cut.py; needs nvidia-modelopt, torch and safetensors
"""
import hashlib, json, sys

import torch
from modelopt.torch.quantization.qtensor import FP8QTensor, NVFP4QTensor
from safetensors.torch import save_file

out, name = sys.argv[1], 'model.layers.0.self_attn.k_proj'
index = json.load(open(out + '/modules/index.json'))
kinds = [('modelopt-fp8', 'FP8', 8, None), ('modelopt-fp8-rows', 'FP8_PER_CHANNEL_PER_TOKEN', 8, 0), ('modelopt-nvfp4', 'NVFP4', 4, None)]
for label, algo, bits, axis in kinds:
    torch.manual_seed(len(label))
    weight = torch.randn(16, 96)
    if bits == 8:
        amax = weight.abs().amax(1) if axis == 0 else weight.abs().amax()
        scale = amax / 448
        rows = scale[:, None] if axis == 0 else scale
        packed, _ = FP8QTensor.quantize(weight, rows)
        golden = packed.dequantize(torch.float32, scale=rows)
        tensors = {'weight': packed._quantized_data, 'weight_scale': scale}
    else:
        packed, scale, scale2 = NVFP4QTensor.quantize(weight, 16)
        golden = packed.dequantize(torch.float32, scale=scale, double_scale=scale2, block_sizes={-1: 16})
        tensors = {'weight': packed._quantized_data, 'weight_scale': scale, 'weight_scale_2': scale2}
    if axis is None:
        tensors['input_scale'] = torch.tensor(0.0371)
    save_file({f'{name}.{k}': v.contiguous() for k, v in tensors.items()}, f'{out}/modules/{label}.safetensors', metadata={'format': 'pt'})
    group = {'dynamic': False, 'num_bits': bits, 'type': 'float'}
    config = {'config_groups': {'group_0': {'input_activations': group, 'weights': group, 'targets': ['Linear']}}, 'ignore': ['lm_head'], 'quant_algo': algo,
              'producer': {'name': 'modelopt', 'version': '0.37.0'}, 'quant_method': 'modelopt'}
    if axis == 0: # as hf_quant_config.json has it
        config = {'producer': {'name': 'modelopt', 'version': '0.29.0'}, 'quantization': {'quant_algo': algo, 'kv_cache_quant_algo': None, 'exclude_modules': ['lm_head']}}
    index[label] = {'config': config, 'weights': {name + '.weight': {'shape': [16, 96], 'sha256': hashlib.sha256(golden.contiguous().numpy().tobytes()).hexdigest()}}}
with open(out + '/modules/index.json', 'w') as f:
    json.dump(index, f, indent=1)
    f.write('\n')
