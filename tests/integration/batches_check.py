#!/usr/bin/env python3
"""Files and batches through the official OpenAI client, on gateways that are killed meanwhile; called by batches_test.py.

    batches_check.py --lines 60 --kills 2 --model FILE
"""
import argparse
import collections
import json
import os
import pathlib
import random
import signal
import tempfile
import time

import openai

import harness
from harness import check, eventually

TOPICS = ["a lighthouse", "the tides", "a violin", "granite"]


def lines_of(count, model, rng):
    """Requests of which every fourth shares a long beginning; some are sampled."""
    for i in range(count):
        topic = TOPICS[i % len(TOPICS)]
        prompt = f"You write one short sentence and nothing else. The sentence is about {topic}. " * 3 + f"Sentence number {i}:"
        yield {"custom_id": f"line-{i}", "method": "POST", "url": "/v1/completions",
               "body": {"model": model, "prompt": prompt, "max_tokens": rng.randrange(4, 12), "seed": i, "temperature": i % 2}}


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


class Gateway:
    """One process that is killed and started again, with the same store."""

    def __init__(self, model, store):
        self.arguments = ["serve", "--model", model, "--gateway-batch-path", store, "--kv-bytes", "256MiB"]
        self.port = harness.free_port()
        self.start()

    def start(self):
        self.server = harness.Server([*self.arguments, "--http-port", str(self.port)], self.port)
        self.client = openai.OpenAI(base_url=f"http://127.0.0.1:{self.port}/v1", api_key="anna", max_retries=5)

    def kill(self):
        os.kill(self.server.process.pid, signal.SIGKILL)
        self.server.process.wait()
        self.server.log.close()
        os.unlink(self.server.log.name)


def answers(client, file_id):
    return {line["custom_id"]: line for line in map(json.loads, client.files.content(file_id).text.splitlines())}


def check_files(client, folder):
    """What OpenAI's client does with files."""
    path = pathlib.Path(folder, "notes.jsonl")
    path.write_bytes(b"".join(b"%d\n" % i for i in range(400_000)))  # many pieces
    file = client.files.create(file=path, purpose="batch", extra_body={"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"})
    check(file.bytes == path.stat().st_size and file.filename == "notes.jsonl" and file.purpose == "batch", file)
    check(client.files.retrieve(file.id).to_dict() == file.to_dict(), "the file is another one")
    check(file.id in [f.id for f in client.files.list(purpose="batch")], "the file is not listed")
    check(client.files.content(file.id).content == path.read_bytes(), "the content has changed")
    other = client.with_options(api_key="ben")
    try:
        other.files.retrieve(file.id)
        raise AssertionError("another owner sees the file")
    except openai.NotFoundError:
        pass
    check(client.files.delete(file.id).deleted, "the file is still there")


def check_refusals(client, folder, model):
    """Errors of a batch's input by line, and a batch that is cancelled."""
    wrong = [line for line in lines_of(3, model, random.Random(1))]
    wrong[2]["custom_id"] = wrong[0]["custom_id"]
    file = client.files.create(file=write_lines(pathlib.Path(folder, "wrong.jsonl"), wrong), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/completions", completion_window="24h")
    batch = wait_for(client, batch.id, {"failed"})
    check([(e.code, e.line) for e in batch.errors.data] == [("duplicate_custom_id", 3)], batch.errors)
    try:
        client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")
        raise AssertionError("a batch of an endpoint that there is not")
    except openai.BadRequestError as error:
        check(error.param == "endpoint", error)
    file = client.files.create(file=write_lines(pathlib.Path(folder, "many.jsonl"), lines_of(500, model, random.Random(2))), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/completions", completion_window="24h", metadata={"k": "v"})
    check(client.batches.cancel(batch.id).status == "cancelling", "it is not being cancelled")
    batch = wait_for(client, batch.id, {"cancelled"})
    check(batch.request_counts.completed < 500 and batch.metadata == {"k": "v"}, batch)


def wait_for(client, batch_id, statuses, deadline_s=300):
    until = time.monotonic() + deadline_s
    while (batch := client.batches.retrieve(batch_id)).status not in statuses:
        check(time.monotonic() < until, f"the batch stays {batch.status}: {batch.request_counts}")
        time.sleep(0.1)
    return batch


def run_batch(gateway, folder, count, kills, deadline_s):
    model = gateway.client.models.list().data[0].id
    lines = list(lines_of(count, model, random.Random(7)))
    path = write_lines(pathlib.Path(folder, "batch.jsonl"), lines)
    file = gateway.client.files.create(file=path, purpose="batch")
    began = time.monotonic()
    batch_id = gateway.client.batches.create(input_file_id=file.id, endpoint="/v1/completions", completion_window="24h").id
    for kill in range(1, kills + 1):
        wanted = count * kill // (kills + 1)
        eventually(lambda w=wanted: gateway.client.batches.retrieve(batch_id).request_counts.completed >= w,
                   f"{wanted} lines are done", deadline_s)
        before = gateway.client.batches.retrieve(batch_id).request_counts.completed
        check(before < count, "the batch was over before the kill")
        gateway.kill()
        gateway.start()
        after = gateway.client.batches.retrieve(batch_id).request_counts.completed
        check(after >= before, f"{before} results were committed, {after} are there after a kill")
        print(f"  killed with {before} of {count} lines done", flush=True)
    batch = wait_for(gateway.client, batch_id, {"completed"}, deadline_s)
    seconds = time.monotonic() - began
    check(batch.request_counts.completed == count and batch.request_counts.failed == 0 and batch.error_file_id is None, batch)
    text = gateway.client.files.content(batch.output_file_id).text
    ids = collections.Counter(json.loads(line)["custom_id"] for line in text.splitlines())
    check(ids == {line["custom_id"]: 1 for line in lines}, "a line has no result, or two")
    print(f"ok    {count} lines, {kills} kills: {len(ids)} results, none twice, in {seconds:.0f} s", flush=True)
    # The same requests by themselves give the same bytes: neither the batch nor the kills show.
    found = answers(gateway.client, batch.output_file_id)
    for line in lines[:: max(1, count // 10)]:
        alone = gateway.client.completions.create(**line["body"])
        body = found[line["custom_id"]]["response"]["body"]
        check(body["choices"][0]["text"] == alone.choices[0].text, f"{line['custom_id']} differs from the request by itself")
        check(body["usage"]["completion_tokens"] == alone.usage.completion_tokens, line["custom_id"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=60)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--model", required=True, help="a GGUF file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(given.model, os.path.join(folder, "store"))
        try:
            check_files(gateway.client, folder)
            print("ok    files", flush=True)
            check_refusals(gateway.client, folder, gateway.client.models.list().data[0].id)
            print("ok    refusals and cancel", flush=True)
            run_batch(gateway, folder, given.lines, given.kills, 60 + given.lines)
        except BaseException:
            print(gateway.server.log_text()[-4000:])
            raise
        finally:
            gateway.kill()


main()
