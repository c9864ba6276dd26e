"""Ask the web server in the same container for its first page; exit code 0 when it answers without an error."""

import http.client
import os
import sys


def main(port: int) -> int:
    """Return 0 for an answer below 400 (the first page redirects to the log-in), else 1."""
    host = os.environ["ALLOWED_HOSTS"].split(",")[0].strip().lstrip(".")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=8)
    try:
        connection.request("GET", "/", headers={"Host": host, "X-Forwarded-Proto": "https"})
        return 0 if connection.getresponse().status < 400 else 1
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
