"""Every page of the dashboard, as a person uses it. Started by page_test.py with an interpreter that has selenium."""
import contextlib
import json
import os
import pathlib
import signal
import tempfile

from selenium.webdriver.common.keys import Keys

import harness
from browser import Browser
from harness import check
from page_pictures import Pictures, still

PAGES = {"chat": "Chat", "cluster": "Cluster", "router": "Router", "requests": "Requests", "techniques": "Techniques",
         "benchmarks": "Benchmarks"}
ROWS = 10_000


def recorded_run():
    """A run as `troupe bench --json` writes it, with two endpoints."""
    def endpoint(place, slower):
        records = [{"index": i, "due_ns": i * 20_000_000, "first_token_ns": (30 + (i * 37) % 90) * slower * 1_000_000,
                    "ended_ns": i * 20_000_000 + (300 + (i * 53) % 400) * slower * 1_000_000, "prompt_tokens": 120,
                    "cached_tokens": 64, "output_tokens": 32} for i in range(200)]
        sample = {"count": 200, "p50": 74.0 * slower, "p90": 111.0 * slower, "p99": 119.0 * slower, "mean": 74.5 * slower,
                  "max": 119.0 * slower}
        summary = {"requests": 200, "answered": 200, "seconds": 4.4, "time_to_first_token_ms": sample,
                   "between_tokens_ms": sample, "end_to_end_ms": sample, "output_tokens": 6400, "prompt_tokens": 24000,
                   "cached_tokens": 12800, "output_tokens_per_second": 1454.5, "prompt_tokens_per_second": 5454.5,
                   "answers_without_usage": 0, "errors": {}}
        return {"place": place, "model": "smollm2", "summary": summary, "records": records}
    figure = {"name": "output_tokens_per_second", "first": 1454.5, "second": 1010.1, "ratio": 1.44, "low": 1.40,
              "high": 1.48, "pairs": 6}
    return {"settings": {"workload": "shared-prefix", "load": "16 at a time, seed 1"}, "interrupted": False,
            "endpoints": [endpoint("here", 1), endpoint("there", 2)],
            "comparison": {"repeats": 6, "marked": 0, "used_marked": False, "figures": [figure], "pairs": []}}


def looks_right(browser, pictures, name):
    """As in its pictures and accessible in both schemes, nothing wider than a phone, no script that failed."""
    for scheme in ("light", "dark"):
        browser.scheme(scheme)
        wrong = browser.accessibility()
        check(not wrong, f"{name}, {scheme}: {wrong}")
        browser.picture(f"{name}-{scheme}")
        pictures.check(f"{name}-{scheme}")
    dark = browser.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    check(max(dark) < 60, f"{name}: dark is {dark}")
    browser.scheme("light")
    browser.metrics(360, 740, mobile=True)
    wide = browser.run("return document.documentElement.scrollWidth")
    check(wide <= 360, f"{name} is {wide} pixels wide on a phone of 360")
    small = browser.run("return [...document.querySelectorAll('button, select, .tabs a')].filter((e) => e.offsetParent)"
                        ".filter((e) => e.getBoundingClientRect().height < 24).map((e) => e.outerHTML)")
    check(not small, f"{name}: too small for a finger: {small}")
    wrong = browser.accessibility()
    check(not wrong, f"{name}, narrow: {wrong}")
    browser.picture(f"{name}-phone")
    pictures.check(f"{name}-phone")
    browser.metrics(1280, 900)
    check(not (said := browser.errors()), f"{name}: {said}")


def every_page_looks_right(browser, pictures):
    """But for the chat's, which has had its turn."""
    with still(browser):
        for name, title in list(PAGES.items())[1:]:
            browser.page(name, title)
            if name == "techniques":
                browser.until(lambda: browser.all("table.techniques"), "the registry is there")
            if name == "benchmarks":
                show_recorded_run(browser)
            looks_right(browser, pictures, name)
        browser.page("cluster", "Cluster")
        a_broken_page_is_seen(browser, pictures)
    pictures.check_all()


# What may go wrong with a page without a script that fails.
BREAKS = {"a part that is gone": ".tiles { visibility: hidden; }", "a map without its boxes": ".box { display: none; }",
          "no navigation": ".tabs { visibility: hidden; }", "everything aside": "main { padding-left: 6rem; }",
          "large letters": "body { font-size: 19px; }", "a wrong colour": ".card { background: #24282e; }",
          "one on the other": ".cards { margin-top: -9rem; }"}


def a_broken_page_is_seen(browser, pictures):
    """Otherwise the tolerance would be too large."""
    pictures.check("cluster-light")
    for what, rules in BREAKS.items():
        check(pictures.difference("cluster-light", rules), f"{what} is not seen")
    browser.run("document.querySelector('link[rel=stylesheet]').disabled = true")
    check(pictures.difference("cluster-light"), "a page without its style is not seen")
    browser.run("document.querySelector('link[rel=stylesheet]').disabled = false")
    for other in ("cluster-dark", "router-light"):
        check(pictures.difference(other), f"cluster-light is taken for {other}")
    pictures.check("cluster-light")


