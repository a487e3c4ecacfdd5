"""Writes tests/golden/tokenizer_lines.txt and the digests of the ids that Hugging Face's `tokenizers` gives them.

    python tests/golden/make_tokenizer_lines.py MODELS_DIR

MODELS_DIR holds SmolLM2-135M-Instruct.Q4_1.gguf and gemma-3-270m.Q4_K_M.gguf. Needs the PyPI packages gguf, numpy and
tokenizers (0.20.3 was used). The lines come from a 64-bit counter generator, so every run and machine writes the same.

tokenizer_lines.txt: 10,000 lines, each one text as a JSON string.
tokenizer_lines.<vocabulary>.digests: per text, 16 hex digits of FNV-1a (64 bit) over its ids as 4 little-endian bytes.
"""
import json
import pathlib
import struct
import sys
import unicodedata

import gguf
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

LINES = 10_000
MASK = (1 << 64) - 1


class SplitMix64:
    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, n):
        return self.next() % n

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def choice(self, items):
        return items[self.below(len(items))]


def assigned(*ranges):
    """The assigned characters of the ranges; unassigned ones change class from one Unicode version to the next."""
    out = []
    for low, high in ranges:
        out += [chr(c) for c in range(low, high + 1) if unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs")]
    return out


SCRIPTS = [
    assigned((0x41, 0x5A), (0x61, 0x7A)), assigned((0xC0, 0xFF)), assigned((0x100, 0x24F)), assigned((0x250, 0x2AF)),
    assigned((0x370, 0x3FF)), assigned((0x400, 0x4FF)), assigned((0x530, 0x58F)), assigned((0x591, 0x5F4)),
    assigned((0x600, 0x6FF)), assigned((0x700, 0x74F)), assigned((0x900, 0x97F)), assigned((0x980, 0x9FF)),
    assigned((0xA00, 0xA7F)), assigned((0xB80, 0xBFF)), assigned((0xC00, 0xC7F)), assigned((0xD00, 0xD7F)),
    assigned((0xE00, 0xE7F)), assigned((0xE80, 0xEFF)), assigned((0xF00, 0xFFF)), assigned((0x1000, 0x109F)),
    assigned((0x10A0, 0x10FF)), assigned((0x1100, 0x11FF)), assigned((0x1200, 0x137F)), assigned((0x13A0, 0x13F5)),
    assigned((0x16A0, 0x16F8)), assigned((0x1780, 0x17FF)), assigned((0x1800, 0x18AF)), assigned((0x1E00, 0x1EFF)),
    assigned((0x1F00, 0x1FFF)), assigned((0x3040, 0x309F)), assigned((0x30A0, 0x30FF)), assigned((0x4E00, 0x9FA5)),
    assigned((0x4E00, 0x4FFF)), assigned((0xAC00, 0xD7A3)), assigned((0xFB00, 0xFB4F)), assigned((0xFF01, 0xFFEE)),
    assigned((0x10330, 0x1034A)), assigned((0x1D400, 0x1D7FF)), assigned((0x20000, 0x200FF)),
]
NUMBERS = assigned((0x660, 0x669), (0x966, 0x96F), (0xB2, 0xB3), (0xBC, 0xBE), (0x2070, 0x2079), (0x2150, 0x218B),
                   (0x2460, 0x249B), (0x3220, 0x3229), (0xFF10, 0xFF19), (0x1D7CE, 0x1D7FF), (0x10107, 0x10133))
MARKS = assigned((0x300, 0x36F), (0x1DC0, 0x1DF5), (0x20D0, 0x20F0), (0xFE20, 0xFE2F))
SYMBOLS = assigned((0x2000, 0x206F), (0x20A0, 0x20C0), (0x2100, 0x214F), (0x2190, 0x22FF), (0x2300, 0x23FF),
                   (0x2500, 0x27BF), (0x2900, 0x2BFF), (0x3000, 0x303F))
EMOJI = assigned((0x1F300, 0x1F5FF), (0x1F600, 0x1F64F), (0x1F680, 0x1F6D7), (0x1F900, 0x1F9FF))
SPACES = [" ", " ", " ", "\t", "\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\xa0", "\u1680", "\u2003", "\u2009",
          "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\u200b", "\ufeff"]
CONTROLS = [chr(c) for c in range(0x20)] + ["\x7f"] + [chr(c) for c in range(0x80, 0xA0)] + ["\u00ad", "\u200e", "\u202e"]
ASCII_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
WORDS = """the of and a to in is you that it he was for on are as with his they I at be this have from or one had by word
but not what all were we when your can said there use an each which she do how their if will up other about out many then
them these so some her would make like him into time has look two more write go see number no way could people my than
first water been call who oil its now find long down day did get come made may part Internationalisation antidisestablish
Straße naïve façade coöperate niño São Łódź Привет мир Москва Київ Ελλάδα καλημέρα שלום עולם مرحبا بالعالم नमस्ते दुनिया
สวัสดีชาวโลก こんにちは 世界 東京都 안녕하세요 세계 你好 中华人民共和国 Tiếng Việt đường phố Türkiye İstanbul ǅungla ﬁnance""".split()
CONTRACTIONS = ["I'm", "don't", "we've", "they're", "she'll", "he'd", "it's", "I'M", "DON'T", "We'Ve", "'s", "'ll", "''re",
                "rock'n'roll", "o’clock", "l'été", "'tis", "y'all'd've", "dogs'", "’s", "'lL", "'", "'\n"]
CODE = ["for (int i = 0; i < n; ++i) {", "\tif (x == NULL) return -1;", "def __init__(self, *args, **kwargs):",
        "    return {k: v for k, v in d.items()}", "SELECT * FROM t WHERE id=42;", "<div class=\"a\">&nbsp;</div>",
        "std::vector<std::pair<int,int>> v{{1,2}};", "#include <stdio.h>\n\nint main(){}", "x = [0]*1000  # comment",
        "https://example.com/a?b=c&d=%20e#f", "C:\\Users\\x\\file.txt", "0xDEADBEEF", "1e-10", "$HOME/.cache", "a->b()->c",
        "}\n\n\n}\n", "}}}}", "=====", "------", "/* ... */", "λx.x", "∀x∈ℝ: x²≥0", "```python\nprint('hi')\n```"]
FLAGS = ["\U0001F1E9\U0001F1EA", "\U0001F1EF\U0001F1F5", "\U0001F1FA\U0001F1F8", "1\ufe0f\u20e3", "#\ufe0f\u20e3",
         "\u2764\ufe0f", "\u270c\U0001F3FD", "\U0001F468\u200d\U0001F469\u200d\U0001F467\u200d\U0001F466",
         "\U0001F636\u200d\U0001F32B\ufe0f", "\U0001F3F4\u200d\u2620\ufe0f", "\U0001F9D1\U0001F3FF\u200d\U0001F4BB"]
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<pad>",
           "<|im_end", "<table>", "</td>", "<unk>", "<s>", "</s>", "<0x0A>", "<unused7>", "\u2581", "\u2581\u2581"]


