# Listener and client for one host; says and understands what `wire.rs` writes down. Only what perl-base has.
use strict;
use Socket;
use POSIX ();

# Whoever started us may have ignored it.
$SIG{ALRM} = 'DEFAULT';

my ($nopmtu, $df) = (10, 3);
my ($mode, $token, $life, $limit, $brief, @listen, @to, %volley) = ('', '', 10, 1.3, '');
while (my $line = <STDIN>) {
  my ($word, @rest) = split ' ', $line;
  $mode = $rest[0] if $word eq 'mode';
  $token = $rest[0] if $word eq 'token';
  $life = $rest[0] if $word eq 'life';
  $limit = $rest[0] / 1000 if $word eq 'limit';
  $brief = $rest[0] if $word eq 'brief';
  push @listen, [@rest] if $word eq 'listen';
  push @to, [@rest] if $word eq 'to';
  $volley{$rest[0]} = [@rest] if $word eq 'volley';
}
my $name = pack_sockaddr_un("\0kubewright-links-" . substr($token, 0, 8));

sub family { $_[0] =~ /:/ ? AF_INET6 : AF_INET }
sub address {
  my ($host, $port) = @_;
  return pack_sockaddr_in6($port, Socket::inet_pton(AF_INET6, $host)) if $host =~ /:/;
  return pack_sockaddr_in($port, Socket::inet_pton(AF_INET, $host));
}
sub kind { $_[0] eq 'tcp' ? SOCK_STREAM : $_[0] eq 'udp' ? SOCK_DGRAM : SOCK_RAW }
sub open_socket {
  my ($protocol, $number, $host) = @_;
  socket(my $socket, family($host), kind($protocol), $protocol eq 'ip' ? $number : 0) or return;
  return $socket;
}
sub seconds { (POSIX::times())[0] / POSIX::sysconf(POSIX::_SC_CLK_TCK()) }
# Waits until one can be written to, or read from.
sub ready {
  my ($write, $patience, @sockets) = @_;
  my $bits = '';
  vec($bits, fileno($_), 1) = 1 for @sockets;
  my $found = $bits;
  my $count = select($write ? undef : $found, $write ? $found : undef, undef, $patience);
  return $count > 0 ? grep { vec($found, fileno($_), 1) } @sockets : ();
}

if ($mode eq 'listen') {
  my (@tcp, @datagrams);
  for (@listen) {
    my ($protocol, $number, $host) = @$_;
    my $socket = open_socket($protocol, $number, $host);
    my $done = 0;
    if ($socket) {
      my $any = $host =~ /:/ ? '::' : '0.0.0.0';
      my $port = $protocol eq 'ip' ? 0 : $number;
      setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) if $protocol eq 'tcp';
      # An address that is translated on the way is not on the host.
      $done = bind($socket, address($host, $port)) || ($! == POSIX::EADDRNOTAVAIL() && bind($socket, address($any, $port)));
      $done &&= listen($socket, 1024) if $done && $protocol eq 'tcp';
    }
    if ($done) {
      push @{$protocol eq 'tcp' ? \@tcp : \@datagrams}, $socket;
      print "listening $protocol $number\n";
    } elsif ($! == POSIX::EADDRINUSE()) {
      print "busy $protocol $number\n";
    } else {
      print "failed $protocol $number $!\n";
    }
  }
  socket(my $door, AF_UNIX, SOCK_STREAM, 0);
  bind($door, $name) && listen($door, 4) or do { print "failed door 0 $!\n"; exit };
  defined(my $child = fork) or do { print "failed fork 0 $!\n"; exit };
  exit if $child;
  POSIX::setsid();
  open STDIN, '<', '/dev/null';
  open STDOUT, '>', '/dev/null';
  open STDERR, '>', '/dev/null';
  alarm $life;
  my %got;
  while (1) {
    for my $socket (ready(0, undef, $door, @tcp, @datagrams)) {
      if (grep { $_ == $socket } @datagrams) {
        my $data = '';
        recv($socket, $data, 65536, 0);
        next unless $data =~ /kubewright \Q$token\E ([0-9]+) /;
        my $size = length $data;
        $got{$1} = $size if $size > ($got{$1} || 0);
        next;
      }
      accept(my $peer, $socket) or next;
      next if $socket != $door;
      my $asked = <$peer>;
      next unless defined $asked && $asked eq "$token\n";
      # The ports are free before the answer is given.
      close $_ for @tcp, @datagrams;
      print $peer map { "got $_ $got{$_}\n" } sort { $a <=> $b } keys %got;
      close $peer;
      exit;
    }
  }
}

