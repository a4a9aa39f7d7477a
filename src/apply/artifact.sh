# Downloads a file, verifies it, and puts it in place, one whole program after the other. Nothing that does not have
# the wanted digest ever leaves the folder of downloads.
#
#   artifact.sh get URL SHA256 PART           the file PART, whole and verified; what an earlier try left is gone on from
#   artifact.sh file PART SHA256 MARKER PATH
#   artifact.sh trees PART SHA256 MARKER INSIDE INTO [INSIDE INTO]...
#
# Exit codes: 10 no download, 11 wrong digest, 12 no unpacking, 13 no program to download with.
# shellcheck shell=sh
set -eu
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
umask 022

digest() { sha256sum <"$1" | cut -d ' ' -f 1; }
is() { [ -f "$1" ] && [ "$(digest "$1")" = "$2" ]; }

fetch() { # fetch URL PART: goes on where PART ends
  if command -v curl >/dev/null 2>&1; then
    curl -fsSL --connect-timeout 15 --speed-limit 1024 --speed-time 60 --retry 2 -C - -o "$2" -- "$1"
  elif command -v wget >/dev/null 2>&1; then
    wget -q -c -T 60 -t 3 -O "$2" -- "$1"
  else
    echo "neither curl nor wget is on this host" >&2
    exit 13
  fi
}

get() { # get URL SHA256 PART
  if is "$3" "$2"; then return; fi
  [ ! -f "$3" ] || again=yes
  code=0
  fetch "$1" "$3" || code=$?
  if is "$3" "$2"; then return; fi
  if [ -n "${again:-}" ]; then
    # What an earlier try left may be of another file.
    rm -f "$3"
    code=0
    fetch "$1" "$3" || code=$?
    if is "$3" "$2"; then return; fi
  fi
  if [ "$code" != 0 ]; then
    echo "the download of $1 ended with code $code" >&2
    exit 10
  fi
  wrong "$3" "$2" "$1"
}

wrong() { # wrong PART SHA256 WHAT
  found=$(digest "$1")
  rm -f "$1"
  echo "$3 has the SHA-256 $found, and $2 is wanted" >&2
  exit 11
}

place() { # place FILE PATH: mode first, then the name, then SELinux's label
  mkdir -p "${2%/*}"
  cp -- "$1" "$2.kubewright-new"
  chmod 0755 "$2.kubewright-new"
  chown 0:0 "$2.kubewright-new" 2>/dev/null || :
  mv -f -- "$2.kubewright-new" "$2"
  placed="$placed
$2"
}

finish() { # finish PART SHA256 MARKER
  if command -v restorecon >/dev/null 2>&1; then
    printf '%s\n' "$placed" | while IFS= read -r path; do [ -z "$path" ] || restorecon -F "$path" 2>/dev/null || :; done
  fi
  sync
  mkdir -p "${3%/*}"
  {
    echo "sha256 $2"
    printf '%s\n' "$placed" | while IFS= read -r path; do [ -z "$path" ] || stat -c '%s %Y %n' "$path"; done
  } >"$3.new"
  mv -f "$3.new" "$3"
  rm -f "$1"
}

verb=$1
shift
placed=
case $verb in
get)
  mkdir -p "${3%/*}"
  chmod 0700 "${3%/*}"
  get "$1" "$2" "$3"
  ;;
file)
  is "$1" "$2" || wrong "$1" "$2" "what was pushed"
  place "$1" "$4"
  finish "$1" "$2" "$3"
  ;;
trees)
  part=$1 sum=$2 marker=$3
  shift 3
  is "$part" "$sum" || wrong "$part" "$sum" "what was pushed"
  out=$part.out
  rm -rf "$out"
  mkdir -p "$out"
  tar -xzf "$part" -C "$out" --no-same-owner || { rm -rf "$out"; echo "the archive cannot be unpacked" >&2; exit 12; }
  while [ $# -ge 2 ]; do
    found=
    for file in "$out/$1"/*; do
      [ -f "$file" ] && [ ! -h "$file" ] && [ -x "$file" ] || continue
      found=yes
      place "$file" "$2/${file##*/}"
    done
    [ -n "$found" ] || { rm -rf "$out"; echo "the archive has no programs in $1" >&2; exit 12; }
    shift 2
  done
  rm -rf "$out"
  finish "$part" "$sum" "$marker"
  ;;
esac
