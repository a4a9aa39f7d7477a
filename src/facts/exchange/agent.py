# One question after the other; as the other program of this folder. For Python 3.6 and later.
import binascii, socket, sys

def ask(kind, host, port, question):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as peer:
        peer.settimeout(2)
        peer.connect((host, port))
        peer.sendall(question)
        answer, wanted = b"", 2 if kind == "tcp" else 1
        while len(answer) < wanted:
            part = peer.recv(65536)
            if not part:
                break
            answer += part
            if kind == "tcp" and len(answer) >= 2:
                wanted = 2 + int.from_bytes(answer[:2], "big")
        return answer

for line in sys.stdin:
    number, kind, host, port, question = line.split()
    # A datagram may be lost on a good network too.
    left = 2 if kind == "udp" else 1
    while left:
        left -= 1
        try:
            answer = ask(kind, host, int(port), binascii.unhexlify(question))
            print(number, "answer", binascii.hexlify(answer).decode())
            break
        except socket.timeout:
            why = "silent"
        except OSError as error:
            why = error.strerror
        if not left:
            print(number, "trouble", why)
