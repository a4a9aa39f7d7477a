# Runs a program of ours with whatever the host has: perl, as far as it has what the program needs, or else Python. The
# programs come in variables (perl_agent, python_agent) and what they are told in another one (input), so that nothing is
# written to a disk. Says `no-tool` where there is neither.
# shellcheck shell=sh disable=SC2154
with_tool() {
  # A perl without these modules says so by this status, before it reads anything.
  lacking=77
  status=$lacking
  if command -v perl >/dev/null 2>&1; then
    printf '%s' "$input" | perl -e "BEGIN { eval { require Socket; require POSIX; 1 } or exit $lacking } $perl_agent" 2>&1
    status=$?
  fi
  [ "$status" = "$lacking" ] || return 0
  for python in python3 /usr/libexec/platform-python none; do
    "$python" -c '' 2>/dev/null && break
  done
  if [ "$python" = none ]; then
    echo 'no-tool'
  else
    printf '%s' "$input" | "$python" -c "$python_agent" 2>&1
  fi
}
