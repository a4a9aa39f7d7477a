# One step of measuring on a host: `input` says which. The time before and after tells how far the clock is off.
# Nothing is written to a disk: the programs come in variables, and the listener gives its receipts over a socket.
#
# Asked through variables set before this text: vip (an address, or empty).
# shellcheck shell=sh disable=SC2154
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
now() { date "$1:%s.%N"; }
now +began
with_tool
# Whoever has just been talked to, or was asked for, stands in the kernel's table of neighbours.
if [ -n "$vip" ]; then
  grep -s "^$vip " /proc/net/arp | sed 's/^/arp:/'
  case $vip in *:*) ip -6 neigh show to "$vip" 2>/dev/null | sed 's/^/neighbour:/' ;; esac
fi
now +ended
