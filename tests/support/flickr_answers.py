"""A server on loopback that gives the answers that a test has written down."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

JPEG = b"\xff\xd8\xff\xda" + bytes(497) + b"\xff\xd9"


@contextmanager
def answering(*answers):
    """A server that gives these (status, headers, body) in turn, the last one for ever."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/1/2_a_o.jpg"
    finally:
        server.shutdown()
        server.server_close()


IMAGE = {"Content-Type": "image/jpeg"}
