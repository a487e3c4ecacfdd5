"""deploy/SECURITY.md and deploy/UPGRADE.md name tests, files, options, metrics and commands that exist."""
import re

from support import ROOT, TROUPE, check, load_role, metric_names, run


def check_page(name, least_tests):
    text = (ROOT / "deploy" / name).read_text()
    stems = {path.stem for path in (ROOT / "tests").rglob("*") if path.suffix in (".cpp", ".py")}
    named = set(re.findall(r"`(\w+_(?:test|fuzz))`", text))
    check(len(named) >= least_tests and named <= stems, f"no such tests: {named - stems}")
    for path in set(re.findall(r"`((?:tests|deploy|common|docker|services)/[\w./-]+)`", text)):
        check((ROOT / path).exists(), f"no such file: {path}")
    options = {line.strip().split(":")[0] for role in ("gateway", "decode", "router") for line in load_role(role, {}).splitlines()}
    for option in set(re.findall(r"`((?:http|security|cluster|kv_events|metrics|dashboard|drain|request|gateway|admin)\.[\w.]+)`", text)):
        check(option.split(".", 1)[1] in options, f"no such option: {option}")
    for metric in set(re.findall(r"`(troupe_\w+)", text)):
        check(metric in metric_names() or metric.endswith("_"), f"no such metric: {metric}")
    known = run(TROUPE, "help")
    for command in set(re.findall(r"^(?:    |[^`]*`)(?:sudo )?troupe (\w+)", text, re.M)):
        check(re.search(rf"^  {command}\b", known, re.M), f"no such command: troupe {command}")


def main():
    check_page("SECURITY.md", 20)
    check_page("UPGRADE.md", 0)


main()
