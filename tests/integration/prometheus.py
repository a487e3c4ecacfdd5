"""A real Prometheus of the test's own on a free port, with this repository's rules. Their expressions stay as they are; durations
are divided, so that an hour passes in seconds."""
import contextlib
import http.client
import json
import pathlib
import re
import subprocess
import tempfile
import time
import urllib.parse

import harness

RULES = harness.ROOT / "deploy/prometheus/rules"
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


def shortened(text, divide):
    """Windows ([5m]) and holds (for: 5m) of rules, divided; names that hold a duration keep theirs."""
    def short(match):
        return f"{match[1]}{max(1, int(match[2]) * UNITS[match[3]] // divide)}ms{match[4]}"
    return re.sub(r"(\[|for: )(\d+)(ms|s|m|h)(\]|$)", short, text, flags=re.M)


class Prometheus:
    def __init__(self, targets, divide=1, scrape_ms=1000):
        """`targets`: process name to port."""
        program = harness.need_program("prometheus")
        self.folder = tempfile.TemporaryDirectory(prefix="troupe-prometheus-")
        folder = pathlib.Path(self.folder.name)
        (folder / "rules").mkdir()
        for file in RULES.glob("*.yml"):
            (folder / "rules" / file.name).write_text(shortened(file.read_text(), divide))
        (folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": f"{scrape_ms}ms", "scrape_timeout": f"{scrape_ms}ms", "evaluation_interval": f"{scrape_ms}ms"},
            "rule_files": ["rules/*.yml"],
            "scrape_configs": [{"job_name": "troupe", "static_configs": [
                {"targets": [f"127.0.0.1:{port}"], "labels": {"process": name}} for name, port in targets.items()]}]}))
        self.port = harness.free_port()
        self.log = open(folder / "log", "w+")
        self.process = subprocess.Popen(
            [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}", "--enable-feature=exemplar-storage"],
            stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            harness.eventually(self.ready, "Prometheus answers", 60)
        except BaseException:
            self.stop()
            raise

    def ready(self):
        harness.check(self.process.poll() is None, f"Prometheus ended: {self.log_text()}")
        with contextlib.suppress(OSError):
            return self.get("/-/ready")[0] == 200
        return False

    def log_text(self):
        return pathlib.Path(self.log.name).read_text()[-3000:]

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def api(self, path, **parameters):
        status, text = self.get(f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        answer = json.loads(text)
        harness.check(status == 200 and answer["status"] == "success", f"{path} {parameters}: {text[:500]}")
        return answer["data"]

    def query(self, expression):
        return self.api("query", query=expression)["result"]

    def firing(self):
        return {alert["labels"]["alertname"] for alert in self.api("alerts")["alerts"] if alert["state"] == "firing"}

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self.log_text())
        self.stop()


def wait_until(condition, what, deadline_s):
    until = time.monotonic() + deadline_s
    while True:
        left = condition()
        if not left:
            return
        harness.check(time.monotonic() < until, f"{what}: {sorted(left)}")
        time.sleep(0.2)