if ($mode eq 'collect') {
  socket(my $door, AF_UNIX, SOCK_STREAM, 0);
  alarm 5;
  if (connect($door, $name)) {
    syswrite $door, "$token\n";
    print while <$door>;
    print "collected\n";
  } else {
    print "failed collect 0 $!\n";
  }
}

if ($mode eq 'connect') {
  my @datagrams = grep { $_->[1] ne 'tcp' } @to;
  my @streams = grep { $_->[1] eq 'tcp' } @to;
  my (%sockets, $again);
  my $send = sub {
    for (@datagrams) {
      my ($id, $protocol, $number, $host) = @$_;
      my $socket = $sockets{"$protocol $number " . family($host)} ||= open_socket($protocol, $number, $host);
      if (!$socket) { print "at $id failed $!\n"; $_->[1] = 'gone'; next }
      send($socket, "kubewright $token $id ", 0, address($host, $protocol eq 'ip' ? 0 : $number));
    }
    for (values %volley) {
      my ($id, $number, $host, @sizes) = @$_;
      my $six = $host =~ /:/;
      my $socket = $sockets{"df $id"} ||= open_socket('udp', $number, $host) or next;
      setsockopt($socket, $six ? 41 : 0, $six ? 23 : $nopmtu, pack('i', $df));
      # The largest decides, so it is not lost to chance.
      for my $size ($again ? $sizes[0] : @sizes) {
        my $text = "kubewright $token $id ";
        my $fill = $size - ($six ? 48 : 28) - length $text;
        send($socket, $text . '.' x $fill, 0, address($host, $number)) if $fill >= 0;
      }
    }
    @datagrams = grep { $_->[1] ne 'gone' } @datagrams;
    $again = 1;
  };
  $send->();
  # More than select can look at are tried one batch after the other.
  while (my @batch = splice @streams, 0, 400) {
    my %open;
    for (@batch) {
      my ($id, $protocol, $number, $host) = @$_;
      my $socket = open_socket('tcp', $number, $host) or do { print "at $id failed $!\n"; next };
      fcntl($socket, POSIX::F_SETFL(), POSIX::O_NONBLOCK());
      setsockopt($socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
      if (connect($socket, address($host, $number)) || $! == POSIX::EINPROGRESS()) {
        $open{fileno $socket} = [$id, $socket];
      } else {
        tell_end($id, $!+0);
      }
    }
    my $begin = seconds();
    while (%open) {
      my $others = grep { $_->[0] ne $brief } values %open;
      my $left = ($others ? $limit : $limit / 8) - (seconds() - $begin);
      last if $left <= 0;
      for my $socket (ready(1, $left, map { $_->[1] } values %open)) {
        my ($id) = @{delete $open{fileno $socket}};
        my $error = unpack 'i', getsockopt($socket, SOL_SOCKET, SO_ERROR);
        if ($error) { tell_end($id, $error); next }
        # The kernel's own measure: microseconds, from `struct tcp_info`.
        my $info = getsockopt($socket, 6, 11) || '';
        print "at $id open ", length $info >= 72 ? unpack('x68 L', $info) : 0, "\n";
      }
    }
    print "at $_->[0] silent\n" for values %open;
  }
  for (1, 2) { select undef, undef, undef, 0.04; $send->() }
  print "at $_->[0] sent\n" for @datagrams;
}

sub tell_end {
  my ($id, $error) = @_;
  local $! = $error;
  print "at $id ", $error == POSIX::ECONNREFUSED() ? "refused\n" : $error == POSIX::ETIMEDOUT() ? "silent\n" : "unreachable $!\n";
}
