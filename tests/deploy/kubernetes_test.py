"""deploy/kubernetes: every overlay builds, fits the API's schemas, and agrees with itself and with the program."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from support import ROOT, TROUPE, check, load_role, metric_names, need, run, with_modules

need("kubectl")
with_modules("yaml", "kubernetes_validate")
import kubernetes_validate  # noqa: E402
import yaml  # noqa: E402

VERSION = "1.31"  # a preStop of `sleep` needs 1.30
ROLES = ("router", "prefill", "decode", "draft", "gateway")
OVERLAYS = ("small", "large", "small-keys", "large-keys", "small-draft")
USER = 10001  # of the pods


def build(overlay):
    return [d for d in yaml.safe_load_all(run("kubectl", "kustomize", str(ROOT / "deploy/kubernetes/overlays" / overlay))) if d]


def of_kind(objects, *kinds):
    return [o for o in objects if o["kind"] in kinds]


def matches(selector, labels):
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    return all(e["operator"] == "In" and labels.get(e["key"]) in e["values"] for e in selector.get("matchExpressions") or [])


class Pod:
    def __init__(self, workload):
        self.name = workload["metadata"]["name"]
        template = workload["spec"]["template"]
        self.labels, self.spec = template["metadata"]["labels"], template["spec"]
        self.main = self.spec["containers"][0]
        self.ports = {port["name"]: port["containerPort"] for port in self.main["ports"]}
        check(matches(workload["spec"]["selector"], self.labels), f"{self.name}: its selector misses its pods")


def check_pod(pod):
    spec = pod.spec
    # Variables of services are named after them, TROUPE_... among them if one were called so: the program refuses what it does not know.
    check(spec["enableServiceLinks"] is False and spec["automountServiceAccountToken"] is False, f"{pod.name} is told too much")
    check(spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", pod.name)
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        security = container["securityContext"]
        check(security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"] and security["capabilities"]["drop"] == ["ALL"],
              f"{pod.name}/{container['name']} may do too much")
        check("memory" in container["resources"]["limits"] and "requests" in container["resources"], f"{pod.name}: no limits")
        check(":" in container["image"] and not container["image"].endswith(":latest"), f"{pod.name}: {container['image']} has no version")
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        check({mount["name"] for mount in container.get("volumeMounts", [])} <= volumes, f"{pod.name} mounts what it does not have")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        how = pod.main.get(probe, {})
        for kind in ("httpGet", "tcpSocket"):
            check(kind not in how or how[kind]["port"] in pod.ports, f"{pod.name}: {probe} asks a port that is not there")
    check("readinessProbe" in pod.main and "livenessProbe" in pod.main, f"{pod.name} is not probed")


def variables(pod, configs, secret):
    found = {}
    for source in pod.main.get("envFrom", []):
        found.update(configs[source["configMapRef"]["name"]])
    for entry in pod.main.get("env", []):
        found[entry["name"]] = entry.get("value", "10.1.2.3")  # a pod's address
        if entry["name"].endswith("_PASSWORD_FILE"):
            folder = [m["mountPath"] for m in pod.main["volumeMounts"] if m["name"] == "redis"][0]
            check(entry["value"] == f"{folder}/redis_password", f"{pod.name}: {entry['value']} is not in {folder}")
            found[entry["name"]] = secret
    return found


def allowed(policies, pod, port):
    """The peers that may reach this port; None for everyone."""
    peers = []
    for policy in policies:
        if "Ingress" not in policy["spec"]["policyTypes"] or not matches(policy["spec"]["podSelector"], pod.labels):
            continue
        for rule in policy["spec"].get("ingress", []):
            if any(p["port"] == port for p in rule["ports"]):
                if "from" not in rule:
                    return None
                peers += rule["from"]
    return peers


def check_network(objects, pods):
    policies = of_kind(objects, "NetworkPolicy")
    check(any(p["spec"]["podSelector"] == {} and "ingress" not in p["spec"] and len(p["spec"]["policyTypes"]) == 2 for p in policies),
          "no policy denies what others do not allow")
    for pod in pods:
        for name, port in pod.ports.items():
            peers = allowed(policies, pod, port)
            check(peers != [], f"nobody may reach {pod.name}'s {name} port")
            check((peers is None) == (name == "http"), f"{pod.name}: its {name} port is open to {'everyone' if peers is None else peers}")
            if name in ("control", "data"):
                for other in pods:
                    inside = any(matches(p["podSelector"], other.labels) for p in peers if "podSelector" in p)
                    check(inside == (other.name in ROLES), f"{other.name} and {pod.name}'s {name} port")
                check(all("namespaceSelector" not in p for p in peers), f"{pod.name}: {name} is open to other namespaces")


def check_references(objects, pods, metrics):
    names = {(o["kind"], o["metadata"]["name"]) for o in objects}
    for service in of_kind(objects, "Service"):
        selected = [p for p in pods if matches({"matchLabels": service["spec"]["selector"]}, p.labels)]
        check(len(selected) == 1, f"service {service['metadata']['name']} selects {[p.name for p in selected]}")
        for port in service["spec"]["ports"]:
            check(port["port"] in selected[0].ports.values(), f"service {service['metadata']['name']}: nobody listens on {port['port']}")
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        check((target["kind"], target["name"]) in names, f"{target} is scaled and does not exist")
        check(scaler["spec"]["minReplicas"] <= scaler["spec"]["maxReplicas"], f"{target['name']}: fewer replicas at most than at least")
        for metric in scaler["spec"]["metrics"]:
            check(metric["pods"]["metric"]["name"] in metrics, f"no role has a metric {metric['pods']['metric']['name']}")
    for budget in of_kind(objects, "PodDisruptionBudget"):
        check(any(matches(budget["spec"]["selector"], p.labels) for p in pods), f"budget {budget['metadata']['name']} guards nobody")
    for stateful in of_kind(objects, "StatefulSet"):
        check(("Service", stateful["spec"]["serviceName"]) in names, "a StatefulSet without its service")


def check_keys_mount(pod, configs):
    """The keys are where the role looks for them, cannot be written, are closed to others, and nobody else has them."""
    path = variables(pod, configs, "").get("TROUPE_SECURITY_KEYS")
    volumes = [v for v in pod.spec.get("volumes", []) if v.get("secret", {}).get("secretName") == "cluster-keys"]
    check(len(volumes) == (path is not None), f"{pod.name}: {volumes} for keys at {path}")
    if path is None:
        return
    check(volumes[0]["secret"]["defaultMode"] == 0o440, f"{pod.name}: its keys have the mode {volumes[0]['secret']['defaultMode']:o}")
    check(pod.spec["securityContext"]["fsGroup"] == pod.spec["securityContext"]["runAsGroup"] == USER, f"{pod.name}: its keys are another group's")
    mounts = {c["name"]: m for c in [*pod.spec.get("initContainers", []), *pod.spec["containers"]]
              for m in c.get("volumeMounts", []) if m["name"] == volumes[0]["name"]}
    check(list(mounts) == [pod.name], f"{pod.name}: its keys are mounted in {list(mounts)}")
    check(mounts[pod.name]["mountPath"] == path and mounts[pod.name]["readOnly"] is True, f"{pod.name}: {mounts}")


def check_keys_secret(folder):
    """What `troupe keys make` writes fits into a Secret, and is taken by the pods' user from a volume made of it."""
    run(TROUPE, "keys", "make", f"{folder}/keys")
    files = {path.name: path.read_bytes() for path in pathlib.Path(folder, "keys").iterdir()}
    check("current" in files and all(re.fullmatch(r"[-._a-zA-Z0-9]+", name) for name in files), f"no keys of a Secret: {list(files)}")
    check(sum(map(len, files.values())) < 1 << 20, "a Secret holds a MiB at most")
    if os.geteuid() != 0:
        return
    os.chmod(folder, 0o711)
    troupe = shutil.copy(TROUPE, folder)  # where that user reaches it
    volume = pathlib.Path(folder, "volume")  # as a node lays it out: links into a folder that is replaced as a whole
    data = volume / "..2026_01_01"
    data.mkdir(parents=True)
    (volume / "..data").symlink_to(data.name)
    for name, content in files.items():
        (data / name).write_bytes(content)
        (volume / name).symlink_to(f"..data/{name}")
    for path in (volume, data, *data.iterdir()):
        os.chown(path, 0, USER)
        os.chmod(path, 0o2750 if path.is_dir() else 0o440)
    shown = subprocess.run([troupe, "keys", "show", str(volume)], capture_output=True, text=True, user=USER, group=USER, extra_groups=[])
    check(shown.returncode == 0 and "in use" in shown.stdout, f"the pods' user cannot take the keys: {shown.stderr}")


