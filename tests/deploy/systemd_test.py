"""deploy/systemd: systemd itself finds nothing wrong, units may do little, and the program takes what they tell it."""
import configparser
import pathlib
import re
import tempfile

from support import ROOT, TROUPE, check, load_role, need, run

need("systemd-analyze")
MOST_EXPOSURE = 2.0  # systemd-analyze security: 0 is a unit that may do nothing, 10 one that may do everything
ROLES = {"troupe": "serve", "troupe-router": "router", "troupe-prefill": "prefill", "troupe-decode": "decode", "troupe-draft": "draft",
         "troupe-gateway": "gateway"}


def read(path):
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read(path)
    return unit


def main():
    units = sorted((ROOT / "deploy/systemd").glob("*.service"))
    check({u.stem for u in units} == {*ROLES, "troupe-models"}, f"units: {[u.stem for u in units]}")
    with tempfile.TemporaryDirectory() as folder:
        copies = []
        for unit in units:  # the program is not installed here: the one built takes its place
            copies.append(str(pathlib.Path(folder) / unit.name))
            pathlib.Path(copies[-1]).write_text(unit.read_text().replace("/usr/bin/troupe", TROUPE))
        said = run("systemd-analyze", "verify", "--man=no", *copies)
        check(said.strip() == "", said)
        for copy in copies:
            report = run("systemd-analyze", "security", "--offline=true", "--no-pager", copy)
            exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", report).group(1))
            check(exposure <= MOST_EXPOSURE, f"{copy}: exposure {exposure}\n{report}")
    for name, role in ROLES.items():
        path = ROOT / "deploy/systemd" / f"{name}.service"
        unit = read(path)
        check(unit["Service"]["ExecStart"] == f"/usr/bin/troupe {role}", f"{name} starts {unit['Service']['ExecStart']}")
        check(unit["Service"]["ExecReload"] == "/bin/kill -HUP $MAINPID", f"{name} reloads by {unit['Service']['ExecReload']}")
        check(unit["Service"]["Type"] == "notify" and unit["Service"]["RestartPreventExitStatus"] == "2", name)
        told = dict(re.findall(r"^Environment=(TROUPE_\w+)=(\S+)$", path.read_text(), re.M))
        check(told.pop("TROUPE_CONFIG") == "/etc/troupe/troupe.yaml", f"{name} reads another file")
        text = load_role(role, told, ROOT / "deploy/systemd/troupe.yaml")
        check("from environment TROUPE_MODELS" in text and "/troupe.yaml:" in text, text)
    # The lines that are commented out are an example that must hold too.
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as cluster:
        text = (ROOT / "deploy/systemd/troupe.yaml").read_text()
        example = re.sub(r"^# (security|cluster|  \w+|metrics):", r"\1:", text, flags=re.M)
        check(example.count("#") == text.count("#") - 6, "troupe.yaml: its example has other lines than this test thinks")
        cluster.write(example)
        cluster.flush()
        check("router.example:7400" in load_role("decode", {}, cluster.name), "the example names no router")
        check('keys: "/etc/troupe/keys"' in load_role("decode", {}, cluster.name), "the example names no keys")


main()