def say(browser, text):
    browser.find("#message").send_keys(text, Keys.ENTER)


def set_field(browser, name, value):
    field = browser.find(f'.settings [name="{name}"]')
    field.clear()
    field.send_keys(value)


def chat_streams(browser):
    browser.until(lambda: browser.find('select[name="model"]').get_attribute("value"), "the models are there")
    set_field(browser, "temperature", "0")
    set_field(browser, "max_tokens", "24")
    say(browser, "What is the capital of France?")
    browser.until(lambda: browser.all(".turn.assistant .costs"), "the answer ends")
    text = browser.find(".turn.assistant .tokens").text
    check("Paris" in text, f"the answer is {text}")
    costs = browser.find(".turn.assistant .costs").text
    for word in ("first token", "tokens / s", "prompt cached"):
        check(word in costs, f"{word} is not in {costs}")
    # Arrow keys explain tokens.
    browser.find(".turn.assistant .tokens").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    check("%" in browser.find(".explained").text, "a token's probability is shown")
    check(len(browser.all(".explained .others li")) >= 3, "and what could have been instead")


def chat_stops(browser):
    set_field(browser, "max_tokens", "2000")
    # From within the page: on a busy machine a short answer is over before a click from outside arrives.
    browser.run("""
        const stop = () => {
          if (document.querySelectorAll(".turn[aria-busy] .t").length < 3) return;
          watch.disconnect();
          document.querySelector(".composer .quiet").click();
          document.body.dataset.stopped = "yes";
        };
        const watch = new MutationObserver(stop);
        watch.observe(document.body, {childList: true, subtree: true});""")
    say(browser, "Write a long story about a dragon.")
    browser.until(lambda: browser.run("return document.body.dataset.stopped") == "yes", "tokens show while the answer goes on")
    browser.until(lambda: "stopped" in browser.all(".turn.assistant")[-1].find_element("css selector", ".costs").text,
                  "the answer says that it was stopped")
    check(browser.find(".composer .primary").is_enabled(), "the next message can be sent")


def keyboard_goes_through(browser):
    """Tab visits the skip link, the start page, then the pages in their order; the skip link works."""
    browser.run("document.activeElement.blur(); window.getSelection().removeAllRanges()")
    browser.run("document.querySelector('.skip').focus()")
    seen = []
    for _ in range(7):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        seen.append(browser.run("return document.activeElement.getAttribute('href')"))
    check(seen == ["#/chat"] + [f"#/{name}" for name in PAGES], f"the order of focus is {seen}")
    ring = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
    check(ring == "solid", "what has the focus shows it")
    browser.run("document.querySelector('.skip').focus()")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    check(browser.run("return document.activeElement.id") == "main", "the skip link skips")


def decode_card(browser, number):
    """The card of a decode worker; names hold ports, which differ."""
    names = browser.run_module("const {live} = await import('/web/live.js');"
                               "return live.workers().filter((w) => w.role === 'decode').map((w) => w.name);")
    return f'.card[data-worker="{names[number]}"]'


def cluster_shows_and_drains(browser):
    browser.page("cluster", "Cluster")
    check(browser.run("return document.activeElement.tagName") == "H1", "the new page's heading has the focus")
    browser.until(lambda: len(browser.all(".card")) == 3, "the three workers are there")
    boxes = browser.run("return [...document.querySelectorAll('.map .name')].map((e) => e.textContent)")
    check("router" in boxes and sum(box.startswith("decode") for box in boxes) == 2, f"the map has {boxes}")
    card = decode_card(browser, 0)
    browser.find(f"{card} .quiet").click()
    check(browser.find("dialog h2").text.startswith("Drain decode"), "it asks first")
    browser.picture("confirm")
    browser.find("dialog .quiet").click()
    check(browser.find(f"{card} .badge").text != "drained", "no is no")
    browser.find(f"{card} .quiet").click()
    browser.find("dialog .primary").click()
    browser.until(lambda: browser.find(f"{card} .badge").text == "drained", "the worker is drained")
    browser.until(lambda: browser.find(f"{card} .quiet").text == "Undrain", "and can be taken back")


