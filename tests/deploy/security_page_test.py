"""deploy/SECURITY.md names tests, files, options and metrics that exist."""
import re

from support import ROOT, check, load_role, metric_names


def main():
    text = (ROOT / "deploy/SECURITY.md").read_text()
    stems = {path.stem for path in (ROOT / "tests").rglob("*") if path.suffix in (".cpp", ".py")}
    named = set(re.findall(r"`(\w+_(?:test|fuzz))`", text))
    check(len(named) > 20 and named <= stems, f"no such tests: {named - stems}")
    for path in set(re.findall(r"`((?:tests|deploy|common|docker|services)/[\w./-]+)`", text)):
        check((ROOT / path).exists(), f"no such file: {path}")
    options = {line.strip().split(":")[0] for role in ("gateway", "decode", "router") for line in load_role(role, {}).splitlines()}
    for option in set(re.findall(r"`((?:http|security|cluster|kv_events|metrics|dashboard)\.[\w.]+)`", text)):
        check(option.split(".", 1)[1] in options, f"no such option: {option}")
    for metric in set(re.findall(r"`(troupe_\w+)", text)):
        check(metric in metric_names() or metric.endswith("_"), f"no such metric: {metric}")


main()
