#!/usr/bin/env python3
"""Asks a server for vectors with the openai client: embeddings_check.py URL DECODER [ENCODER]."""
import base64
import concurrent.futures
import json
import math
import struct
import sys
import urllib.request

import openai

PAIR = ["How do I reset my password?", "I forgot my password. How can I set a new one?"]
OTHER = "Photosynthesis turns carbon dioxide into sugar."
TEXTS = [*PAIR, OTHER, "The weather is lovely today.", "word " * 150, "x"]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b))


def near(a, b, bound=1e-6):
    assert abs(a - b) < bound, (a, b)


def refused(status, param, call):
    try:
        call()
    except openai.APIStatusError as error:
        assert error.status_code == status and (param is None or error.param == param), (error.status_code, error.param, error)
        return error
    raise AssertionError(f"was not refused: {param}")


class Asker:
    def __init__(self, url, model):
        self.client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120)
        self.model = model

    def create(self, texts, **more):
        return self.client.embeddings.create(model=self.model, input=texts, **{"encoding_format": "float", **more})

    def vectors(self, texts, **more):
        answer = self.create(texts, **more)
        assert [each.index for each in answer.data] == list(range(len(answer.data)))
        return [each.embedding for each in answer.data]

    def post(self, path, **body):
        return self.client.post(path, cast_to=object, body={"model": self.model, **body})


def check_vectors(asker):
    """Alone, in one request and beside many others: the same bits."""
    whole = asker.vectors(TEXTS)
    assert [asker.vectors(text)[0] for text in TEXTS] == whole
    assert asker.vectors(list(reversed(TEXTS))) == list(reversed(whole))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(each == whole for each in pool.map(lambda _: asker.vectors(TEXTS), range(8)))
    for vector in whole:
        near(cosine(vector, vector), 1, 1e-5)
    assert cosine(whole[0], whole[1]) > cosine(whole[0], whole[2]) + 0.01, "a pair is nearer than what has nothing to do with it"
    return whole


def check_forms(asker, whole):
    coded = asker.create(TEXTS, encoding_format="base64")
    for each, vector in zip(coded.data, whole):
        raw = each.embedding
        if isinstance(raw, str):
            raw = list(struct.unpack(f"<{len(vector)}f", base64.b64decode(raw)))
        assert [struct.pack("<f", x) for x in raw] == [struct.pack("<f", x) for x in vector]
    short = asker.vectors(PAIR[0], dimensions=64)[0]
    assert len(short) == 64
    scale = math.sqrt(cosine(whole[0][:64], whole[0][:64]))
    for x, y in zip(short, whole[0]):
        near(x, y / scale)
    answer = asker.create(PAIR)
    assert answer.object == "list" and answer.model == asker.model
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 10


def check_errors(asker):
    refused(400, "input", lambda: asker.create(""))
    refused(400, "input", lambda: asker.create([]))
    refused(400, "input[1]", lambda: asker.create(["fine", ""]))
    refused(400, "dimensions", lambda: asker.create("x", dimensions=1_000_000))
    refused(400, "encoding_format", lambda: asker.create("x", encoding_format="hex"))
    too_long = refused(400, "input[1]", lambda: asker.create(["fine", "word " * 20000]))
    assert too_long.code == "context_length_exceeded", too_long
    refused(404, "model", lambda: asker.client.embeddings.create(model="none", input="x"))
    refused(400, "input", lambda: asker.create(["x"] * 2049))


def check_ranks(asker, whole):
    documents = [OTHER, {"text": PAIR[1]}, "The weather is lovely today."]
    answer = asker.post("/rerank", query=PAIR[0], documents=documents, top_n=2)
    assert [each["index"] for each in answer["results"]][0] == 1 and len(answer["results"]) == 2, answer
    assert answer["results"][0]["document"]["text"] == PAIR[1]
    near(answer["results"][0]["relevance_score"], cosine(whole[0], whole[1]))
    scores = asker.post("/score", text_1=PAIR[0], text_2=[PAIR[1], OTHER])
    for each, vector in zip(scores["data"], whole[1:]):
        near(each["score"], cosine(whole[0], vector))
    assert scores["usage"]["total_tokens"] > 10


def tokenize(asker, text):
    address = str(asker.client.base_url).removesuffix("/v1/") + "/tokenize"
    body = json.dumps({"model": asker.model, "prompt": text}).encode()
    request = urllib.request.Request(address, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["tokens"]


def check_decoder(asker):
    whole = check_vectors(asker)
    check_forms(asker, whole)
    check_errors(asker)
    check_ranks(asker, whole)
    ids = tokenize(asker, PAIR[0])
    assert asker.vectors(ids)[0] == whole[0] and asker.vectors([ids, ids]) == [whole[0]] * 2
    last = asker.vectors(PAIR[0], extra_body={"troupe": {"pooling": "last"}})[0]
    near(cosine(last, last), 1, 1e-5)
    assert last != whole[0]
    text = asker.client.completions.create(model=asker.model, prompt="The capital of France is", max_tokens=4, temperature=0)
    assert text.choices[0].text, "it still writes"


def check_encoder(asker):
    whole = check_vectors(asker)
    assert cosine(whole[0], whole[1]) > 0.6 > 0.3 > cosine(whole[0], whole[2]), "as sentence-transformers has them"
    check_forms(asker, whole)
    check_errors(asker)
    check_ranks(asker, whole)
    refused(400, None, lambda: asker.client.completions.create(model=asker.model, prompt="It makes no text", max_tokens=4))
    refused(400, None, lambda: asker.vectors("x", extra_body={"troupe": {"pooling": "last"}}))


def main():
    url, decoder, *encoder = sys.argv[1:]
    check_decoder(Asker(url, decoder))
    for name in encoder:
        check_encoder(Asker(url, name))


main()
