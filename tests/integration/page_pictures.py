"""Pictures of the dashboard's pages, compared within a tolerance (page_pictures.js) with those in page_pictures/, which somebody has
looked at. After a change that is meant, TROUPE_UPDATE_GOLDEN=1 tests/integration/page_test.py writes them anew: look at them again."""
import base64
import contextlib
import os
import pathlib
import time

HERE = pathlib.Path(__file__).parent
KEPT = HERE / "page_pictures"
KEPT_BYTES = 300_000
FEED = (HERE / "page_feed.js").read_text()
COMPARE = (HERE / "page_pictures.js").read_text()
DEADLINE_S = 15  # for what moves to have come to rest
SETTLED = """
    const frame = () => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)));
    await document.fonts.ready;
    await frame();"""
# What an answer took is measured, so it differs each time: as many figures of as many letters stand there in a picture.
MASKED = """
    document.querySelectorAll('.costs').forEach((costs) => [...costs.querySelectorAll('dd')].forEach((value, i) => {
      const text = [...value.childNodes].reverse().find((node) => node.nodeType === Node.TEXT_NODE);
      text.data = ['80 ms', '600 ms', '40.0', '37 + 8', ' 50 %'][i] ?? text.data;
    }));
    document.querySelectorAll('.costs .fill').forEach((fill) => { fill.style.width = '50%'; });"""


@contextlib.contextmanager
def still(browser):
    """Meanwhile the pages show one moment of a cluster of the test's own (page_feed.js)."""
    wrong = browser.run_module(FEED)
    assert wrong is None, wrong
    try:
        yield
    finally:
        browser.run_module("""
            const {live} = await import('/web/live.js');
            live.now = () => performance.now();
            live.connect();""")


@contextlib.contextmanager
def styled(browser, rules):
    """Rules of style beside the page's own."""
    browser.run("""
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(arguments[0]);
        document.adoptedStyleSheets = [sheet];""", rules)
    try:
        yield
    finally:
        browser.run("document.adoptedStyleSheets = [];")


class Pictures:
    def __init__(self, browser):
        self.browser = browser
        self.renews = bool(os.environ.get("TROUPE_UPDATE_GOLDEN"))
        self.names = set()
        if self.renews:
            KEPT.mkdir(exist_ok=True)

    def difference(self, name, rules=""):
        """How the page, with these rules of style besides its own, differs from its picture; "" when it is as it should be."""
        return self.look(name, rules)["wrong"]

    def look(self, name, rules=""):
        file = KEPT / f"{name}.png"
        kept = base64.b64encode(file.read_bytes()).decode() if file.exists() else None
        with styled(self.browser, f"* {{ caret-color: transparent !important; }} {rules}"):
            self.browser.run_module(MASKED + SETTLED)
            taken = self.browser.driver.get_screenshot_as_base64()
        seen = self.browser.run_module(COMPARE + "return compare(args[0], args[1]);", taken, kept)
        assert "error" not in seen, seen
        return seen

    def check(self, name):
        """The page comes to look as in its picture, or the picture is renewed."""
        self.names.add(name)
        if self.renews:
            (KEPT / f"{name}.png").write_bytes(base64.b64decode(self.look(name)["small"]))
            return
        until = time.monotonic() + DEADLINE_S
        while wrong := self.difference(name):
            if time.monotonic() > until:
                self.browser.picture(f"{name}-wrong")
                raise AssertionError(f"{name} does not look as in {KEPT / name}.png: {wrong}")

    def check_all(self):
        """There is no picture of a page that is gone, and they stay small."""
        kept = {file.stem: file.stat().st_size for file in KEPT.glob("*.png")}
        assert set(kept) == self.names, f"pictures of no page: {set(kept) - self.names}"
        assert sum(kept.values()) < KEPT_BYTES, f"pictures take {sum(kept.values())} bytes"
