# One step of measuring on a host: `config` says which. The time before and after tells how far the clock is off.
# Nothing is written to a disk: the programs come in variables, and the listener gives its receipts over a socket.
#
# Asked through variables set before this text: config, perl_agent, python_agent, vip (an address, or empty).
# shellcheck shell=sh disable=SC2154
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
now() { date "$1:%s.%N"; }
now +began
# A perl without what the agent needs says so by this status, before it reads anything.
lacking=77
status=$lacking
if command -v perl >/dev/null 2>&1; then
  printf '%s' "$config" | perl -e "BEGIN { eval { require Socket; require POSIX; 1 } or exit $lacking } $perl_agent" 2>&1
  status=$?
fi
if [ "$status" = "$lacking" ]; then
  for python in python3 /usr/libexec/platform-python none; do
    "$python" -c '' 2>/dev/null && break
  done
  if [ "$python" = none ]; then
    echo 'no-tool'
  else
    printf '%s' "$config" | "$python" -c "$python_agent" 2>&1
  fi
fi
# Whoever has just been talked to, or was asked for, stands in the kernel's table of neighbours.
if [ -n "$vip" ]; then
  grep -s "^$vip " /proc/net/arp | sed 's/^/arp:/'
  case $vip in *:*) ip -6 neigh show to "$vip" 2>/dev/null | sed 's/^/neighbour:/' ;; esac
fi
now +ended