def script_words(rng):
    letters = rng.choice(SCRIPTS)
    return " ".join("".join(rng.choice(letters) for _ in range(rng.between(1, 7))) for _ in range(rng.between(1, 3)))


def segment(rng):
    kind = rng.below(16)
    if kind <= 3:
        return " ".join(rng.choice(WORDS) for _ in range(rng.between(1, 6)))
    if kind <= 6:
        return script_words(rng)
    if kind == 7:
        return "".join(rng.choice("0123456789") for _ in range(rng.between(1, 12)))
    if kind == 8:
        return "".join(rng.choice(SPACES) * rng.between(1, 4) for _ in range(rng.between(1, 3)))
    if kind == 9:
        return rng.choice(CONTRACTIONS)
    if kind == 10:
        return rng.choice(CODE)
    if kind == 11:
        pick = rng.below(3)
        return rng.choice(FLAGS) if pick == 0 else "\u200d".join(rng.choice(EMOJI) for _ in range(rng.between(1, 3)))
    if kind == 12:
        return "".join(rng.choice(WORDS[0]) + "".join(rng.choice(MARKS) for _ in range(rng.between(1, 3)))
                       for _ in range(rng.between(1, 4)))
    if kind == 13:
        return "".join(rng.choice(NUMBERS) for _ in range(rng.between(1, 4)))
    if kind == 14:
        return "".join(rng.choice(ASCII_PUNCTUATION if rng.below(2) else SYMBOLS) for _ in range(rng.between(1, 6)))
    return rng.choice(SPECIAL) if rng.below(4) else rng.choice(CONTROLS)


