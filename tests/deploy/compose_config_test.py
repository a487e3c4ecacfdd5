"""The Compose programs that are here read deploy/compose.yaml, alone and with the files that go beside it, and understand them as they are meant."""
import itertools
import os
import shutil
import subprocess

from support import ROOT, check, run, skip, with_modules

with_modules("yaml")
import yaml  # noqa: E402

BESIDE = ("keys", "gpu")
ROLES = ("router", "gateway", "prefill", "decode", "draft")


def clients():
    """v2 and 1.29, where they are installed."""
    found = []
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        found.append(["docker", "compose"])
    if shutil.which("docker-compose"):
        found.append(["docker-compose"])
    return found


def understood(client, beside, **variables):
    """What this client makes of the files: everything merged and interpolated."""
    files = [ROOT / "deploy/compose.yaml", *(ROOT / f"deploy/compose.{name}.yaml" for name in beside)]
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "COMPOSE_PROFILES": "full,draft,dashboards", **variables}
    return yaml.safe_load(run(*client, *[word for file in files for word in ("-f", str(file))], "config", env=env))


def variables_of(service):
    """Compose prints them as a mapping, or as a list."""
    told = service.get("environment", {})
    return told if isinstance(told, dict) else dict(entry.split("=", 1) for entry in told)


def targets(service):
    return {v["target"] if isinstance(v, dict) else v.split(":")[1] for v in service.get("volumes", [])}


def check_merged(client, beside):
    where = f"{' '.join(client)} with {beside}"
    services = understood(client, beside)["services"]
    check({*ROLES, "models", "redis", "prometheus", "grafana"} <= set(services), f"{where}: {list(services)}")
    for role in ROLES:
        told = variables_of(services[role])
        keyed = told.get("TROUPE_SECURITY_KEYS")
        check(told["TROUPE_LOG_JSON"] == "true" and "/models" in targets(services[role]), f"{where}: {role} lost what it had")
        check((keyed is not None) == ("keys" in beside), f"{where}: {role} has keys at {keyed}")
        check(keyed is None or keyed in targets(services[role]) and told["TROUPE_INSECURE"] == "false", f"{where}: {role}'s keys")
        devices = services[role].get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        worker = "gpu" in beside and role in ("prefill", "decode")
        check([d["capabilities"] for d in devices] == ([["gpu"]] if worker else []), f"{where}: {role} has the devices {devices}")
        check(services[role]["image"].startswith("troupe-cuda:" if worker else "troupe:"), f"{where}: {role} is {services[role]['image']}")


def main():
    found = clients()
    if not found:
        skip("neither docker compose nor docker-compose is installed")
    for client in found:
        for count in range(len(BESIDE) + 1):
            for beside in itertools.combinations(BESIDE, count):
                check_merged(client, beside)
        gateway = understood(client, (), TROUPE_TAG="7.8.9")["services"]["gateway"]
        check(gateway["image"] == "troupe:7.8.9", f"another tag gives {gateway['image']}")
        check(variables_of(gateway)["TROUPE_DASHBOARD_OPERATIONS"] == "drain", "deploy/.env is not read")


main()