def workers_are_told_apart(browser):
    """Names of workers of other machines, and which of them are slow."""
    told = browser.run_module("""
      const {fitting, shortName, slowOnes} = await import('/web/cluster.js'), {Live} = await import('/web/live.js');
      const names = ['decode@tcp://127.0.0.1:7001', 'decode@tcp://172.20.0.5:7400', 'first'];
      const slow = (...streams) => [...slowOnes(streams.map((stream, i) => ({name: 'w' + i, stream})))];
      let at = 0;
      const seen = new Live(() => null, () => at), load = (generated_tokens, running) => ({generated_tokens, prompt_tokens: 0, running});
      for (at = 0; at <= 4000; at += 500)
        seen.onCluster({nodes: [{name: 'a', loads: [load(at / 10, 4)]}, {name: 'b', loads: [load(at / 10, 0)]}]});
      const rates = [seen.rates('a'), seen.rates('b').stream];
      seen.onCluster({nodes: [{name: 'a', loads: [load(1, 4)]}]});
      return [names.map(shortName), names.map(fitting), slow(20, 21, 9), slow(20, 4), slow(20, null, 19), slow(20), slow(20, 11),
              ...rates, seen.rates('a').stream];""")
    check(told == [["decode :7001", "decode 172.20.0.5", "first"], ["decode :7001", "172.20.0.5", "first"],
                   ["w2"], ["w1"], [], [], [], {"generated": 100, "prompts": 0, "stream": 25}, None, None], f"workers: {told}")


def cluster_undrains(browser):
    card = decode_card(browser, 0)
    browser.find(f"{card} .quiet").click()
    browser.until(lambda: browser.find(f"{card} .badge").text in ("ready", "busy"), "the worker is back")


def cluster_kills(browser):
    ids = "const {live} = await import('/web/live.js'); return live.workers().map((w) => w.id);"
    browser.until(lambda: len(browser.all(".card")) == 3, "the three workers are there")
    before = set(browser.run_module(ids))
    browser.find(f"{decode_card(browser, 1)} .danger").click()
    browser.find("dialog .danger").click()
    browser.until(lambda: len(set(browser.run_module(ids)) & before) == 2 and len(browser.all(".card")) == 3,
                  "another process has its place")


def router_explains(browser):
    browser.page("router", "Router")
    browser.until(lambda: browser.all(".choices button"), "placements are there")
    text = browser.find(".why").text
    for word in ("Reason:", "To decode it", "Queue", "Score", "chosen"):
        check(word in text, f"{word} is not in {text}")
    browser.all(".choices button")[-1].click()
    check(browser.all(".choices button")[-1].get_attribute("aria-pressed") == "true", "an older one is chosen")


def requests_flow(browser):
    browser.page("requests", "Requests")
    browser.until(lambda: browser.all(".request:not([hidden])"), "requests are there")
    rows = [row.text for row in browser.all(".request:not([hidden])")]
    check(any("stopped" in row for row in rows) and any("done" in row for row in rows), f"outcomes: {rows}")
    stages = browser.run("return [...document.querySelectorAll('.request .stage:not([hidden])')].map((e) => e.className)")
    for stage in ("read", "place", "prompt", "stream"):
        check(f"stage {stage}" in stages, f"stage {stage} is not in {stages}")


def many_requests_stay_few_elements(browser):
    added = browser.run_module(f"""
      const {{live}} = await import('/web/live.js');
      const rows = [];
      for (let i = 0; i < {ROWS}; ++i) rows.push([1e6 + i, i.toString(16).padStart(8, '0'), 'm', true, true, i, i + 1, i + 2,
        i + 30, i + 90, 'decode-' + i % 4, '', 100, 64, 20, 1, 200]);
      live.onRequests(rows);
      await new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)));
      return live.requests.size;""")
    check(added == ROWS, f"the list holds {added}")
    scroll = """
      const list = document.querySelector('.virtual'), frame = () => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)));
      const seen = [];
      for (const share of [0, 0.25, 0.5, 0.75, 1]) {
        list.scrollTop = share * list.scrollHeight;
        await frame();
        const top = list.getBoundingClientRect();
        const row = [...list.querySelectorAll('.request:not([hidden])')].find((r) => r.getBoundingClientRect().bottom > top.top + 1);
        seen.push([document.querySelectorAll('.request').length, Number(row.getAttribute('aria-posinset')), row.querySelector('.id').textContent]);
      }
      return seen;"""
    for elements, position, name in browser.run_module(scroll):
        check(elements < 80, f"{elements} elements for {ROWS} requests")
        check(name == f"{ROWS - position:08x}", f"position {position} shows {name}")


def techniques_listed(browser):
    browser.page("techniques", "Techniques")
    browser.until(lambda: len(browser.all("table.techniques tbody tr")) >= 10, "the registry is there")
    text = browser.find("table.techniques").text
    for word in ("chunked-prefill", "exact", "lossy", "arXiv:2403.02310"):
        check(word in text, f"{word} is not in the table")
    # A technique that a request may choose has a switch, which reaches the request.
    body = browser.run_module("""
      const {techniqueTable} = await import('/web/techniques.js'), {requestObject} = await import('/web/switches.js');
      const table = techniqueTable([{name: 'x', summary: '', class: 'exact', service: '', needs: '', paper: '', option: '', request: 'speculation.enabled'}], {});
      const select = table.querySelector('select');
      const before = requestObject() ?? null;
      select.value = 'off';
      select.dispatchEvent(new Event('change'));
      const after = requestObject();
      select.value = '';
      select.dispatchEvent(new Event('change'));
      return [before, after, requestObject() ?? null];""")
    check(body == [None, {"speculation": {"enabled": False}}, None], f"switches: {body}")