def check_overlay(overlay, metrics, secret):
    objects = build(overlay)
    for thing in objects:
        kubernetes_validate.validate(thing, VERSION, strict=True)
        check(thing["kind"] == "Namespace" or thing["metadata"]["namespace"] == "troupe", f"{thing['metadata']['name']}: no namespace")
    workloads = of_kind(objects, "Deployment", "StatefulSet")
    pods = [Pod(workload) for workload in workloads]
    configs = {o["metadata"]["name"]: o["data"] for o in of_kind(objects, "ConfigMap")}
    for pod in pods:
        check_pod(pod)
        if pod.name in ROLES:
            check(pod.main["args"] == [pod.name], f"{pod.name} runs {pod.main['args']}")
            text = load_role(pod.name, {"TROUPE_METRICS_PORT": "9400", **variables(pod, configs, secret)})
            check("hunter2" not in text, "the configuration shows a secret")
            keyed = re.search(r'^ +keys: "(.*?)"', text, re.M).group(1)
            check((keyed != "") == overlay.endswith("-keys"), f"{overlay}: {pod.name} has keys at '{keyed}'")
            check(f"insecure: {str(keyed == '').lower()}" in text, f"{overlay}: {pod.name} does without keys")
        check_keys_mount(pod, configs)
        if pod.name == "decode":
            service = re.search(r'^ +service: (.*)$', text, re.M).group(1)
            check(("draft:7400" in service) == any(p.name == "draft" for p in pods), f"{overlay}: decode is drafted for by {service}")
    check_network(objects, pods)
    check_references(objects, pods, metrics)
    routers = [w for w in workloads if w["metadata"]["name"] == "router"][0]
    named = [c["TROUPE_CLUSTER_ROUTER"] for c in configs.values()][0].split(",")
    check(named == [f"router-{i}.router:7400" for i in range(routers["spec"]["replicas"])], f"routers are named {named}")
    return {(o["kind"], o["metadata"]["name"]) for o in objects}


def main():
    metrics = metric_names()
    with tempfile.NamedTemporaryFile("w", suffix=".secret") as secret:
        secret.write("hunter2\n")
        secret.flush()
        made = {overlay: check_overlay(overlay, metrics, secret.name) for overlay in OVERLAYS}
    check({path.name for path in (ROOT / "deploy/kubernetes/overlays").iterdir()} == set(made), "an overlay is not tested")
    for kind, name in (("HorizontalPodAutoscaler", "decode"), ("PodDisruptionBudget", "gateway"), ("Deployment", "prefill")):
        for keys in ("", "-keys"):
            check((kind, name) in made[f"large{keys}"] and (kind, name) not in made[f"small{keys}"], f"{kind} {name} belongs to large alone")
    with tempfile.TemporaryDirectory() as folder:
        check_keys_secret(folder)


main()
