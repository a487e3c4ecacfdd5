"""One streamed completion as a stubborn client makes it: refusals and refused connections are tried again at the next gateway,
a stream that breaks is taken up where it was (GET /v1/requests/ID/events?from=N), at whichever gateway answers."""
import http.client
import json
import random
import time

from harness import check

PATIENCE_S = 60


class Stream:
    """`ports`: of gateways on this host, or "HOST:PORT" of others."""

    def __init__(self, ports, body, saw=lambda gap: None):
        self.ports, self.body, self.saw = ports, body, saw
        self.id, self.events, self.resumed = None, 0, 0
        self.text, self.finish, self.tokens = "", None, None

    def run(self):
        """(text, finish, completion tokens)."""
        until = time.monotonic() + PATIENCE_S
        self.last = time.monotonic()
        turn = random.randrange(len(self.ports))
        while not self.read_from(self.ports[turn % len(self.ports)]):
            check(time.monotonic() < until, f"request {self.id} came no further than event {self.events}")
            turn += 1
        return self.text, self.finish, self.tokens

    def ask(self, connection):
        if self.id is None:
            body = {**self.body, "stream": True, "stream_options": {"include_usage": True}}
            connection.request("POST", "/v1/completions", json.dumps(body), {"content-type": "application/json"})
        else:
            self.resumed += 1
            connection.request("GET", f"/v1/requests/{self.id}/events?from={self.events}")
        return connection.getresponse()

    def read_from(self, port):
        """false: to be tried again."""
        at = port if isinstance(port, str) else f"127.0.0.1:{port}"
        connection = http.client.HTTPConnection(at, timeout=PATIENCE_S)
        try:
            response = self.ask(connection)
            if response.status in (429, 503):
                time.sleep(min(1.0, float(response.getheader("retry-after") or 0.2)))
                return False
            if response.status != 200:
                raise AssertionError(f"{response.status}: {response.read()[:300]}")
            self.id = response.getheader("x-request-id")
            return self.read_events(response)
        except (OSError, http.client.HTTPException):  # the gateway is gone, or going
            time.sleep(0.05)
            return False
        finally:
            connection.close()

    def read_events(self, response):
        for line in response:
            if not line.startswith(b"data: "):
                continue
            now = time.monotonic()
            self.saw(now - self.last)
            self.last = now
            if line.strip() == b"data: [DONE]":
                return True
            self.take(json.loads(line[6:]))
            self.events += 1
        return False

    def take(self, event):
        check("error" not in event, f"error event: {event}")
        for choice in event["choices"]:
            self.text += choice["text"]
            self.finish = choice["finish_reason"] or self.finish
        if event.get("usage"):
            self.tokens = event["usage"]["completion_tokens"]


def stream(ports, body, saw=lambda gap: None):
    return Stream(ports, body, saw).run()
