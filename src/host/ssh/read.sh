# Reads what stands at many paths. `careful` is set before this text where a reading without a break is asked for,
# and the paths follow it. The answer has these parts, each ended by a line `--`:
#   a letter for each path: f file, l link, d directory, p file of which nobody knows the length, o anything else,
#     a nothing there, x not to be looked at;
#   a line of stat for each of f, l, d and p;
#   the targets of the links, each ended by a zero byte;
#   the bytes of the files f, one after another;
#   stat of these files again;
#   the bytes of p in hexadecimal, each file ended by a line `.`, or by `!` where it cannot be read.
# shellcheck shell=sh
LC_ALL=C
export LC_ALL

kinds() {
  found=
  for path do
    if [ -h "$path" ]; then
      kind=l
    elif [ -d "$path" ]; then
      kind=d
    elif [ -f "$path" ]; then
      kind=f
      # The kernel's own files say nothing of their length.
      case $careful$path in yes* | /proc/* | /sys/*) kind=p ;; esac
      [ -r "$path" ] || kind=x
    elif [ -e "$path" ]; then
      kind=o
    else
      kind=a
      parent=${path%/*}
      while [ -n "$parent" ] && ! [ -e "$parent" ]; do parent=${parent%/*}; done
      [ -d "${parent:-/}" ] && ! [ -x "${parent:-/}" ] && kind=x
    fi
    found=$found$kind
  done
  printf '%s\n' "$found"
}

# Calls a function with the paths whose kind is among the letters.
with() {
  letters=$1
  action=$2
  shift 2
  rest=$found
  for path do
    shift
    case $rest in [$letters]*) set -- "$@" "$path" ;; esac
    rest=${rest#?}
  done
  [ $# = 0 ] || "$action" "$@"
  echo --
}

states() { stat -c '%f %u %g %s %i %y' -- "$@"; }
targets() { readlink -z -- "$@"; }
contents() { cat -- "$@"; }
unmeasured() {
  for path do
    if od -An -v -tx1 <"$path"; then echo .; else echo '!'; fi
  done
}

all() {
  kinds "$@"
  echo --
  with fldp states "$@"
  with l targets "$@"
  with f contents "$@"
  with f states "$@"
  with p unmeasured "$@"
}
