"""The HTTP API over TLS: completions and streams through Python's own client, a wrong authority and plain HTTP refused, a changed
certificate taken while connections go on, and no key in a log or an answer."""
import http.client
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile

import harness
from harness import check, eventually, metric

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
from chaos import tiny_model  # noqa: E402


def make_keys(folder):
    subprocess.run([harness.TROUPE, "keys", "make", folder], check=True, stdout=subprocess.DEVNULL)
    return pathlib.Path(folder)


def put(keys, certificate, key):
    """As a renewal does it: whole files, one after the other."""
    for source, target in ((keys / "1.node.pem", certificate), (keys / "1.node.key", key)):
        shutil.copyfile(source, target + ".new")
        os.chmod(target + ".new", 0o600)
        os.replace(target + ".new", target)


def connect(port, authority):
    return http.client.HTTPSConnection("localhost", port, timeout=60, context=ssl.create_default_context(cafile=authority))


def ask(connection, method, path, body=None):
    connection.request(method, path, None if body is None else json.dumps(body), {"content-type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read().decode()


def certificate_of(connection):
    return ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(binary_form=True))


def refusal(port, authority):
    try:
        ask(connect(port, authority), "GET", "/v1/models")
    except ssl.SSLError as error:
        return type(error).__name__
    raise AssertionError("a client took a certificate of another authority")


def main():
    with tempfile.TemporaryDirectory() as folder:
        first, second = make_keys(os.path.join(folder, "first")), make_keys(os.path.join(folder, "second"))
        certificate, key = os.path.join(folder, "tls.crt"), os.path.join(folder, "tls.key")
        put(first, certificate, key)
        https, probe = harness.free_port(), harness.free_port()
        arguments = ["serve", "--model", tiny_model(folder, 5), "--http-port", str(https), "--http-tls-certificate", certificate,
                     "--http-tls-key", key, "--metrics-port", str(probe), "--engine-threads", "1", "--kv-bytes", "32MiB"]
        with harness.Server(arguments, probe) as server:
            old = connect(https, first / "1.ca.pem")
            status, models = ask(old, "GET", "/v1/models")
            check(status == 200, f"{status}: {models}")
            body = {"model": json.loads(models)["data"][0]["id"], "prompt": "once upon a time", "max_tokens": 16, "seed": 1,
                    "ignore_eos": True}
            status, answer = ask(old, "POST", "/v1/completions", body)
            check(status == 200, f"{status}: {answer}")
            text = json.loads(answer)["choices"][0]["text"]
            status, streamed = ask(old, "POST", "/v1/completions", {**body, "stream": True})
            events = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
            check("".join(event["choices"][0]["text"] for event in events) == text, "a stream says the same")

            check(refusal(https, second / "1.ca.pem") == "SSLCertVerificationError", "a wrong authority is refused by the client")
            plain = http.client.HTTPConnection("127.0.0.1", https, timeout=10)
            status, reason = ask(plain, "GET", "/v1/models")
            check(status == 400 and "https_required" in reason, f"plain HTTP: {status}: {reason}")
            eventually(lambda: metric(probe, "troupe_gateway_tls_handshakes_failed_total") >= 1, "the failed handshake is counted")

            put(second, certificate, key)
            eventually(lambda: new_one_is_taken(https, second), "the changed certificate is in use")
            check(ask(old, "POST", "/v1/completions", body)[0] == 200, "the connection of before goes on")
            check(certificate_of(old) == (first / "1.node.pem").read_text(), "with its own certificate")
            check(metric(probe, "troupe_gateway_tls_certificates_total") >= 1, "the change is counted")

            environment = {**harness.clean_environment(), "TROUPE_HTTP_TLS_CERTIFICATE": certificate, "TROUPE_METRICS_PORT": str(probe)}
            check(subprocess.run([harness.TROUPE, "health", "--quiet"], env=environment).returncode == 0, "troupe health")
            shown = ask(connect(https, second / "1.ca.pem"), "GET", "/config")[1] + server.log_text()
            check(f"https://127.0.0.1:{https}" in shown, "the address says https")
            for keys in (first, second):
                for line in (keys / "1.node.key").read_text().splitlines()[1:-1]:
                    check(line not in shown, "a key is shown")
            check(server.stop() == 0, "it drains and ends with 0")

        loose = subprocess.run([harness.TROUPE, *arguments[:-2]], env=harness.clean_environment(), capture_output=True, text=True,
                               preexec_fn=lambda: os.chmod(key, 0o644), timeout=60)
        check(loose.returncode == 2 and "chmod 600" in loose.stderr, f"a key that others can read: {loose.returncode}: {loose.stderr}")


def new_one_is_taken(port, keys):
    try:
        connection = connect(port, keys / "1.ca.pem")
        return ask(connection, "GET", "/v1/models")[0] == 200 and certificate_of(connection) == (keys / "1.node.pem").read_text()
    except ssl.SSLError:
        return False


main()
