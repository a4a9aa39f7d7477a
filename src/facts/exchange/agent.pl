# One question after the other; a line for each: NUMBER udp|tcp ADDRESS PORT and the bytes in
# hexadecimal. Says `NUMBER answer HEX`, or `NUMBER trouble WHY`. Only what perl-base has.
use strict;
use Socket;

sub ask {
  my ($kind, $host, $port, $question) = @_;
  my $six = $host =~ /:/;
  socket(my $socket, $six ? AF_INET6 : AF_INET, $kind eq 'tcp' ? SOCK_STREAM : SOCK_DGRAM, 0) or die "$!\n";
  my $to = $six ? pack_sockaddr_in6($port, Socket::inet_pton(AF_INET6, $host)) : pack_sockaddr_in($port, inet_aton($host));
  connect($socket, $to) or die "$!\n";
  syswrite($socket, $question) or die "$!\n";
  my ($answer, $wanted) = ('', $kind eq 'tcp' ? 2 : 1);
  while (length $answer < $wanted) {
    my $count = sysread($socket, my $part, 65536);
    defined $count or die "$!\n";
    $count or last;
    $answer .= $part;
    $wanted = 2 + unpack('n', $answer) if $kind eq 'tcp' && length $answer >= 2;
  }
  return $answer;
}

for my $line (<STDIN>) {
  my ($number, $kind, $host, $port, $question) = split ' ', $line;
  my $answer;
  # A datagram may be lost on a good network too.
  for (1 .. ($kind eq 'udp' ? 2 : 1)) {
    $answer = eval {
      local $SIG{ALRM} = sub { die "silent\n" };
      alarm 2;
      ask($kind, $host, $port, pack('H*', $question));
    };
    my $why = $@;
    alarm 0;
    if (defined $answer) { print "$number answer ", unpack('H*', $answer), "\n"; last }
    print "$number trouble $why" if $kind eq 'tcp' || $_ == 2;
  }
}