def show_recorded_run(browser):
    browser.until(lambda: len(browser.all('[aria-label="Recorded runs"] option')) == 2, "the folder's run is listed")
    browser.all('[aria-label="Recorded runs"] option')[1].click()
    browser.until(lambda: len(browser.all(".plot svg")) == 3, "three plots")


def benchmarks_plot(browser, folder):
    browser.page("benchmarks", "Benchmarks")
    show_recorded_run(browser)
    points = browser.run("return [...document.querySelectorAll('.plot path.line')].map((e) => e.getAttribute('d').split('L').length)")
    check(len(points) == 4 and min(points) > 100, f"two distributions for each endpoint: {points}")
    check("1.44x" in browser.find(".run").text, "the ratio of both")
    other = pathlib.Path(folder) / "other.txt"
    other.write_text("{}")
    browser.find("#run-file").send_keys(str(other))
    browser.until(lambda: "no endpoints" in browser.find(".shown .error").text, "what is no run is refused with a reason")
    browser.find("#run-file").send_keys(str(pathlib.Path(folder) / "run.json"))
    browser.until(lambda: len(browser.all(".plot svg")) == 3, "an uploaded run shows")


def drafted_tokens_are_marked(browser):
    shown = browser.run_module("""
      const {TokenPieces, TokenText} = await import('/web/tokens.js');
      const text = new TokenText(document.createElement('div')), pieces = new TokenPieces();
      const entry = (token, p) => ({token, logprob: Math.log(p), top_logprobs: []});
      text.append(pieces.push('ab', [entry('a', 0.95), entry('b', 0.05)], [true, false]));
      text.append(pieces.push('', [entry('x', 0.5)]));
      text.append(pieces.push('é', [entry('y', 0.2)]));
      return [...text.element.children].map((e) => [e.textContent, e.className]);""")
    check(shown == [["a", "t s0 drafted"], ["b", "t s4"], ["é", "t s3"]], f"pieces: {shown}")


def reconnects(browser, server):
    """The gateway dies; the page says so, finds the next one, and works."""
    browser.page("cluster", "Cluster")
    hello = "const {live} = await import('/web/live.js'); return live.hello?.gateway ?? null;"
    before = browser.run_module(hello)
    browser.run_module("""
      const {live} = await import('/web/live.js');
      window.said = [];
      live.on(['state'], () => window.said.push(document.getElementById('live-text').textContent));""")
    os.kill(server.pid_of("gateway", "gateway"), signal.SIGKILL)
    browser.until(lambda: browser.run_module(hello) not in (before, None), "it hears the next gateway")
    said = browser.run("return window.said")
    check(said[0].startswith("connection lost") and said[-1] == "live", f"the page said {said}")
    browser.until(lambda: len(browser.all(".card")) == 3, "and the cluster is shown again")
    browser.errors()  # of requests that found nobody
    browser.page("chat", "Chat")
    set_field(browser, "max_tokens", "8")
    say(browser, "Hello")
    browser.until(lambda: len(browser.all(".turn.assistant .costs")) == 3, "an answer from the next gateway")


def main():
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        (pathlib.Path(folder) / "run.json").write_text(json.dumps(recorded_run()))
        server = stack.enter_context(harness.cluster(
            "--kv-bytes", "256MiB", model=harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf"), prefill=1, decode=2,
            options={"dashboard": {"operations": "kill", "benchmarks": folder}}))
        browser = stack.enter_context(Browser())
        browser.scheme("light")
        browser.open(f"http://127.0.0.1:{server.port}/")
        browser.until(lambda: browser.find("#live").get_attribute("data-state") == "live", "the events come")
        pictures = Pictures(browser)
        chat_streams(browser)
        looks_right(browser, pictures, "chat")
        chat_stops(browser)
        drafted_tokens_are_marked(browser)
        keyboard_goes_through(browser)
        workers_are_told_apart(browser)
        cluster_shows_and_drains(browser)
        cluster_undrains(browser)
        router_explains(browser)
        requests_flow(browser)
        many_requests_stay_few_elements(browser)
        techniques_listed(browser)
        benchmarks_plot(browser, folder)
        every_page_looks_right(browser, pictures)
        browser.page("cluster", "Cluster")
        cluster_kills(browser)
        reconnects(browser, server)


main()
