"""Eight streams decode while a prompt of 4,096 new tokens arrives every ten seconds: the longest wait between two events of a
stream, and all tokens a second (computed prompt tokens and answers)."""

import http.client
import json
import random
import threading
import time

STREAMS, PROMPT, EVERY, WINDOW = 8, 4096, 10.0, 40.0


def _events(port, body, until, each):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/v1/completions", json.dumps({"model": "smollm2", "stream": True, "temperature": 0,
                                                                  "ignore_eos": True, **body}),
                           {"content-type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {response.read()[:300]}")
        for line in response:
            now = time.monotonic()
            if now >= until:
                return
            if line.startswith(b"data: {"):
                each(now)
    finally:
        connection.close()


def measure(port, seed):
    """(longest gap in ms, tokens/s). Prompts differ by `seed`, so that none is cached."""
    rng = random.Random(seed)
    began = time.monotonic()
    until = began + WINDOW
    gaps, tokens, problems = [0.0] * STREAMS, [0] * (STREAMS + 1), []

    def stream(number, prompt):
        last = None

        def each(now):
            nonlocal last
            if last is not None:
                gaps[number] = max(gaps[number], now - last)
            last = now
            tokens[number] += 1
        try:
            _events(port, {"prompt": prompt, "max_tokens": 8000}, until, each)
        except Exception as problem:  # noqa: BLE001 - told by the main thread
            problems.append(problem)

    def prompts():
        due = began + EVERY / 2
        while due < until - EVERY / 4:
            time.sleep(max(0.0, due - time.monotonic()))

            def each(_):
                tokens[STREAMS] += 1
            try:
                first = tokens[STREAMS]
                _events(port, {"prompt": [rng.randrange(1000, 40000) for _ in range(PROMPT)], "max_tokens": 4}, until, each)
                if tokens[STREAMS] > first:
                    tokens[STREAMS] += PROMPT
            except Exception as problem:  # noqa: BLE001
                problems.append(problem)
            due += EVERY

    threads = [threading.Thread(target=stream, args=(i, [rng.randrange(1000, 40000) for _ in range(16)])) for i in range(STREAMS)]
    threads.append(threading.Thread(target=prompts))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    return max(gaps) * 1e3, sum(tokens) / (time.monotonic() - began)
