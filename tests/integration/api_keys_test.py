"""API keys at a real gateway: made by the program, taken and withdrawn while it serves, limits exact for a hundred keys at once, streams
let in by their key go on when it is withdrawn, an admin port of its own, an audit log without texts, no key in anything that is shown."""
import concurrent.futures
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import harness
from harness import check, eventually, metric, series

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
from chaos import tiny_model  # noqa: E402

KEYS, PER_MINUTE, ASKED = 100, 5, 8
SDK_CHECK = """
import sys, openai
url, model, key, small = sys.argv[1:]
def complete(key, **more):
    return openai.OpenAI(base_url=url, api_key=key, max_retries=5).completions.create(model=model, prompt="a", max_tokens=4, **more)
def raises(error, call):
    try:
        call()
    except error as raised:
        return raised
    raise AssertionError(f"{error} was not raised")
assert complete(key).usage.completion_tokens > 0
assert [event for event in complete(key, stream=True)]
assert raises(openai.AuthenticationError, lambda: complete("sk-unknown")).code == "invalid_api_key"
assert raises(openai.NotFoundError, lambda: openai.OpenAI(base_url=url, api_key=key).models.retrieve("none")).code == "model_not_found"
limit = raises(openai.RateLimitError, lambda: complete(small, n=16))
assert limit.code == "rate_limit_exceeded" and limit.response.headers["x-ratelimit-limit-tokens"] == "60"
"""


def make(file, name, *flags):
    made = subprocess.run([harness.TROUPE, "keys", "api", "make", file, "--name", name, *flags], check=True, capture_output=True, text=True)
    return made.stdout.strip()


class Client:
    """One kept connection, and what its last answer's head said."""

    def __init__(self, port, secret=None, header="Authorization"):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.headers = {"content-type": "application/json"}
        if secret is not None:
            self.headers[header] = secret if header != "Authorization" else f"Bearer {secret}"

    def ask(self, method, path, body=None):
        self.connection.request(method, path, None if body is None else json.dumps(body), self.headers)
        response = self.connection.getresponse()
        self.head = response.headers
        return response.status, response.read().decode()

    def error(self, method, path, body=None):
        status, text = self.ask(method, path, body)
        return status, json.loads(text)["error"]["code"]


def check_doors(port, admin_port, secrets, body):
    check(Client(port).error("POST", "/v1/completions", body) == (401, "invalid_api_key"), "no key")
    check(Client(port, "sk-unknown").error("POST", "/v1/completions", body) == (401, "invalid_api_key"), "an unknown key")
    for header in ("Authorization", "x-api-key"):
        status, text = Client(port, secrets["alice"], header).ask("POST", "/v1/completions", body)
        check(status == 200, f"{header}: {status}: {text}")
    elsewhere = Client(port, secrets["elsewhere"])
    check(elsewhere.error("POST", "/v1/completions", body) == (404, "model_not_found"), "a model of other keys")
    check(json.loads(elsewhere.ask("GET", "/v1/models")[1])["data"] == [], "it is not listed either")
    for path in ("/config", "/state", "/"):
        check(Client(port, secrets["admin"]).ask("GET", path)[0] == 404, f"{path} is on the admin port alone")
        check(Client(admin_port, secrets["alice"]).error("GET", path) == (403, "insufficient_permissions"), f"{path} for a user")
        check(Client(admin_port, secrets["admin"]).ask("GET", path)[0] == 200, f"{path} for an admin")
    check(Client(admin_port).ask("POST", "/cluster/workers/decode/drain")[0] == 401, "a drain without a key")
    for path in ("/healthz", "/readyz", "/metrics"):
        check(Client(port).ask("GET", path)[0] == 200, f"{path} needs no key")


def check_operators(admin_port, secrets):
    """What a person watches a cluster with takes the key from where other clients do."""
    for name, code in (("admin", 0), ("alice", 1)):
        command = [harness.TROUPE, "top", "--once", "--interval", "100ms", "--url", f"http://127.0.0.1:{admin_port}"]
        environment = {**harness.clean_environment(), "OPENAI_API_KEY": secrets[name]}
        shown = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        check(shown.returncode == code, f"top with the key of {name}: {shown.returncode}: {shown.stderr}")
        check(secrets[name] not in shown.stdout + shown.stderr, "top shows its key")


def check_sdk(port, secrets, model):
    """OpenAI's own client raises what its users catch, and its retries end where waiting does not help."""
    if python := harness.interpreter_with("openai"):
        arguments = (f"http://127.0.0.1:{port}/v1", model, secrets["alice"], secrets["small"])
        subprocess.run([python, "-c", SDK_CHECK, *arguments], check=True, timeout=60)


