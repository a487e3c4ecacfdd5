"""The planner moves a worker from prefill to decode while streams run: the worker drains, joins in its new role and takes
streams there, one prefill worker stays, and every answer is what one process gives."""
import http.client
import json
import re
import threading

import harness
from harness import check, eventually, metric


def ready(port, role):
    """Workers of a role that the router can place on."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.search(rf'^troupe_router_ready_nodes{{role="{role}"}} ([0-9.]+)$', text, re.M)
    return int(float(found[1])) if found else 0


def body(model, number):
    return {"model": model, "prompt": f"Story {number}. Once upon a time", "max_tokens": 120, "seed": number, "temperature": 0.8}


def answer(server, model, number):
    status, reply = server.post("/v1/completions", body(model, number))
    check(status == 200, f"{status}: {reply}")
    return reply["choices"][0]["text"]


def main():
    model_file = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    small = ["--kv-bytes", "128MiB", "--engine-threads", "1"]
    with harness.serve(*small, model=model_file) as server:
        model = json.loads(server.request("GET", "/v1/models")[1])["data"][0]["id"]
        expected = [answer(server, model, i) for i in range(6)]
        check(server.stop() == 0, "serve drains and ends with 0")

    # A millisecond between tokens is more than this decode worker can keep: it is under pressure while it has streams.
    plan = ["--router-planner", "--router-planner-dwell", "2s", "--router-planner-itl", "1ms"]
    with harness.cluster(*small, *plan, model=model_file, prefill=2) as server:
        router = server.metrics["router"]
        eventually(lambda: ready(router, "prefill") == 2 and ready(router, "decode") == 1, "all workers")
        stop, answers = threading.Event(), []

        def ask():
            while not stop.is_set():
                answers.append([answer(server, model, i) for i in range(len(expected))])

        clients = [threading.Thread(target=ask) for _ in range(2)]
        for client in clients:
            client.start()
        try:
            eventually(lambda: ready(router, "decode") == 2, "a prefill worker decodes", 120)
            moved = [n for n in ("prefill-0", "prefill-1") if metric(server.metrics[n], "troupe_worker_role_changes_total") == 1]
            check(len(moved) == 1, f"one worker changed: {moved}")
            eventually(lambda: metric(server.metrics[moved[0]], "troupe_worker_generated_tokens_total") > 0, "it takes streams", 120)
        finally:
            stop.set()
            for client in clients:
                client.join(300)
        check(answers and all(each == expected for each in answers), "every answer is what one process gives")
        check(ready(router, "prefill") == 1, "the last prefill worker stays")
        check(metric(router, "troupe_router_losses_total") == 0, "nobody was taken for dead")
        check(server.stop() == 0, "the cluster drains and ends with 0")


main()
