#!/usr/bin/env python3
"""Makes tests/golden/beam_search.txt: what Hugging Face's beam search and group beam search find on a small made-up model.

The model's logits are a hash of (seed, position, last two tokens, token), which tests/common/sampling/beam_search_test.cpp
computes too. Needs: pip install 'transformers==4.46.3' torch 'numpy<2'.   usage: make_beam_golden.py

A line `case` holds seed, width, groups, diversity and length penalty, early stopping, answer tokens, what is added to the logits
of the end tokens, and these; `hypothesis` lines follow, best first: score, whether an end token came, tokens before it.
"""
import itertools
import pathlib

import torch
from transformers import GenerationConfig, PretrainedConfig, PreTrainedModel
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import CausalLMOutput

VOCAB = 32
PAD = 0  # so unlikely that it is never drawn: only padding has it
PROMPT = [5, 7, 3]
MASK = (1 << 64) - 1


def splitmix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def logits_of(seed, tokens, ends, bias):
    key = splitmix(seed)
    for part in (len(tokens), tokens[-2], tokens[-1]):
        key = splitmix(key ^ part)
    row = [(splitmix(key ^ token) >> 41) / 2.0**20 for token in range(VOCAB)]  # exact in float32, below 8
    for end in ends:
        row[end] += bias
    row[PAD] = -1000.0
    return row


class MadeUp(PreTrainedModel, GenerationMixin):
    config_class = PretrainedConfig
    main_input_name = "input_ids"

    def __init__(self, seed, ends, bias):
        super().__init__(PretrainedConfig(vocab_size=VOCAB))
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seed, self.ends, self.bias = seed, ends, bias

    def prepare_inputs_for_generation(self, input_ids, **_):
        return {"input_ids": input_ids}

    def forward(self, input_ids, **_):
        rows = [logits_of(self.seed, row, self.ends, self.bias) for row in input_ids.tolist()]
        return CausalLMOutput(logits=torch.tensor(rows, dtype=torch.float32)[:, None, :])


def search(seed, width, groups, diversity, length, early, tokens, bias, ends):
    model = MadeUp(seed, ends, bias)
    config = GenerationConfig(num_beams=width, num_beam_groups=groups, diversity_penalty=diversity, length_penalty=length,
                              early_stopping=early, max_new_tokens=tokens, eos_token_id=ends, pad_token_id=PAD,
                              num_return_sequences=width, return_dict_in_generate=True, output_scores=True, use_cache=False,
                              do_sample=False)
    out = model.generate(torch.tensor([PROMPT]), generation_config=config)
    lines = []
    for sequence, score in zip(out.sequences.tolist(), out.sequences_scores.tolist()):
        answer = sequence[len(PROMPT):]
        end = next((i for i, token in enumerate(answer) if token in ends), None)
        kept = answer[:end] if end is not None else answer
        assert PAD not in kept
        lines.append(f"hypothesis {score:.6f} {int(end is not None)} {' '.join(map(str, kept))}".rstrip())
    return lines


def cases():
    seeds = itertools.count(1)
    early = [False, True, "never"]
    for width, groups, penalty in [(2, 1, 0.0), (3, 1, 0.0), (4, 1, 0.0), (6, 1, 0.0), (4, 2, 0.5), (4, 4, 0.75), (6, 3, 2.0), (6, 2, 0.25)]:
        for length in [1.0, 0.0, 2.0, -1.0]:
            for stopping in early:
                for bias, ends in [(0.0, [1]), (2.5, [1]), (4.0, [1, 2]), (-50.0, [1])]:
                    seed = next(seeds)
                    yield seed, width, groups, penalty, length, stopping, 1 + seed * 5 % 12, bias, ends


def main():
    torch.manual_seed(0)
    out = []
    for case in cases():
        seed, width, groups, penalty, length, stopping, tokens, bias, ends = case
        out.append(f"case {seed} {width} {groups} {penalty} {length} {stopping} {tokens} {bias} {' '.join(map(str, ends))}")
        out += search(*case)
    path = pathlib.Path(__file__).parent / "beam_search.txt"
    path.write_text("\n".join(out) + "\n")
    print(path.name, len(out), "lines")


if __name__ == "__main__":
    main()