def check_limits(port, secrets, body):
    """Every key asks as often as it likes, all at once: of each as many come in as its rate allows, not one more or less."""
    def use(name):
        client, begun, statuses = Client(port, secrets[name]), time.monotonic(), []
        for _ in range(ASKED):
            statuses.append(client.ask("POST", "/tokenize", body)[0])
            if statuses[-1] == 429:
                told = client.head["retry-after"], client.head["x-ratelimit-limit-requests"]
                check(int(told[0]) >= 1 and told[1] == str(PER_MINUTE), str(told))
        return statuses, time.monotonic() - begun

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for name, (statuses, seconds) in zip(secrets, pool.map(use, secrets)):
            came_in = statuses.count(200)
            check(came_in + statuses.count(429) == ASKED, f"{name}: {statuses}")
            check(PER_MINUTE <= came_in <= PER_MINUTE + seconds * PER_MINUTE / 60, f"{name}: {came_in} in {seconds:.1f} s")


def check_withdrawal(server, file, secret, body):
    """A key that is taken out of the file opens nothing more, and a stream that it has opened goes on."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    long = {**body, "max_tokens": 200, "stream": True}
    connection.request("POST", "/v1/completions", json.dumps(long), {"Authorization": f"Bearer {secret}"})
    response = connection.getresponse()
    check(response.status == 200, "the stream begins")
    lines = [response.readline()]
    before = file.read_text()
    entries = before.split("  - name: ")
    text = "  - name: ".join(entry for entry in entries if not entry.startswith("leaver\n"))
    check(text != before, "the entry is there")
    file.write_text(text)  # no signal: it is looked after
    eventually(lambda: Client(server.port, secret).ask("GET", "/v1/models")[0] == 401, "the key is withdrawn")
    lines += response.readlines()
    check(lines[-2].strip() == b"data: [DONE]", f"the stream ends as it should: {lines[-3:]}")

    refused = series(server.port, "troupe_gateway_api_key_files_total").get('outcome="failed"', 0)
    file.write_text("keys: [")
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: series(server.port, "troupe_gateway_api_key_files_total")['outcome="failed"'] > refused, "a broken file is counted")
    check("api keys not taken" in server.log_text(), "and logged")
    file.write_text(text)


def check_audit(file, names, secrets, prompt):
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    by_key = {name: [line for line in lines if line["key"] == name] for name in (*names, "")}
    check(all(line["status"] == 401 for line in by_key[""]) and by_key[""], "who showed no key is written down")
    answered = [line for line in by_key["alice"] if line["route"] == "completions"]
    check(len(answered) >= 2 and all(line["completion_tokens"] > 0 and line["status"] == 200 for line in answered), f"{answered}")
    check(prompt not in file.read_text() and oct(file.stat().st_mode)[-3:] == "600", "no prompt, and nobody else reads it")


def main():
    with tempfile.TemporaryDirectory() as folder:
        file, audit = pathlib.Path(folder, "keys.yaml"), pathlib.Path(folder, "audit.jsonl")
        secrets = {name: make(file, name, *flags) for name, *flags in (
            ("alice", "--tokens-per-minute", "1000000"), ("admin", "--scopes", "admin"), ("leaver",),
            ("small", "--tokens-per-minute", "60"), ("elsewhere", "--models", "another"))}
        crowd = {f"key{i}-of-many": f"sk-of-many-{i}" for i in range(KEYS)}
        with file.open("a") as out:  # as another program may write them
            for name, secret in crowd.items():
                digest = subprocess.run(["sha256sum"], input=secret, capture_output=True, text=True, check=True).stdout.split()[0]
                out.write(f"  - {{name: {name}, hash: sha256:{digest}, tenant: crowd, requests_per_minute: {PER_MINUTE}}}\n")
        port, admin_port = harness.free_port(), harness.free_port()
        arguments = ["serve", "--model", tiny_model(folder, 5), "--http-port", str(port), "--admin-port", str(admin_port),
                     "--gateway-api-keys", str(file), "--gateway-audit", str(audit), "--engine-threads", "1", "--kv-bytes", "32MiB",
                     "--log-level", "debug"]
        with harness.Server(arguments, port) as server:
            model = json.loads(Client(port, secrets["alice"]).ask("GET", "/v1/models")[1])["data"][0]["id"]
            body = {"model": model, "prompt": "once upon a time", "max_tokens": 4, "seed": 1, "ignore_eos": True}
            check_doors(port, admin_port, secrets, body)
            check_operators(admin_port, secrets)
            check_sdk(port, secrets, model)
            check_limits(port, crowd, {"model": model, "prompt": "a"})
            check_withdrawal(server, file, secrets["leaver"], body)
            os.rename(audit, f"{audit}.old")
            server.process.send_signal(signal.SIGHUP)
            eventually(audit.exists, "the audit log is opened again")
            check_audit(pathlib.Path(f"{audit}.old"), secrets, secrets, body["prompt"])
            check(metric(port, "troupe_gateway_audit_lines_total") > KEYS * ASKED, "lines are counted")
            shown = "".join(Client(admin_port, secrets["admin"]).ask("GET", path)[1] for path in ("/config", "/state", "/metrics"))
            check(server.stop() == 0, "it drains and ends with 0")
            shown += server.log_text() + audit.read_text() + pathlib.Path(f"{audit}.old").read_text()
        for secret in (*secrets.values(), *crowd.values(), "sk-unknown"):
            check(secret not in shown, "a key is shown")


main()
