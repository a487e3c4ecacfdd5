"""An OpenTelemetry collector as far as a test needs one: keeps every span that comes by OTLP/HTTP."""
import http.server
import json
import threading


class Collector:
    """Each of `spans` is as exported, with "service" and "instance" of its resource beside it."""

    def __init__(self):
        self.spans = spans = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                good = self.path == "/v1/traces" and self.headers["content-type"] == "application/json"
                for resource in body["resourceSpans"] if good else []:
                    named = {a["key"]: a["value"]["stringValue"] for a in resource["resource"]["attributes"]}
                    spans.extend({**span, "service": named["service.name"], "instance": named.get("service.instance.id")}
                                 for scope in resource["scopeSpans"] for span in scope["spans"])
                self.send_response(200 if good else 400)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
