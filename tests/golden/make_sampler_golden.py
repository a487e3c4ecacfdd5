#!/usr/bin/env python3
"""Writes samplers.txt: what common/sampling must penalise and draw, by definitions read anew.

Nothing of it is translated from the C++: runs of DRY are compared token by token, filters sort whole lists, softmax is libm's.
Numbers that C++ holds in floats are rounded to floats first. Lines:

  dry MULTIPLIER BASE ALLOWED LAST_N BREAKERS RUNS TOKENS PENALTIES      lists by commas, runs and token:penalty by semicolons
  draw NAME=VALUE,... SEED CHOICE POSITION LOGITS TOKEN                  logits are 64ths
"""
import math
import pathlib
import random
import struct


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


# --- DRY, as its author describes it: how long is the end of the text that stands before another token already? ---


def breaks_at(tokens, at, breakers):
    """Length of the longest breaker that begins at `at` and has come whole."""
    fitting = [len(b) for b in breakers if tuple(tokens[at:at + len(b)]) == b]
    return max(fitting, default=0)


def dry(tokens, multiplier, base, allowed, last_n, breakers):
    window = tokens if last_n < 0 else tokens[max(0, len(tokens) - last_n):]
    most = len(window)
    for at in range(len(window) - 1, -1, -1):
        length = breaks_at(window, at, breakers)
        if length:
            most = len(window) - at - length
            break
    longest = {}
    for next_at in range(1, len(window)):
        run = 0
        while run < next_at and run < most and window[next_at - 1 - run] == window[-1 - run]:
            run += 1
        if run >= allowed and len(window) > allowed and most >= allowed:
            token = window[next_at]
            longest[token] = max(longest.get(token, 0), run)
    return {token: multiplier * base ** (run - allowed) for token, run in sorted(longest.items())}


