#!/usr/bin/perl
# kill-at.pl N COMMAND...: runs the command, and kills it with SIGKILL when it writes the N-th line that tells of
# a step's start. Prints that line; exits with 9 when it killed, and as the command did when that was faster.
#
# The pipe holds a single line at a time, so the command cannot run ahead: it dies in the step that was told, or
# at the start of the next one.
use strict;
use warnings;
use Fcntl qw(F_GETFL F_SETFL);

use constant F_SETPIPE_SZ => 1031;
use constant O_DIRECT => 040000;    # for a pipe: each write is a packet of its own

my $left = shift;
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
while (sysread($out, my $line, 65536)) {
    next unless $line =~ /"event":"step-started"/;
    next if --$left > 0;
    kill 'KILL', $pid;
    print $line;
    last;
}
waitpid($pid, 0);
exit(($? & 127) == 9 ? 9 : $? >> 8);
