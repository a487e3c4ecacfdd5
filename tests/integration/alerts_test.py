"""Every alert fires against a real Prometheus when its cause is there, ends when it is gone, and has a section in the runbook.
A process that shows what a broken cluster shows stands in for the cluster; dashboards_test.py checks that a real one has the
metrics that rules name."""
import contextlib
import http.server
import re
import subprocess
import threading
import time

import harness
import prometheus
from harness import check

W = '{role="decode"}'
#                                          healthy, broken
GAUGES = {"troupe_router_ready_nodes" + W: (2, 0), "troupe_worker_joined_routers" + W: (1, 0), "troupe_router_open_circuits": (0, 2),
          "troupe_router_last_tick_age_seconds": (0.1, 60), "troupe_router_oldest_heartbeat_seconds": (0.3, 60),
          "troupe_worker_pages_pool" + W: (100, 100), "troupe_worker_pages_free" + W: (60, 50), "troupe_worker_pages_cached" + W: (40, 40),
          "troupe_gateway_text_queue_requests": (0, 100), "troupe_gateway_directory_reachable": (1, 0),
          "troupe_kv_disk_paused_tiers" + W: (0, 1), "troupe_process_open_descriptors": (40, 20000),
          "troupe_worker_sequences_running" + W: (0, 0), "troupe_worker_streams_running" + W: (0, 0),
          "troupe_worker_prefills_running" + W: (0, 0), "troupe_worker_exports_running" + W: (0, 0)}
#                                                                  a second: healthy, broken
COUNTERS = {'troupe_gateway_requests_total{route="completions",outcome="2xx"}': (50, 0),
            'troupe_gateway_requests_total{route="completions",outcome="5xx"}': (0, 50),
            'troupe_gateway_first_token_seconds_bucket{le="2.5"}': (50, 0), 'troupe_gateway_first_token_seconds_bucket{le="+Inf"}': (50, 50),
            "troupe_gateway_first_token_seconds_count": (50, 50), "troupe_router_losses_total": (0, 5), "troupe_router_joins_total": (0, 5),
            "troupe_router_hangs_total": (0, 5), "troupe_gateway_placed_by_view_total": (0, 5),
            "troupe_worker_preemptions_total" + W: (0, 50), "troupe_gateway_replays_total": (0, 50),
            "troupe_gateway_quarantined_total": (0, 5), "troupe_worker_prefill_fallbacks_total" + W: (0, 50),
            "troupe_worker_fetch_fallbacks_total" + W: (0, 0), "troupe_worker_imports_total" + W: (50, 50),
            "troupe_worker_fetches_total" + W: (0, 0), 'troupe_gateway_trace_spans_total{outcome="exported"}': (5, 0),
            'troupe_gateway_trace_spans_total{outcome="dropped"}': (0, 5)}


class Cluster:
    """What /metrics says: counters rise with time at the rate of the state they are in. A worker with waiting sequences does not
    strand its pages, so a second one waits."""

    def __init__(self):
        self.lock = threading.Lock()
        self.broken = False
        self.changed = self.began = time.monotonic()
        self.counts = dict.fromkeys(COUNTERS, 0.0)

    def set_broken(self, broken):
        with self.lock:
            self.advance()
            self.broken, self.began = broken, time.monotonic()

    def advance(self):
        now = time.monotonic()
        for name, rates in COUNTERS.items():
            self.counts[name] += rates[self.broken] * (now - self.changed)
        self.changed = now

    def text(self):
        with self.lock:
            self.advance()
            lines = [f"{name} {values[self.broken]}" for name, values in GAUGES.items()]
            lines += [f"{name} {value}" for name, value in self.counts.items()]
            waiting = 10 + 100 * (time.monotonic() - self.began) if self.broken else 0
        lines.append(f'troupe_worker_sequences_waiting{{role="decode"}} 0\ntroupe_worker_sequences_waiting{{role="prefill"}} {waiting}')
        return "\n".join(lines) + "\n"


def serve(port, text):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = text().encode()
            with contextlib.suppress(OSError):  # a scrape that waited too long
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


def check_files():
    promtool = harness.need_program("promtool")
    rules = [str(f) for f in prometheus.RULES.glob("*.yml")]
    for command in (["check", "rules", *rules], ["check", "config", str(harness.ROOT / "deploy/prometheus/prometheus.yml")],
                    ["test", "rules", *[str(f) for f in (harness.ROOT / "deploy/prometheus/tests").glob("*.yml")]]):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, timeout=300)
        check(done.returncode == 0, f"promtool {command[:2]}: {done.stdout}{done.stderr}")


def main():
    check_files()
    alerts = set(re.findall(r"- alert: (\w+)", (prometheus.RULES / "alerts.rules.yml").read_text()))
    sections = set(re.findall(r"^## (Troupe\w+)$", (harness.ROOT / "deploy/RUNBOOK.md").read_text(), re.M))
    check(alerts and alerts == sections, f"alerts and the runbook's sections differ in {alerts ^ sections}")
    unit_tests = "".join(f.read_text() for f in (harness.ROOT / "deploy/prometheus/tests").glob("*.yml"))
    check(not [a for a in alerts if f"alertname: {a}" not in unit_tests], "every alert has a unit test")

    cluster, other = Cluster(), harness.free_port()
    port = harness.free_port()
    server, spare = serve(port, cluster.text), serve(other, lambda: "")
    with prometheus.Prometheus({"all": port, "spare": other}, divide=120, scrape_ms=200) as prom:
        prometheus.wait_until(lambda: [] if len(prom.query("up == 1")) == 2 else ["up"], "targets are scraped", 30)
        time.sleep(2)  # what fires on a healthy cluster would by now; a scrape that came late may have
        prometheus.wait_until(prom.firing, "these fire on a healthy cluster", 60)
        cluster.set_broken(True)
        spare.shutdown()
        spare.server_close()
        prometheus.wait_until(lambda: alerts - prom.firing(), "these do not fire", 120)
        cluster.set_broken(False)
        spare = serve(other, lambda: "")
        prometheus.wait_until(prom.firing, "these do not end", 180)
    for each in (server, spare):
        each.shutdown()
        each.server_close()


main()
