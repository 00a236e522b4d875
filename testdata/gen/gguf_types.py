"""Writes testdata/import/types.gguf: for each ggml type that is read a tensor of random blocks, with the SHA-256 of
what gguf-py dequantizes it to (float32, little-endian) in the key `golden.NAME`.

    python3 gguf_types.py testdata/import/types.gguf      # gguf 0.19, numpy
"""
import hashlib, sys
import numpy as np, gguf
from gguf import GGMLQuantizationType as T, quants

rng = np.random.default_rng(7)
w = gguf.GGUFWriter(sys.argv[1], "llama")
# where the half-precision numbers of a block are; the rest may be any bytes
halves = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2],
          T.Q6_K: [208], T.IQ4_NL: [0], T.IQ4_XS: [0], T.TQ1_0: [52], T.TQ2_0: [64], T.MXFP4: [], T.NVFP4: [],
          T.IQ2_XXS: [0], T.IQ2_XS: [0], T.IQ2_S: [0], T.IQ3_XXS: [0], T.IQ3_S: [0], T.IQ1_S: [0], T.IQ1_M: []}
for t, places in halves.items():
    size, nbytes = gguf.GGML_QUANT_SIZES[t]
    blocks = rng.integers(0, 256, (3 * 2, nbytes), dtype=np.uint8)
    for p in places:
        blocks[:, p:p + 2] = (rng.standard_normal((6, 1)) * 0.1).astype("<f2").view(np.uint8)
    if t == T.MXFP4:
        blocks[:, 0] = rng.integers(90, 160, 6)
    if t == T.NVFP4:
        blocks[:, :4] &= 127
    if t == T.IQ1_M: # the scale is in the highest nibbles of four words
        blocks[:, 49::2] = blocks[:, 49::2] & 15
        blocks[:, 55] |= 0x20
        blocks[:, 53] |= 0x80
    if t == T.TQ1_0: # digits of base 3, as ggml packs them
        x = rng.integers(-1, 2, (6, size)).astype(np.float32)
        blocks = quants.quantize(x, t).reshape(6, nbytes)
    data = blocks.reshape(3, 2 * nbytes)
    values = quants.dequantize(data, t).astype("<f4")
    w.add_string("golden." + t.name, hashlib.sha256(values.tobytes()).hexdigest())
    w.add_tensor(t.name, data, raw_dtype=t)
for t, dt in ((T.F32, "<f4"), (T.F16, "<f2"), (T.BF16, "<u2")):
    x = rng.standard_normal((3, 8)).astype("<f4")
    if t == T.BF16:
        data = (x.view("<u4") >> 16).astype("<u2")
        values = (data.astype("<u4") << 16).view("<f4")
        raw = data.view(np.uint8)
    else:
        data = x.astype(dt); values = data.astype("<f4"); raw = data.view(np.uint8)
    w.add_string("golden." + t.name, hashlib.sha256(values.tobytes()).hexdigest())
    w.add_tensor(t.name, raw, raw_dtype=t)
w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
