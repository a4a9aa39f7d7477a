# Listener and client for one host; says and understands what `wire.rs` writes down. Python 3.4 or newer.
import errno, os, re, select, signal, socket, struct, sys, time

mode, token, life, limit, brief, listen, to, volley = "", "", 10, 1.3, "", [], [], []
for line in sys.stdin:
    word, rest = line.split()[0], line.split()[1:]
    if word == "mode": mode = rest[0]
    elif word == "token": token = rest[0]
    elif word == "life": life = int(rest[0])
    elif word == "limit": limit = int(rest[0]) / 1000.0
    elif word == "brief": brief = rest[0]
    elif word == "listen": listen.append((rest[0], int(rest[1]), rest[2]))
    elif word == "to": to.append((rest[0], rest[1], int(rest[2]), rest[3]))
    elif word == "volley": volley.append((rest[0], int(rest[1]), rest[2], [int(size) for size in rest[3:]]))
name = "\0kubewright-links-" + token[:8]
out = []

def say(*words):
    out.append(" ".join(str(word) for word in words) + "\n")

def opened(protocol, number, host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "ip": socket.SOCK_RAW}[protocol]
    return socket.socket(family, kind, number if protocol == "ip" else 0)

# Whoever started us may have ignored it.
signal.signal(signal.SIGALRM, signal.SIG_DFL)

def serve():
    tcp, datagrams = [], []
    for protocol, number, host in listen:
        port = 0 if protocol == "ip" else number
        try:
            one = opened(protocol, number, host)
            if protocol == "tcp": one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind((host, port))
            except OSError as error:
                # An address that is translated on the way is not on the host.
                if error.errno != errno.EADDRNOTAVAIL: raise
                one.bind(("::" if ":" in host else "0.0.0.0", port))
            if protocol == "tcp": one.listen(1024)
        except OSError as error:
            if error.errno == errno.EADDRINUSE: say("busy", protocol, number)
            else: say("failed", protocol, number, error.strerror)
            continue
        (tcp if protocol == "tcp" else datagrams).append(one)
        say("listening", protocol, number)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(name)
    door.listen(4)
    sys.stdout.write("".join(out))
    sys.stdout.flush()
    if os.fork(): os._exit(0)
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in 0, 1, 2: os.dup2(null, descriptor)
    signal.alarm(life)
    got, pattern = {}, re.compile(("kubewright " + re.escape(token) + " ([0-9]+) ").encode())
    while True:
        for one in select.select([door] + tcp + datagrams, [], [])[0]:
            if one in datagrams:
                data = one.recv(65536)
                found = pattern.search(data)
                if found: got[int(found.group(1))] = max(len(data), got.get(int(found.group(1)), 0))
                continue
            peer = one.accept()[0]
            if one is not door or peer.recv(100) != (token + "\n").encode():
                peer.close()
                continue
            # The ports are free before the answer is given.
            for other in tcp + datagrams: other.close()
            peer.sendall("".join("got %d %d\n" % pair for pair in sorted(got.items())).encode())
            os._exit(0)

def collect():
    signal.alarm(5)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.connect(name)
    door.sendall((token + "\n").encode())
    text = b""
    while True:
        part = door.recv(65536)
        if not part: break
        text += part
    out.append(text.decode() + "collected\n")

def end(probe, error):
    if error == errno.ECONNREFUSED: say("at", probe, "refused")
    elif error == errno.ETIMEDOUT: say("at", probe, "silent")
    else: say("at", probe, "unreachable", os.strerror(error))

sockets = {}

def send(datagrams, again):
    for one in list(datagrams):
        probe, protocol, number, host = one
        key = (protocol, number, ":" in host)
        try:
            if key not in sockets: sockets[key] = opened(protocol, number, host)
        except OSError as error:
            say("at", probe, "failed", error.strerror)
            datagrams.remove(one)
            continue
        try: sockets[key].sendto(("kubewright %s %s " % (token, probe)).encode(), (host, 0 if protocol == "ip" else number))
        except OSError: pass
    for probe, number, host, sizes in volley:
        six = ":" in host
        if probe not in sockets: sockets[probe] = opened("udp", number, host)
        sockets[probe].setsockopt(41 if six else 0, 23 if six else 10, 3)
        # The largest decides, so it is not lost to chance.
        for size in sizes[:1] if again else sizes:
            text = "kubewright %s %s " % (token, probe)
            fill = size - (48 if six else 28) - len(text)
            try:
                if fill >= 0: sockets[probe].sendto((text + "." * fill).encode(), (host, number))
            except OSError: pass

def connect():
    datagrams = [one for one in to if one[1] != "tcp"]
    streams = [one for one in to if one[1] == "tcp"]
    send(datagrams, False)
    # More than select can look at are tried one batch after the other.
    while streams:
        batch, streams = streams[:400], streams[400:]
        waiting = {}
        for probe, protocol, number, host in batch:
            one = opened("tcp", number, host)
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            error = one.connect_ex((host, number))
            if error in (0, errno.EINPROGRESS): waiting[one] = probe
            else: end(probe, error)
        begin = time.monotonic()
        while waiting:
            others = [probe for probe in waiting.values() if probe != brief]
            left = (limit if others else limit / 8) - (time.monotonic() - begin)
            if left <= 0: break
            for one in select.select([], list(waiting), [], left)[1]:
                probe = waiting.pop(one)
                error = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    end(probe, error)
                    continue
                # The kernel's own measure: microseconds, from `struct tcp_info`.
                info = one.getsockopt(6, 11, 104)
                say("at", probe, "open", struct.unpack_from("I", info, 68)[0] if len(info) >= 72 else 0)
                one.close()
        for probe in waiting.values(): say("at", probe, "silent")
    for _ in range(2):
        time.sleep(0.04)
        send(datagrams, True)
    for one in datagrams: say("at", one[0], "sent")

try:
    {"listen": serve, "collect": collect, "connect": connect}[mode]()
except OSError as error:
    say("failed", mode, 0, error.strerror)
sys.stdout.write("".join(out))