def make_lines():
    rng = SplitMix64(2024)
    lines = []
    for _ in range(LINES):
        parts = []
        for _ in range(rng.between(1, 7)):
            parts.append(segment(rng))
            parts.append(rng.choice(["", "", " ", " ", "  ", "\n"]))
        lines.append("".join(parts))
    return lines


def read_vocabulary(path):
    reader = gguf.GGUFReader(path)

    def array(key, convert):
        field = reader.fields.get("tokenizer.ggml." + key)
        return [] if field is None else [convert(field.parts[i]) for i in field.data]

    def text(part):
        return bytes(part).decode("utf-8")

    return (array("tokens", text), array("token_type", lambda p: int(p[0])), array("merges", text),
            array("scores", lambda p: float(p[0])))


def add_special(tokenizer, tokens, kinds):
    added = [AddedToken(t, normalized=False, special=kind == 3) for t, kind in zip(tokens, kinds) if kind in (3, 4)]
    tokenizer.add_tokens([t for t in added if not t.special])
    tokenizer.add_special_tokens([t for t in added if t.special])


def smollm2(path):
    tokens, kinds, merges, _ = read_vocabulary(path)
    pairs = [tuple(m.split(" ")) for m in merges]
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    add_special(tokenizer, tokens, kinds)
    return tokenizer


def gemma3(path):
    """Gemma's tokenizer.json is a BPE whose merges follow from the scores: every split of a token, best token first."""
    tokens, kinds, _, scores = read_vocabulary(path)
    ids = {t: i for i, t in enumerate(tokens)}
    merges = []
    for token, kind, score in zip(tokens, kinds, scores):
        if kind != 1:
            continue
        splits = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in ids and token[i:] in ids]
        merges += [(-score, ids[left], ids[right], left, right) for left, right in splits]
    merges.sort(key=lambda m: m[0])
    tokenizer = Tokenizer(models.BPE(ids, [(m[3], m[4]) for m in merges], unk_token="<unk>", fuse_unk=True,
                                     byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    add_special(tokenizer, tokens, kinds)
    return tokenizer


def digest(ids):
    value = 0xCBF29CE484222325
    for byte in b"".join(struct.pack("<i", i) for i in ids):
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return f"{value:016x}"


def main():
    models_dir = pathlib.Path(sys.argv[1])
    here = pathlib.Path(__file__).parent
    lines = make_lines()
    with open(here / "tokenizer_lines.txt", "w", encoding="utf-8", newline="\n") as out:
        out.writelines(json.dumps(line, ensure_ascii=False).replace("\u2028", "\\u2028") + "\n" for line in lines)
    vocabularies = {
        "smollm2": smollm2(models_dir / "SmolLM2-135M-Instruct.Q4_1.gguf"),
        "gemma3": gemma3(models_dir / "gemma-3-270m.Q4_K_M.gguf"),
    }
    for name, tokenizer in vocabularies.items():
        with open(here / f"tokenizer_lines.{name}.digests", "w", encoding="ascii", newline="\n") as out:
            out.writelines(digest(e.ids) + "\n" for e in tokenizer.encode_batch(lines, add_special_tokens=False))


if __name__ == "__main__":
    main()
