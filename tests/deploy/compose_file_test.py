"""deploy/compose.yaml without an engine: what it promises of every service, and that the program takes what it is told."""
import json
import os
import re
import tempfile

from support import ROOT, check, load_role, with_modules

with_modules("yaml")
import yaml  # noqa: E402

ROLES = ("router", "gateway", "prefill", "decode", "draft")
PROFILES = {"small", "full", "draft", "dashboards"}
ONE_SHOT = {"models", "draft-models"}
TOP_LEVEL = {"services", "networks", "volumes", "secrets"}  # what both 1.29 and v2 know, but for a version, which v2 complains of


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
    check(service["ulimits"] == {"core": 0}, f"{name} may leave a core dump")
    check(service["logging"]["options"]["max-size"], f"{name}: its log grows without end")
    check(set(service["profiles"]) <= PROFILES and {"full", "draft", "dashboards"} & set(service["profiles"]), f"{name}: profiles {service['profiles']}")
    check(re.search(r":(?!latest)[\w.]+$", service["image"]), f"{name}: its image has no version")
    check(name in ONE_SHOT or service["restart"] == "unless-stopped", f"{name} is not started again")
    check(name in ONE_SHOT or "healthcheck" in service, f"{name} has no health check")
    for other, how in service.get("depends_on", {}).items():
        wanted = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
        check(how["condition"] == wanted, f"{name} waits for {other} to be {how['condition']}")
        missing = set(service["profiles"]) - set(file["services"][other]["profiles"])
        check(not missing, f"{name} waits for {other}, which is not in {missing}")
    for port in service.get("ports", []):
        check(port.startswith("127.0.0.1:"), f"{name}: {port} is published beyond this machine")


def check_for_v2(file):
    """What v2 refuses and 1.29 may overlook: names that are defined nowhere, durations without a unit, a name for what is scaled."""
    for key in file:
        check(key in TOP_LEVEL or key.startswith("x-"), f"the file has {key}")
    for name, service in file["services"].items():
        check("container_name" not in service, f"{name}: containers that are scaled cannot share a name")
        for kind in ("networks", "secrets"):
            check(set(service.get(kind, [])) <= set(file[kind]), f"{name}: {kind} that are not defined")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            check(source in file["volumes"] or (ROOT / "deploy" / source).exists(), f"{name}: there is no volume or file {source}")
        probe = service.get("healthcheck", {})
        times = [probe[key] for key in ("interval", "timeout", "start_period") if key in probe] + [service.get("stop_grace_period", "1s")]
        check(all(re.fullmatch(r"(\d+(us|ms|s|m|h))+", time) for time in times), f"{name}: durations {times}")


