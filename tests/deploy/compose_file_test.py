"""deploy/compose.yaml without an engine: what it promises of every service, and that the program takes what it is told."""
import os
import re
import tempfile

from support import ROOT, check, load_role, with_modules

with_modules("yaml")
import yaml  # noqa: E402

ROLES = ("router", "gateway", "prefill", "decode")


def interpolate(value):
    """${NAME:-default} to its default, as with an empty environment."""
    if isinstance(value, dict):
        return {key: interpolate(item) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item) for item in value]
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", value) if isinstance(value, str) else value


def variables(service):
    """With the secret's file somewhere it can be read here."""
    found = {k: v for k, v in service.get("environment", {}).items() if k.startswith("TROUPE_")}
    for key in found:
        if key.endswith("_PASSWORD_FILE"):
            check(found[key] in [f"/run/secrets/{name}" for name in service["secrets"]], f"{key}: {found[key]} is no secret of the service")
            found[key] = secret.name
    return found


def check_service(name, service, file):
    check(service["read_only"] and service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"],
          f"{name}: its container may do too much")
    check("mem_limit" in service and "pids_limit" in service, f"{name} has no limits")
    check(service["logging"]["options"]["max-size"], f"{name}: its log grows without end")
    check(set(service["profiles"]) <= {"small", "full"} and "full" in service["profiles"], f"{name}: profiles {service['profiles']}")
    check(re.search(r":(?!latest)[\w.]+$", service["image"]), f"{name}: its image has no version")
    check(name == "models" or service["restart"] == "unless-stopped", f"{name} is not started again")
    check(name == "models" or "healthcheck" in service, f"{name} has no health check")
    for other, how in service.get("depends_on", {}).items():
        wanted = "service_completed_successfully" if other == "models" else "service_healthy"
        check(how["condition"] == wanted, f"{name} waits for {other} to be {how['condition']}")
        missing = set(service["profiles"]) - set(file["services"][other]["profiles"])
        check(not missing, f"{name} waits for {other}, which is not in {missing}")
    for port in service.get("ports", []):
        check(port.startswith("127.0.0.1:"), f"{name}: {port} is published beyond this machine")


def main():
    global secret
    with tempfile.NamedTemporaryFile("w", suffix=".secret") as secret:
        secret.write("hunter2\n")
        secret.flush()
        file = interpolate(yaml.safe_load((ROOT / "deploy/compose.yaml").read_text()))
        for name, service in file["services"].items():
            check_service(name, service, file)
        for role in ROLES:
            service = file["services"][role]
            check(service["command"] == [role] and service["healthcheck"]["test"][:4] == ["CMD", "/usr/bin/troupe", "health", role],
                  f"{role}: its command or probe is another's")
            image = {"TROUPE_HTTP_HOST": "0.0.0.0", "TROUPE_METRICS_HOST": "0.0.0.0", "TROUPE_METRICS_PORT": "9400"}
            text = load_role(role, {**image, **variables(service)})
            check("hunter2" not in text, "the configuration shows a secret")
        keyed = yaml.safe_load((ROOT / "deploy/compose.keys.yaml").read_text())
        for role in ROLES:
            added = keyed["services"][role]
            mount = added["environment"]["TROUPE_SECURITY_KEYS"]
            check(any(volume.endswith(f":{mount}:ro") for volume in added["volumes"]), f"{role}: its keys are not mounted, or can be written")
            text = load_role(role, {**variables(file["services"][role]), **added["environment"]})
            check(f"keys: \"{mount}\"" in text and "insecure: false" in text, f"{role} has no keys or does without")
        check(file["networks"]["cluster"]["internal"], "the cluster's network has a way out")
        for role in ("router", "prefill", "decode", "redis"):
            check(file["services"][role]["networks"] == ["cluster"], f"{role} is on other networks too")
        dockerfile = (ROOT / "docker/Dockerfile").read_text()
        for line in ("TROUPE_METRICS_PORT=9400", "USER 10001:10001", "FROM scratch AS runtime"):
            check(line in dockerfile, f"docker/Dockerfile has no {line}")
        for program in ("build-images", "make-base-image", "make-secrets", "roll"):
            check(os.access(ROOT / "deploy" / program, os.X_OK), f"deploy/{program} is no program")


main()
