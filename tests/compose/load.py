"""Load of the OpenAI client as a careful user writes it: an idempotency key a request, so that one that broke is asked again and
gets the same answer. A request fails when no whole answer came within PATIENCE_S, and differs when its text is not the undisturbed one."""
import threading
import time
import uuid

import httpx
import openai

PATIENCE_S = 240
LONG = "The ship left the harbour at dawn and the crew began to count what they had brought along. " * 24
PROMPTS = ["What is the capital of France?", "Name three colours of the rainbow.", "Write one sentence about the sea.",
           LONG + "What did the crew count?"]  # the last is long enough for a prefill worker


def client(port):
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=8, timeout=PATIENCE_S)


def answer(api, prompt, key, max_tokens=24):
    """The text of one streamed answer. Raises what the client raises when it breaks."""
    text, finished = "", False
    for event in api.chat.completions.create(model="smollm2-135m-instruct", stream=True, temperature=0, max_tokens=max_tokens,
                                             messages=[{"role": "user", "content": prompt}],
                                             extra_headers={"Idempotency-Key": key}):
        for choice in event.choices:
            text += choice.delta.content or ""
            finished = finished or choice.finish_reason is not None
    if not finished:
        raise httpx.RemoteProtocolError("the stream ended before its answer did")
    return text


class Load:
    def __init__(self, port, clients, expected):
        self.port, self.expected = port, expected
        self.lock, self.stop = threading.Lock(), threading.Event()
        self.done, self.repeated, self.longest_s = 0, 0, 0.0
        self.failures = []
        self.threads = [threading.Thread(target=self.work, args=(i,)) for i in range(clients)]

    def work(self, number):
        with client(self.port) as api:
            turn = number
            while not self.stop.is_set():
                self.one(api, PROMPTS[turn % len(PROMPTS)])
                turn += 1

    def one(self, api, prompt):
        key, began = str(uuid.uuid4()), time.monotonic()
        while True:
            try:
                text = answer(api, prompt, key)
                break
            except (openai.OpenAIError, httpx.HTTPError) as error:
                if time.monotonic() - began > PATIENCE_S:
                    with self.lock:
                        self.failures.append(f"{prompt[:30]!r}: {error!r}")
                    return
                with self.lock:
                    self.repeated += 1
                time.sleep(0.2)
        with self.lock:
            self.done += 1
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            if text != self.expected[prompt]:
                self.failures.append(f"{prompt[:30]!r} gave {text!r}, undisturbed {self.expected[prompt]!r}")

    def wait_for(self, more, deadline_s=300):
        """Until so many more requests are answered."""
        goal, until = self.done + more, time.monotonic() + deadline_s
        while self.done < goal:
            if time.monotonic() > until or not any(t.is_alive() for t in self.threads):
                raise AssertionError(f"{self.done} of {goal} requests answered after {deadline_s} s; failures: {self.failures[:3]}")
            time.sleep(0.1)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
