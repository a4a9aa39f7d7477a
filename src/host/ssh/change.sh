# Makes many changes, in order. What is to be done follows this text, as calls of the functions below; new files come on
# standard input, as tar archives. Each batch of changes is unpacked into directories of our own beside the targets, and
# then moved into place, several files of a directory with one process.
#
# Says `done` at the end, `failed N` for the change that cannot be made, with the reason on standard error, or
# `careful N` before anything of the batch was done that begins with change N: it has to be tried one by one.
# shellcheck shell=sh disable=SC2154,SC3045
LC_ALL=C
export LC_ALL
umask 022
new=.kubewright-new
# Defined anew for each batch: `sweep` removes our own directories, `ways` calls a function with all the directories
# that lead to the targets, the deepest ones first.
sweep() { :; }
ways() { :; }
there=

note() {
  there=
  for directory do
    if [ -d "$directory" ]; then there=${there}y; else there=${there}n; fi
  done
}

# Removes the directories that were not there before and hold nothing.
unmake() {
  for directory do
    case $there in n*) rmdir -- "$directory" 2>/dev/null ;; esac
    there=${there#?}
  done
}

say() {
  sweep
  case $there in *n*) ways unmake ;; esac
  echo "$1"
  exit 1
}
failed() { say "failed $1"; }

# The number of the batch's first change, and the directories in which it puts something.
prepare() {
  begin=$1
  shift
  ways note
  for directory do
    shift
    [ -d "$directory" ] || set -- "$@" "$directory"
  done
  [ $# = 0 ] || mkdir -p -- "$@" || say "$unable $begin"
}

# Directories of our own; what an earlier run left behind is removed.
rooms() {
  for room do
    if [ -e "$room" ] || [ -h "$room" ]; then rm -rf -- "$room" || say "$unable $begin"; fi
  done
  mkdir -m 700 -- "$@" || say "$unable $begin"
}

# All of the input, or so many bytes of it.
unpack() {
  if [ "$1" = all ]; then
    tar -x -p -m -P --numeric-owner -f - || say "$unable $begin"
  else
    head -c "$1" | tar -x -p -m -P --numeric-owner -f - || say "$unable $begin"
  fi
}

# The owners of what is about to be replaced: a directory, and names in it.
replaced() {
  into=$1
  shift
  for name do
    shift
    if [ -e "$into/$name" ] || [ -h "$into/$name" ]; then set -- "$@" "$into/$name"; fi
  done
  [ $# = 0 ] || stat -c %u:%g -- "$@"
}

# Gives a new file the owner of the one that it replaces.
keep() {
  owner=$(replaced "$1" "$2") || return 1
  case $owner in '' | "$ours") ;; *) chown -h -- "$owner" "$1/$new/$2" ;; esac
}

# Whether something stands at a path that may refuse to be replaced.
doubtful() {
  [ -h "$1" ] && return 1
  [ -d "$1" ] && return 0
  [ -e "$1" ] && ! [ -w "$1" ]
}

# How owners are set (`-` is done, `keep`, or USER:GROUP), the number of the first change, the directory, the names.
put() {
  how=$1 number=$2 into=$3
  shift 3
  alone=
  for name do
    if doubtful "$into/$name"; then alone=yes; fi
  done
  case $how in
  -) ;;
  keep) for owner in $(replaced "$into" "$@"); do [ "$owner" = "$ours" ] || alone=yes; done ;;
  *) alone=yes ;;
  esac
  if [ -n "$alone" ]; then
    for name do
      case $how in
      -) ;;
      keep) keep "$into" "$name" || failed "$number" ;;
      *) chown -h -- "$how" "$into/$new/$name" || failed "$number" ;;
      esac
      mv -f -T -- "$into/$new/$name" "$into/$name" || failed "$number"
      number=$((number + 1))
    done
    return
  fi
  for name do
    shift
    set -- "$@" "$into/$new/$name"
  done
  mv -f -t "$into" -- "$@" && return
  for name do
    if [ -e "$name" ] || [ -h "$name" ]; then failed "$number"; fi
    number=$((number + 1))
  done
}

# Path, mode, owner or `-`; before anything else of the batch is done.
directory() {
  if [ -h "$1" ] || { [ -e "$1" ] && ! [ -d "$1" ]; }; then
    echo "something else stands there: Not a directory" >&2
    say "$unable $begin"
  fi
  [ -d "$1" ] || mkdir -m "$2" -- "$1" || say "$unable $begin"
  if [ "$3" != - ]; then chown -- "$3" "$1" || say "$unable $begin"; fi
  chmod -- "$2" "$1" || say "$unable $begin"
}

# The number of the first change, and paths.
drop() {
  number=$1
  shift
  plain=yes
  for path do
    if [ -d "$path" ] && ! [ -h "$path" ]; then plain=; fi
  done
  if [ -n "$plain" ]; then rm -f -- "$@" && return; fi
  for path do
    if [ -d "$path" ] && ! [ -h "$path" ]; then
      rmdir -- "$path" || failed "$number"
    else
      rm -f -- "$path" || failed "$number"
    fi
    number=$((number + 1))
  done
}
