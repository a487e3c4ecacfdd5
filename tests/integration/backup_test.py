"""`troupe backup` and `troupe restore` of a deployment with keys and a certificate: `tar` reads it, another machine gets it back and
serves with it, and what is damaged puts nothing anywhere."""
import json
import os
import pathlib
import sqlite3
import ssl
import subprocess
import sys
import tarfile
import tempfile
import urllib.request

import harness
from harness import check

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
from chaos import tiny_model  # noqa: E402


def troupe(*words, code=0):
    done = subprocess.run([str(harness.TROUPE), *map(str, words)], capture_output=True, text=True, timeout=60,
                          env=harness.clean_environment(), check=False)
    check(done.returncode == code, f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def secrets_of(keys):
    return [line for path in keys.glob("*.key") for line in path.read_text().splitlines()[1:-1]] + \
           [line for path in keys.glob("*.curve") for line in path.read_text().split()]


FORM = (b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhello\r\n--b--\r\n')


def check_batches(folder, machine, config, url, context):
    """Files of the API are in a backup that is made while their gateway writes."""
    request = urllib.request.Request(f"{url}/v1/files", FORM, {"content-type": "multipart/form-data; boundary=b"})
    with urllib.request.urlopen(request, context=context, timeout=30) as answer:
        file = json.load(answer)
    saved, third = pathlib.Path(folder, "with-batches.tar"), pathlib.Path(folder, "third")
    third.mkdir()
    said = troupe("backup", "--config", config, "--to", saved) + troupe("restore", "--from", saved, "--root", third)
    restored = third / str(machine / "batches").lstrip("/")
    check((restored / "files" / file["id"]).read_bytes() == b"hello", "the file's content came back")
    database = sqlite3.connect(restored / "batches.sqlite")
    check(database.execute("SELECT id, name FROM files").fetchall() == [(file["id"], "f")], "the database came back")
    database.close()
    without = pathlib.Path(folder, "without.tar")
    troupe("backup", "--config", config, "--without-batches", "--to", without)
    with tarfile.open(without) as archive:
        check(not any("batches" in name for name in archive.getnames()), archive.getnames())
    return said


def main():
    with tempfile.TemporaryDirectory() as folder:
        machine, other = pathlib.Path(folder, "machine"), pathlib.Path(folder, "other")
        machine.mkdir()
        other.mkdir()
        keys, config, saved = machine / "keys", machine / "troupe.yaml", pathlib.Path(folder, "saved.tar")
        troupe("keys", "make", keys)
        model = tiny_model(folder, 5)
        port, probe = harness.free_port(), harness.free_port()
        config.write_text(json.dumps({
            "model": [model], "security": {"keys": str(keys)}, "metrics": {"port": probe}, "engine": {"threads": 1},
            "kv": {"bytes": "32MiB"}, "gateway": {"batch": {"path": str(machine / "batches")}}, "http": {"port": port, "tls": {"certificate": str(keys / "1.node.pem"), "key": str(keys / "1.node.key")}}}))
        said = troupe("backup", "--config", config, "--to", saved)
        check(oct(saved.stat().st_mode & 0o777) == "0o600", "the backup is closed to others")
        check(str(keys / "1.curve") in said and model in said, said)

        with tarfile.open(saved) as archive:  # anybody's tar
            names = archive.getnames()
            manifest = json.load(archive.extractfile("MANIFEST.json"))
        check(any(name.endswith("troupe.yaml") for name in names) and manifest["models"][0]["bytes"] == os.path.getsize(model), names)
        check(not any("gguf" in name for name in names), "weights are not in it")

        damaged = bytearray(saved.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        bad = pathlib.Path(folder, "bad.tar")
        bad.write_bytes(damaged)
        bad.chmod(0o600)
        said += troupe("restore", "--from", bad, "--root", other, code=2)
        check(not any(other.iterdir()), "a damaged backup writes nothing")
        said += troupe("restore", "--from", saved, "--root", other)
        restored = other / str(machine).lstrip("/")
        for path in sorted(keys.iterdir()):
            there = restored / "keys" / path.name
            check(there.read_bytes() == path.read_bytes() and there.stat().st_mode == path.stat().st_mode, f"{path.name} came back")
        check(troupe("keys", "show", restored / "keys") == troupe("keys", "show", keys), "the keys are the same")

        # Lost, and put back where it was: it serves again.
        authority = (keys / "1.ca.pem").read_text()
        secret = secrets_of(keys)
        subprocess.run(["rm", "-r", str(machine)], check=True)
        said += troupe("restore", "--from", saved)
        check(f"model {pathlib.Path(model).stem} is there" in said, said)
        with harness.Server(["serve", "--config", str(config)], probe) as server:
            context = ssl.create_default_context(cadata=authority)
            with urllib.request.urlopen(f"https://localhost:{port}/v1/models", context=context, timeout=30) as answer:
                check(json.load(answer)["data"], "it answers")
            said += check_batches(folder, machine, config, f"https://localhost:{port}", context)
            check(server.stop() == 0, "it ends with 0")
        check(len(secret) >= 9 and not any(line in said for line in secret), "no key is printed")


main()
