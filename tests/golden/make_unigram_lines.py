"""Writes tests/golden/tokenizer_lines.nomic-bert-moe.digests: what SentencePiece itself makes of tokenizer_lines.txt.

    python tests/golden/make_unigram_lines.py ggml-vocab-nomic-bert-moe.gguf

The vocabulary lies in the PyPI source package llama-cpp-python 0.3.36 (vendor/llama.cpp/models). Needs the PyPI packages
gguf, numpy, protobuf and sentencepiece (0.2.3 was used). Digests as in make_tokenizer_lines.py.
"""
import json
import pathlib
import struct
import sys

import gguf
import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as model_pb2

GOLDEN = pathlib.Path(__file__).resolve().parent


def digest(ids):
    value = 0xCBF29CE484222325
    for byte in b"".join(struct.pack("<i", i) for i in ids):
        value = ((value ^ byte) * 0x100000001B3) & ((1 << 64) - 1)
    return f"{value:016x}"


def processor(path):
    fields = gguf.GGUFReader(path).fields

    def values(key):
        field = fields["tokenizer.ggml." + key]
        return [field.parts[i] for i in field.data]

    proto = model_pb2.ModelProto()
    proto.trainer_spec.model_type = model_pb2.TrainerSpec.UNIGRAM
    proto.trainer_spec.unk_id = int(values("unknown_token_id")[0][0])
    proto.trainer_spec.bos_id = int(values("bos_token_id")[0][0])
    proto.trainer_spec.eos_id = int(values("eos_token_id")[0][0])
    proto.trainer_spec.pad_id = int(values("padding_token_id")[0][0])
    proto.normalizer_spec.precompiled_charsmap = bytes(int(b[0]) for b in values("precompiled_charsmap"))
    proto.normalizer_spec.add_dummy_prefix = bool(values("add_space_prefix")[0][0])
    proto.normalizer_spec.remove_extra_whitespaces = bool(values("remove_extra_whitespaces")[0][0])
    for text, score, kind in zip(values("tokens"), values("scores"), values("token_type")):
        piece = proto.pieces.add()
        piece.piece = bytes(text).decode()
        piece.score = float(score[0])
        piece.type = int(kind[0])
    return sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())


def main():
    tokenizer = processor(sys.argv[1])
    lines = (GOLDEN / "tokenizer_lines.txt").read_text().rstrip("\n").split("\n")
    digests = [digest(tokenizer.encode(json.loads(line))) for line in lines]
    (GOLDEN / "tokenizer_lines.nomic-bert-moe.digests").write_text("\n".join(digests) + "\n")


main()
