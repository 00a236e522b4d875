#!/usr/bin/env python3
"""Writes convert/gguf/grids.bin from the tables of gguf-py 0.19 (pip install gguf numpy): the codebooks of IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S and IQ1_S,
one after the other, a point's values in order, each as its place in grid_map: 2 bits where that has 3 values, else 4, the first lowest.

    gguf_grids.py convert/gguf/grids.bin
"""
import sys
import numpy as np
from gguf import quants

out = b""
for name in ("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S"):
    c = getattr(quants, name)
    c.init_grid()
    grid = c.grid.reshape(-1)
    assert grid.size == c.grid_shape[0] * c.grid_shape[1]
    at = np.array([c.grid_map.index(int(v)) for v in grid], np.uint8)
    per = 4 if len(c.grid_map) == 3 else 2
    out += (at.reshape(-1, per) << (np.arange(per, dtype=np.uint8) * (8 // per))).sum(-1).astype(np.uint8).tobytes()
open(sys.argv[1], "wb").write(out)
