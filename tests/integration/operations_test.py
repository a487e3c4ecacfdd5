"""What an operator runs beside a cluster: `troupe doctor` before and while it works, `troupe top`, and what they say when
something is missing; `troupe plan` by its measured costs."""
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import threading

import harness
from harness import check

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
from chaos import tiny_model  # noqa: E402


def troupe(*words):
    """(exit code, standard output, standard error)"""
    done = subprocess.run([str(harness.TROUPE), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          env=harness.clean_environment(), check=False)
    return done.returncode, done.stdout, done.stderr


def diagnosis(*words):
    """Exit code, and the findings by check."""
    code, out, err = troupe("doctor", "--json", *words)
    check(out, f"doctor says nothing: {err}")
    findings = {}
    for each in json.loads(out)["findings"]:
        findings.setdefault(each["check"], []).append(each)
    return code, findings


def levels(findings, name):
    return sorted(each["level"] for each in findings.get(name, []))


def check_doctor_before(model, redis, folder):
    """On a machine where nothing runs but Redis."""
    flags = ["--role", "decode", "--model", model, "--kv-bytes", "32MiB", "--cluster-router", "127.0.0.1:1",
             "--cluster-directory", f"redis://127.0.0.1:{redis.port}/0", "--kv-disk-path", f"{folder}/pages",
             "--kv-disk-capacity", "1MiB", "--metrics-port", str(harness.free_port())]
    code, findings = diagnosis(*flags)
    check(code == 0, findings)
    for name in ("cpu", "ports", "redis", "model", "shared memory", "disk tier"):
        check("problem" not in levels(findings, name) and findings.get(name), f"{name}: {findings.get(name)}")
    check(levels(findings, "redis") == ["ok"], findings["redis"])
    check(not pathlib.Path(folder, "pages").exists(), "doctor left a folder behind")
    # A cut-off file under a known model's name, and a Redis that is not there.
    pathlib.Path(folder, "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF")
    code, findings = diagnosis("--role", "gateway", "--models", folder, "--model", "smollm2-135m-instruct", "--cluster-directory",
                               f"redis://127.0.0.1:{harness.free_port()}/0", "--http-port", "0")
    check(code == 1, findings)
    check(levels(findings, "model") == ["problem"] and "troupe models pull" in findings["model"][0]["advice"], findings["model"])
    check(levels(findings, "redis") == ["problem"], findings["redis"])


def check_doctor_beside(server, model):
    """The gateway's port is taken, by the cluster itself."""
    code, findings = diagnosis("--role", "gateway", "--model", model, "--http-port", str(server.port))
    check(levels(findings, "ports") == ["warning"] and "a Troupe process answers there" in findings["ports"][0]["what"],
          findings["ports"])
    check(code == 0, findings)


def shown(number):
    """As `top` shows it: "13.3", "10.1k"; "-": not known yet."""
    if number == "-":
        return 0.0
    units = {"k": 1e3, "M": 1e6, "G": 1e9}
    return float(number[:-1]) * units[number[-1]] if number[-1] in units else float(number)


def check_top(server):
    url = f"http://127.0.0.1:{server.port}"
    model = json.loads(server.get("/v1/models")[1])["data"][0]["id"]
    body = {"model": model, "prompt": "once", "max_tokens": 20, "ignore_eos": True}
    stop = threading.Event()

    def load():
        while not stop.is_set():
            status, answer = server.post("/v1/completions", body)
            check(status == 200, answer)

    def frame():
        """A frame's text, its lines of nodes, and the tokens a second of its decode workers."""
        code, out, err = troupe("top", "--once", "--url", url, "--width", "120")
        check(code == 0, err)
        lines = out.splitlines()
        title = next(line for line in lines if line.startswith("NAME"))
        nodes = lines[lines.index(title) + 1:]
        end = title.index("OUT/s") + len("OUT/s")
        return out, nodes, sum(shown(line[:end].split()[-1]) for line in nodes if line.split()[1] == "decode")

    worker = threading.Thread(target=load)
    worker.start()
    try:
        for _ in range(10):  # a rate takes two heartbeats of a worker
            out, nodes, tokens = frame()
            if tokens > 0:
                break
    finally:
        stop.set()
        worker.join()
    print(out)
    check(tokens > 0, f"no tokens a second in\n{out}")
    roles = sorted(line.split()[1] for line in nodes)
    check([role for role in roles if role != "gateway"] == ["decode", "decode", "prefill"], out)
    check("\x1b" not in out, "escapes without a terminal")
    check(" 3 workers" in out, out)
    rate = shown(out.split("requests ")[1].split("/s")[0])
    check(rate > 0, f"requests a second: {rate}")
    code, narrow, err = troupe("top", "--once", "--url", url, "--width", "40", "--interval", "300ms")
    check(code == 0, err)
    check(max(map(len, narrow.splitlines())) <= 40 and "decode@" in narrow, narrow)


def check_plan(server):
    """By what the router has learnt from the requests above."""
    code, out, err = troupe("plan", "--from", f"http://127.0.0.1:{server.metrics['router']}", "--rate", "5", "--span", "20s",
                            "--prompt-tokens", "100", "--answer-tokens", "20", "--json", "-")
    check(code == 0, err)
    plan = json.loads(out)
    check(plan["workers"] >= 1 and plan["tries"][0]["finished"] == plan["tries"][0]["requests"], plan)


def check_top_alone(port):
    code, out, err = troupe("top", "--once", "--url", f"http://127.0.0.1:{port}")
    check(code == 1 and "cannot be reached" in err and not out, f"{code}: {out} {err}")


def main():
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        model = tiny_model(folder, 5)
        redis = stack.enter_context(harness.Redis())
        check_doctor_before(model, redis, folder)
        server = stack.enter_context(harness.cluster("--kv-bytes", "32MiB", "--engine-threads", "1", model=model, decode=2))
        check_doctor_beside(server, model)
        check_top(server)
        check_plan(server)
        check(server.stop() == 0, "up did not end cleanly")
        check_top_alone(server.port)


main()