def check_grafana(service, file):
    """It finds its dashboards and its data source, its password is a secret, and it needs nobody outside."""
    told = service["environment"]
    mounts = dict(volume.split(":")[1::-1] for volume in service["volumes"])  # path in the container: path here
    provisioning = ROOT / "deploy" / mounts["/etc/grafana/provisioning"]
    provider, = yaml.safe_load((provisioning / "dashboards/troupe.yml").read_text())["providers"]
    dashboards = ROOT / "deploy" / mounts[provider["options"]["path"]]
    uids = {json.loads(path.read_text())["uid"] for path in dashboards.glob("*.json")}
    check(len(uids) >= 4, f"Grafana is given the dashboards {uids}")
    home = told["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    check((dashboards / home.removeprefix(provider["options"]["path"] + "/")).exists(), f"there is no {home}")
    source, = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"]
    host, port = re.fullmatch(r"http://(\w+):(\d+)", told[source["url"].strip("${}")]).groups()
    prometheus = file["services"][host]
    check(set(prometheus["networks"]) & set(service["networks"]), f"Grafana does not reach {host}")
    check(any(published.endswith(f":{port}") for published in prometheus["ports"]), f"{host} does not listen on {port}")
    check(set(service["profiles"]) <= set(prometheus["profiles"]), "Grafana without its Prometheus")
    check(told["GF_SECURITY_ADMIN_PASSWORD__FILE"] in [f"/run/secrets/{name}" for name in service["secrets"]], "its password is no secret")
    check("GF_SECURITY_ADMIN_PASSWORD" not in told, "its password is in the file")
    for setting in ("ANALYTICS_REPORTING_ENABLED", "ANALYTICS_CHECK_FOR_UPDATES", "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "NEWS_NEWS_FEED_ENABLED"):
        check(told[f"GF_{setting}"] == "false", f"Grafana asks others: {setting}")
    check(told["GF_PLUGINS_PREINSTALL_DISABLED"] == "true", "Grafana fetches plugins")
    check("cluster" not in service["networks"], "Grafana reaches cluster ports")
    check({path.split(":")[0] for path in service["tmpfs"]} >= {"/var/lib/grafana", "/tmp"}, "Grafana has nowhere to write")


def check_gpu():
    """Workers, and nobody else, get GPUs and the image of docker/cuda.Dockerfile, which stops where there is no CUDA backend."""
    services = yaml.safe_load((ROOT / "deploy/compose.gpu.yaml").read_text())["services"]
    check(set(services) == {"prefill", "decode"}, f"GPUs are for {list(services)}")
    recipe = (ROOT / "docker/cuda.Dockerfile").read_text()
    for name, service in services.items():
        device, = service["deploy"]["resources"]["reservations"]["devices"]
        check(device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}, f"{name}: {device}")
        check(f"-t {service['image'].split(':')[0]}:" in recipe, f"{name}: {service['image']} is another image")
    for line in ("-DTROUPE_CUDA=ON", "grep -q '^TROUPE_CUDA:BOOL=ON'", "FROM troupe:${TAG}"):
        check(line in recipe, f"docker/cuda.Dockerfile has no {line}")


def check_env_file(file):
    """What deploy/.env says is asked for, and operations from the dashboard are its choice alone."""
    text = (ROOT / "deploy/compose.yaml").read_text()
    said = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / "deploy/.env").read_text(), re.M))
    for name, value in said.items():
        check(name.startswith("COMPOSE_") or f"${{{name}:-" in text, f"deploy/.env: nobody asks for {name}")
    check(set(said["COMPOSE_PROFILES"].split(",")) <= PROFILES, said["COMPOSE_PROFILES"])
    check(file["services"]["gateway"]["environment"]["TROUPE_DASHBOARD_OPERATIONS"] == "none", "the dashboard may do things unasked")
    check(said["TROUPE_BIND"] == "127.0.0.1", "what may drain is open to others")


def main():
    global secret
    with tempfile.NamedTemporaryFile("w", suffix=".secret") as secret:
        secret.write("hunter2\n")
        secret.flush()
        file = interpolate(yaml.safe_load((ROOT / "deploy/compose.yaml").read_text()))
        for name, service in file["services"].items():
            check_service(name, service, file)
        check_for_v2(file)
        check_grafana(file["services"]["grafana"], file)
        check_env_file(file)
        check_gpu()
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
        for role in ("router", "prefill", "decode", "draft", "redis"):
            check(file["services"][role]["networks"] == ["cluster"], f"{role} is on other networks too")
        ignored = (ROOT / ".dockerignore").read_text().split()
        check({"deploy/secrets", "deploy/keys", ".git"} <= set(ignored), "secrets are sent to whoever builds the image")
        dockerfile = (ROOT / "docker/Dockerfile").read_text()
        for line in ("TROUPE_METRICS_PORT=9400", "USER 10001:10001", "FROM scratch AS runtime"):
            check(line in dockerfile, f"docker/Dockerfile has no {line}")
        for program in ("build-images", "make-base-image", "make-secrets", "cluster-keys", "fill-models", "roll", "status"):
            check(os.access(ROOT / "deploy" / program, os.X_OK), f"deploy/{program} is no program")


main()
