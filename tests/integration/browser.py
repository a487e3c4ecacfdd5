"""A headless Chromium of the test's own, and what it is asked about a page."""
import contextlib
import os
import pathlib
import shutil
import tempfile

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

DEADLINE_S = 60
FONTS = "/usr/share/fonts/truetype/dejavu"
# The same letters on every machine, whatever else is installed there.
FONT_CONFIG = f"""<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
  <dir>{FONTS}</dir><cachedir>%s/fonts</cachedir>
  <selectfont><rejectfont><glob>*</glob></rejectfont><acceptfont>
    {"".join(f"<glob>{FONTS}/{name}.ttf</glob>" for name in ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSansMono-Bold"))}
  </acceptfont></selectfont>
  <match target="font"><edit name="hinting" mode="assign"><bool>false</bool></edit><edit name="rgba" mode="assign"><const>none</const></edit></match>
</fontconfig>"""
ACCESSIBILITY = pathlib.Path(__file__).with_name("page_accessibility.js").read_text()


class Browser:
    """Ends with its process and profile at close()."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="troupe-browser-")
        fonts = pathlib.Path(self.profile, "fonts.conf")
        fonts.write_text(FONT_CONFIG % self.profile)
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars",
                     "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
                     "--force-color-profile=srgb", "--font-render-hinting=none", "--disable-lcd-text", "--window-size=1280,900",
                     f"--user-data-dir={self.profile}"):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"),
                                          env={**os.environ, "FONTCONFIG_FILE": str(fonts)})
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_script_timeout(DEADLINE_S)
        self.metrics(1280, 900)
        self.pictures = os.environ.get("TROUPE_SCREENSHOTS")

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def open(self, url):
        self.driver.get(url)

    def page(self, name, title):
        """Follows the link to a page as a user does."""
        self.find(f'.tabs a[href="#/{name}"]').click()
        self.until(lambda: self.find("main h1").text == title, f"the page {name} shows")

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def run_module(self, script, *arguments):
        """`script` may await, and finds its arguments in `args`; what it returns comes back, null for nothing."""
        return self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1], args = arguments;"
            f"(async () => {{ {script}\n }})().then((value) => done(value ?? null), (error) => done({{error: String(error)}}));",
            *arguments)

    def until(self, condition, what, deadline_s=DEADLINE_S):
        def holds(_):
            with contextlib.suppress(Exception):  # an element that has just been drawn anew
                return condition()
            return False
        WebDriverWait(self.driver, deadline_s, poll_frequency=0.1).until(holds, f"never became true: {what}")

    def metrics(self, width, height, mobile=False):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile})

    def scheme(self, name):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                    {"features": [{"name": "prefers-color-scheme", "value": name},
                                                  {"name": "prefers-reduced-motion", "value": "reduce"}]})

    def accessibility(self):
        """What is wrong with the page, as sentences."""
        return self.run(ACCESSIBILITY + "\nreturn check();")

    def picture(self, name):
        if self.pictures:
            os.makedirs(self.pictures, exist_ok=True)
            self.driver.save_screenshot(os.path.join(self.pictures, f"{name}.png"))

    def errors(self):
        """What the browser complained of since it was last asked: scripts that failed, things the policy refused."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
