"""/docs in a real Chromium: docs_page_check.py URL. Shows every operation of the document, is accessible, light and dark."""
import json
import sys
import urllib.request

from browser import ACCESSIBILITY, Browser
from harness import check

HEADINGS = """const levels = [...document.querySelectorAll("h1, h2, h3")].filter(visible).map((e) => Number(e.tagName[1]));
return levels.filter((level, i) => level > (i === 0 ? 1 : levels[i - 1] + 1)).length;"""


def wrong_with(browser):
    return browser.run(ACCESSIBILITY + "\nreturn [...names(), ...contrast()];") or browser.run(ACCESSIBILITY + HEADINGS)


def main():
    url = sys.argv[1]
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=30) as answer:
        document = json.load(answer)
    operations = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    with Browser() as browser:
        browser.scheme("light")
        browser.open(f"{url}/docs#post_v1_chat_completions")
        browser.until(lambda: browser.all(".operation"), "the operations show")
        shown = browser.run("return [...document.querySelectorAll('.operation')].map((e) => e.id)")
        check(sorted(shown) == sorted(operations), "the page shows other operations than the document has")
        browser.until(lambda: browser.all("#post_v1_chat_completions .fields"), "the operation that was linked to is open")
        fields = document["components"]["schemas"]["ChatRequest"]["properties"]
        text = browser.find("#post_v1_chat_completions").text
        missing = [name for name in fields if name not in text]
        check(not missing, f"fields that do not show: {missing}")
        browser.run("document.querySelectorAll('#post_v1_chat_completions details').forEach((e) => { e.open = true; })")
        browser.until(lambda: "missing_required_parameter" in browser.find("#post_v1_chat_completions").text, "error codes show")
        for scheme in ("light", "dark"):
            browser.scheme(scheme)
            check(not (wrong := wrong_with(browser)), f"{scheme}: {wrong}")
            browser.picture(f"docs-{scheme}")
        browser.find(".find input").send_keys("tokenize")
        browser.until(lambda: len([e for e in browser.all(".operation") if e.is_displayed()]) == 2, "the list is filtered")
        browser.metrics(360, 740, mobile=True)
        wide = browser.run("return document.documentElement.scrollWidth")
        check(wide <= 360, f"the page is {wide} pixels wide on a phone of 360")
        browser.picture("docs-phone")
        loaded = browser.run("return performance.getEntriesByType('resource').map((e) => e.name)")
        check(all(name == f"{url}/openapi.json" for name in loaded), f"the page loads more than the document: {loaded}")
        check(not (said := browser.errors()), f"the browser complains: {said}")


main()