# --- the draw ---


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011)."""
    c, k = list(counter), list(key)
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c[0], 1 << 32)
        high1, low1 = divmod(0xCD9E8D57 * c[2], 1 << 32)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B9) % (1 << 32), (k[1] + 0xBB67AE85) % (1 << 32)]
    return c


SAMPLE, XTC = 0, 3


def uniform(seed, choice, position, purpose, token):
    counter = [token // 4 | purpose << 29, choice, position % (1 << 32), position >> 32]
    word = philox(counter, [seed % (1 << 32), seed >> 32])[token % 4]
    return (word + 0.5) / 2**32


def softmax(logits, ids, temperature):
    top = max(logits[i] for i in ids)
    weights = {i: math.exp((logits[i] - top) / temperature) for i in ids}
    total = sum(weights.values())
    return {i: w / total for i, w in weights.items()}


def shortest(order, p, mass):
    """The shortest beginning of `order` with `mass` of the probability."""
    out, sum_ = [], 0.0
    for i in order:
        out.append(i)
        sum_ += p[i]
        if sum_ >= mass:
            break
    return out


def draw(logits, o, seed, choice, position):
    ids = list(range(len(logits)))
    by_rank = lambda i: (-logits[i], i)
    if o["top_n_sigma"] > 0:
        mean = sum(logits) / len(logits)
        sigma = math.sqrt(sum((x - mean) ** 2 for x in logits) / len(logits))
        ids = [i for i in ids if logits[i] >= max(logits) - o["top_n_sigma"] * sigma]
    filters = 1.0 if o["dynatemp_range"] > 0 else o["temperature"]
    if o["top_k"] > 0:
        ids = sorted(ids, key=by_rank)[:o["top_k"]]
    if o["typical_p"] < 1:
        p = softmax(logits, ids, filters)
        entropy = -sum(x * math.log(x) for x in p.values())
        ids = shortest(sorted(ids, key=lambda i: (abs(-math.log(p[i]) - entropy), i)), p, o["typical_p"])
    if o["top_p"] < 1:
        ids = shortest(sorted(ids, key=by_rank), softmax(logits, ids, filters), o["top_p"])
    if o["min_p"] > 0:
        p = softmax(logits, ids, filters)
        ids = [i for i in ids if p[i] >= o["min_p"] * max(p.values())]
    if o["xtc_probability"] > 0 and uniform(seed, choice, position, XTC, 0) <= o["xtc_probability"]:
        p = softmax(logits, ids, filters)
        above = sorted((i for i in ids if p[i] >= o["xtc_threshold"]), key=by_rank)
        ids = [i for i in ids if i not in above[:-1]]
    temperature = o["temperature"]
    if o["dynatemp_range"] > 0 and len(ids) > 1:
        entropy = -sum(x * math.log(x) for x in softmax(logits, ids, 1.0).values() if x > 0)
        low = max(0.0, temperature - o["dynatemp_range"])
        high = temperature + o["dynatemp_range"]
        temperature = low + (high - low) * (entropy / math.log(len(ids))) ** o["dynatemp_exponent"]
    noise = {i: -math.log(-math.log(uniform(seed, choice, position, SAMPLE, i))) for i in ids}
    return max(ids, key=lambda i: (logits[i] / temperature + noise[i], -i))


DEFAULTS = {"temperature": 1.0, "top_k": 0, "typical_p": 1.0, "top_p": 1.0, "min_p": 0.0, "top_n_sigma": 0.0,
            "xtc_probability": 0.0, "xtc_threshold": 0.1, "dynatemp_range": 0.0, "dynatemp_exponent": 1.0}


def some_options(rng):
    o = {"temperature": rng.choice([0.5, 0.8, 1.0, 1.7])}
    if rng.random() < 0.3:
        o["top_k"] = rng.choice([3, 10, 20])
    if rng.random() < 0.25:
        o["typical_p"] = rng.choice([0.3, 0.8, 0.95])
    if rng.random() < 0.25:
        o["top_p"] = rng.choice([0.6, 0.93])
    if rng.random() < 0.25:
        o["min_p"] = rng.choice([0.02, 0.2])
    if rng.random() < 0.5:
        o["top_n_sigma"] = rng.choice([0.5, 1.0, 2.0])
    if rng.random() < 0.5:
        o["xtc_probability"], o["xtc_threshold"] = rng.choice([0.5, 1.0]), rng.choice([0.04, 0.13, 0.37])
    if rng.random() < 0.5:
        o["dynatemp_range"], o["dynatemp_exponent"] = rng.choice([0.3, 0.5, 1.5]), rng.choice([0.7, 1.0, 2.0])
    return {name: f32(value) if isinstance(value, float) else value for name, value in o.items()}


def commas(values):
    return ",".join(map(str, values)) or "-"


def dry_line(rng):
    tokens = [rng.randrange(rng.choice([2, 3, 5])) for _ in range(rng.randrange(1, 60))]
    if rng.random() < 0.3:
        tokens += tokens[:rng.randrange(len(tokens))]
    singles = [(t,) for t in rng.sample(range(6), rng.randrange(0, 2))]
    runs = sorted({tuple(rng.randrange(3) for _ in range(rng.randrange(2, 4))) for _ in range(rng.randrange(0, 2))})
    multiplier, base = f32(rng.choice([0.5, 0.8, 2.0])), f32(rng.choice([1.0, 1.2, 1.75]))
    allowed, last_n = rng.randrange(0, 5), rng.choice([-1, -1, 7, 20])
    found = dry(tokens, multiplier, base, allowed, last_n, singles + runs)
    return " ".join(["dry", repr(multiplier), repr(base), str(allowed), str(last_n), commas(b[0] for b in singles),
                     ";".join(commas(r) for r in runs) or "-", commas(tokens),
                     ";".join(f"{t}:{penalty!r}" for t, penalty in found.items()) or "-"])


def draw_line(rng):
    sixty_fourths = [round(rng.gauss(0, rng.choice([40, 100, 200]))) for _ in range(rng.choice([9, 40, 70]))]
    options = some_options(rng)
    seed, choice, position = rng.randrange(1 << 64), rng.randrange(3), rng.randrange(1 << 33)
    token = draw([x / 64 for x in sixty_fourths], {**DEFAULTS, **options}, seed, choice, position)
    given = ",".join(f"{name}={value!r}" for name, value in options.items())
    return f"draw {given} {seed} {choice} {position} {commas(sixty_fourths)} {token}"


def main():
    rng = random.Random(8)
    lines = [dry_line(rng) for _ in range(250)] + [draw_line(rng) for _ in range(400)]
    (pathlib.Path(__file__).parent / "samplers.txt").write_text("\n".join(lines) + "\n")


main()
