#!/usr/bin/env python3
"""Makes tests/golden/logits_smollm2.json and logits_gemma3.json: what the models say in float, independent of Troupe.

SmolLM2 runs through Hugging Face transformers in float32; Gemma 3 through the formulas below in NumPy float64 over weights
that the `gguf` package dequantises. Needs: pip install torch transformers==4.46.3 gguf==0.10.0 'numpy<2' sentencepiece
protobuf accelerate tokenizers.   usage: make_logits_golden.py MODELS_FOLDER
"""
import json
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
FRANCE = [1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407, 19712, 8182, 2, 198, 1,
          4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198]
PROSE = ("The lighthouse stood at the end of the long stone pier, and every evening the keeper climbed its hundred and twelve "
         "steps with a lantern in one hand and a book in the other. Ships came from the north with timber and salt, from the "
         "south with oranges, and once a year from the west with nothing but letters. ")
CODE = ("def merge(left, right):\n    out = []\n    i = j = 0\n    while i < len(left) and j < len(right):\n        if left[i] <= "
        "right[j]:\n            out.append(left[i])\n            i += 1\n        else:\n            out.append(right[j])\n"
        "            j += 1\n    return out + left[i:] + right[j:]\n")
LIST = "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday. January, February, March, April, May, June, July. "


def record(ids, logits):
    """Per position: top-8 ids and logits, log-sum-exp and range; the top-2 gap follows from the logits."""
    rows = []
    for row in np.asarray(logits, dtype=np.float64):
        top = np.argsort(-row, kind="stable")[:8]
        peak = row.max()
        rows.append({"ids": [int(i) for i in top], "logits": [round(float(row[i]), 5) for i in top],
                     "lse": round(float(peak + np.log(np.exp(row - peak).sum())), 5), "range": round(float(peak - row.min()), 4)})
    return {"tokens": [int(i) for i in ids], "rows": rows}


def write(name, prompts, **extra):
    text = json.dumps({"prompts": prompts, **extra}, separators=(",", ":"))
    (HERE / name).write_text(text.replace('},{"ids"', '},\n{"ids"') + "\n")
    print(name, len(text))


def smollm2(folder):
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from gguf import GGUFReader
    from transformers import AutoModelForCausalLM
    torch.set_num_threads(1)
    name = "SmolLM2-135M-Instruct.Q4_1.gguf"
    fields = GGUFReader(folder / name).fields
    texts = lambda key: [bytes(fields[key].parts[i]).decode() for i in fields[key].data]
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(texts("tokenizer.ggml.tokens"))},
                                     [tuple(m.split(" ")) for m in texts("tokenizer.ggml.merges")]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, torch_dtype=torch.float32)
    model.lm_head.weight = model.model.embed_tokens.weight  # the file ties them, this release does not

    def run(ids):
        with torch.no_grad():
            return model(torch.tensor([ids])).logits[0].numpy()

    prompts = [FRANCE] + [tokenizer.encode(text).ids for text in (PROSE, CODE, LIST, PROSE + CODE + LIST + PROSE)]
    greedy = list(FRANCE)
    for _ in range(8):
        greedy.append(int(run(greedy)[-1].argmax()))
    write("logits_smollm2.json", [record(ids, run(ids)) for ids in prompts], greedy=greedy[len(FRANCE):])


def gemma3(folder):
    from gguf import GGUFReader
    from gguf.quants import dequantize
    reader = GGUFReader(folder / "gemma-3-270m.Q4_K_M.gguf")
    tensors = {t.name: t for t in reader.tensors}
    weight = lambda name: dequantize(tensors[name].data, tensors[name].tensor_type).astype(np.float64)
    layers, width, heads, dim, window, eps = 18, 640, 4, 256, 512, 1e-6

    def norm(x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight(name)

    def rope(x, base):  # [T, heads, dim], pairs (i, i + dim / 2)
        half = dim // 2
        angle = np.arange(x.shape[0])[:, None] * base ** (-np.arange(half) * 2.0 / dim)[None, :]
        cos, sin = np.cos(angle)[:, None, :], np.sin(angle)[:, None, :]
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    def run(ids):
        count = len(ids)
        table = weight("token_embd.weight")
        x = table[ids] * np.sqrt(np.float64(width))
        age = np.arange(count)[:, None] - np.arange(count)[None, :]
        for layer in range(layers):
            at = f"blk.{layer}."
            everything = layer % 6 == 5
            seen = (age >= 0) & (everything | (age < window))
            h = norm(x, at + "attn_norm.weight")
            q = norm((h @ weight(at + "attn_q.weight").T).reshape(count, heads, dim), at + "attn_q_norm.weight")
            k = norm((h @ weight(at + "attn_k.weight").T).reshape(count, 1, dim), at + "attn_k_norm.weight")
            v = h @ weight(at + "attn_v.weight").T
            base = 1e6 if everything else 1e4
            q, k = rope(q, base), rope(k, base)[:, 0]
            out = np.empty((count, heads, dim))
            for head in range(heads):
                score = np.where(seen, q[:, head] @ k.T / np.sqrt(dim), -np.inf)
                p = np.exp(score - score.max(-1, keepdims=True))
                out[:, head] = p / p.sum(-1, keepdims=True) @ v
            y = out.reshape(count, heads * dim) @ weight(at + "attn_output.weight").T
            x = x + norm(y, at + "post_attention_norm.weight")
            h = norm(x, at + "ffn_norm.weight")
            gate, up = h @ weight(at + "ffn_gate.weight").T, h @ weight(at + "ffn_up.weight").T
            gelu = 0.5 * gate * (1 + np.tanh(np.sqrt(2 / np.pi) * (gate + 0.044715 * gate**3)))
            x = x + norm((gelu * up) @ weight(at + "ffn_down.weight").T, at + "post_ffw_norm.weight")
        return norm(x, "output_norm.weight") @ table.T

    fields = reader.fields
    tokens = {bytes(fields["tokenizer.ggml.tokens"].parts[i]).decode(): n for n, i in enumerate(fields["tokenizer.ggml.tokens"].data)}

    def encode(text):  # longest match: not the model's own split, but real text in real ids
        text, ids = text.replace(" ", "\u2581"), [2]
        while text:
            size = next(n for n in range(min(16, len(text)), 0, -1) if text[:n] in tokens)
            ids.append(tokens[text[:size]])
            text = text[size:]
        return ids

    long = encode((PROSE + LIST) * 6)[:600]
    full = run(long)
    prompts = [record(encode("The capital of France is Paris, and the capital of Spain is"),
                      run(encode("The capital of France is Paris, and the capital of Spain is")))]
    prompts.append(record(long, full))
    write("logits_gemma3.json", prompts)


if __name__ == "__main__":
    smollm2(pathlib.Path(sys.argv[1]))
    gemma3(pathlib.Path(sys.argv[1]))
