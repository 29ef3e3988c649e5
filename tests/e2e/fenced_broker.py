"""A broker that knows a topic but, of brokers, not even itself, as one does that its controller has
fenced. Prints its port and answers until it is killed, in the two requests that a client gets to."""
import socketserver
import struct

METADATA, API_VERSIONS = 3, 18
UNSUPPORTED_VERSION, LEADER_NOT_AVAILABLE = 35, 5


def array(*items):
    return struct.pack(">i", len(items)) + b"".join(items)


def text(word):
    return struct.pack(">h", len(word)) + word.encode()


def answer(api, version):
    if api == API_VERSIONS:
        known = array(struct.pack(">hhh", METADATA, 0, 2), struct.pack(">hhh", API_VERSIONS, 0, 0))
        return struct.pack(">h", UNSUPPORTED_VERSION if version > 0 else 0) + known
    assert (api, version) == (METADATA, 2), "nothing else is offered"
    nobody = -1
    partition = struct.pack(">hii", LEADER_NOT_AVAILABLE, 0, nobody) + array() + array()
    topic = struct.pack(">h", 0) + text("attempt.writes") + b"\0" + array(partition)
    return array() + text("fenced") + struct.pack(">i", nobody) + array(topic)


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        while length := self.rfile.read(4):
            api, version, number = struct.unpack_from(">hhi", self.rfile.read(*struct.unpack(">i", length)))
            body = struct.pack(">i", number) + answer(api, version)
            self.wfile.write(struct.pack(">i", len(body)) + body)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


with Server(("127.0.0.1", 0), Connection) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
