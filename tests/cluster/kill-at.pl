#!/usr/bin/perl
# kill-at.pl [-SIGNAL] WHERE COMMAND...: runs the command, and kills it with SIGKILL (or another signal) when it writes
# the line that tells of a step's start: the N-th, or the first of a step with this title. Prints that line and what
# comes after it; exits with 9 when it killed with SIGKILL, and as the command did otherwise.
#
# The pipe holds a single line at a time, so the command cannot run ahead: it dies in the step that was told, or
# at the start of the next one.
use strict;
use warnings;
use Fcntl qw(F_GETFL F_SETFL);

use constant F_SETPIPE_SZ => 1031;
use constant O_DIRECT => 040000;    # for a pipe: each write is a packet of its own

my $signal = $ARGV[0] =~ /^-(\w+)$/ ? (shift, $1)[1] : 'KILL';
my $where = shift;
pipe(my $out, my $in) or die "pipe: $!";
fcntl($in, F_SETPIPE_SZ, 4096) or die "F_SETPIPE_SZ: $!";
fcntl($in, F_SETFL, fcntl($in, F_GETFL, 0) | O_DIRECT) or die "O_DIRECT: $!";
my $pid = fork() // die "fork: $!";
if ($pid == 0) {
    open(STDOUT, '>&', $in) or die "dup: $!";
    close $out;
    exec @ARGV or die "$ARGV[0]: $!";
}
close $in;
my ($left, $killed) = ($where, 0);
while (sysread($out, my $line, 65536)) {
    print $line if $killed;
    next unless !$killed && $line =~ /"event":"step-started"/;
    next if $where =~ /^\d+$/ ? --$left > 0 : index($line, "\"title\":\"$where\"") < 0;
    kill $signal, $pid;
    $killed = 1;
    print $line;
    last if $signal eq 'KILL';
}
waitpid($pid, 0);
exit(($? & 127) == 9 ? 9 : $? >> 8);
