# Connects to a socket of this host and passes on what goes through: for who may not do so over the SSH connection itself.
# `kind` (unix or tcp), `to` (a path or a host) and `port` are set before this text. Says `connected` on a line of its own
# before anything else; fails with the reason on standard error.
# shellcheck shell=sh disable=SC2154,SC2016
export kind to port

if [ "$kind" = unix ] && ! [ -S "$to" ]; then
  echo 'nobody listens there' >&2
  exit 1
fi

for python in python3 /usr/libexec/platform-python; do
  command -v "$python" >/dev/null 2>&1 || continue
  exec "$python" -c '
import os, select, socket, sys
kind, to, port = os.environ["kind"], os.environ["to"], os.environ["port"]
try:
    if kind == "unix":
        there = socket.socket(socket.AF_UNIX)
        there.connect(to)
    else:
        there = socket.create_connection((to, int(port)))
except OSError as error:
    sys.exit(error.strerror or str(error))
def put(text):
    while text:
        text = text[os.write(1, text):]
put(b"connected\n")
watched = [0, there]
while there in watched:
    ready = select.select(watched, [], [])[0]
    if 0 in ready:
        text = os.read(0, 65536)
        if text:
            there.sendall(text)
        else:
            watched.remove(0)
            there.shutdown(socket.SHUT_WR)
    if there in ready:
        text = there.recv(65536)
        if text:
            put(text)
        else:
            watched.remove(there)
'
done

if command -v perl >/dev/null 2>&1; then
  exec perl -e '
use Socket qw(:DEFAULT getaddrinfo);
my ($kind, $to, $port) = @ENV{qw(kind to port)};
my ($s, $made);
if ($kind eq "unix") {
  $made = socket($s, PF_UNIX, SOCK_STREAM, 0) && connect($s, pack_sockaddr_un($to)) ? $s : 0;
} else {
  my ($error, @found) = getaddrinfo($to, $port, {socktype => SOCK_STREAM});
  die "$error\n" if $error;
  for my $a (@found) {
    $made = socket($s, $a->{family}, SOCK_STREAM, 0) && connect($s, $a->{addr}) ? $s : 0;
    last if $made;
  }
}
die "$!\n" unless $made;
sub put {
  my ($to, $text) = @_;
  while (length $text) { my $n = syswrite($to, $text); exit unless $n; substr($text, 0, $n) = ""; }
}
put(*STDOUT, "connected\n");
my ($in, $there) = (1, 1);
while ($there) {
  my $ready = "";
  vec($ready, 0, 1) = 1 if $in;
  vec($ready, fileno($made), 1) = 1;
  next if select($ready, undef, undef, undef) < 0;
  if ($in && vec($ready, 0, 1)) {
    if (sysread(STDIN, my $text, 65536)) { put($made, $text) } else { $in = 0; shutdown($made, 1) }
  }
  if (vec($ready, fileno($made), 1)) {
    if (sysread($made, my $text, 65536)) { put(*STDOUT, $text) } else { $there = 0 }
  }
}
'
fi

if command -v socat >/dev/null 2>&1; then
  address=UNIX-CONNECT:$to
  [ "$kind" = unix ] || address=TCP:$to:$port
  socat -u /dev/null "$address" || exit 1
  echo connected
  exec socat -t 3600 - "$address"
fi

echo 'python3, perl or socat is needed there' >&2
exit 1
