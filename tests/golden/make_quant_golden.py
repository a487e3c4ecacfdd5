#!/usr/bin/env python3
"""Writes quant_blocks.txt: random blocks of every tensor type and the float32 bits the `gguf` package reads from them.

Needs: pip install gguf numpy. One line a type: NAME, the blocks in hex, the floats' bits in hex (little-endian bytes).
"""
import pathlib

import gguf
import numpy as np
from gguf import quants

# Byte offsets of the half-precision fields in a block: those get finite values (subnormals included).
HALVES = {"F32": [], "F16": [0], "BF16": [], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
          "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def main():
    rng = np.random.default_rng(20240817)
    lines = []
    for name, halves in HALVES.items():
        kind = gguf.GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        count = 2 if elements == 256 else 8 if elements == 32 else 64
        if name == "F32":
            blocks = rng.standard_normal(count).astype(np.float32).view(np.uint8).reshape(count, 4)
        elif name == "BF16":
            blocks = (rng.standard_normal(count).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
            blocks = blocks.view(np.uint8).reshape(count, 2)
        else:
            blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
        for at in halves:
            field = rng.standard_normal(count) * 10.0 ** rng.integers(-7, 2, count)
            blocks[:, at:at + 2] = field.astype(np.float16).view(np.uint8).reshape(count, 2)
        floats = quants.dequantize(blocks, kind).astype(np.float32)
        assert np.isfinite(floats).all() and floats.size == count * elements, name
        lines.append(f"{name} {blocks.tobytes().hex()} {floats.tobytes().hex()}")
    (pathlib.Path(__file__).parent / "quant_blocks.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
