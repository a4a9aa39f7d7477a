# Asks servers from where this runs, and says what they answer. `orders` has a line for each: NUMBER udp|tcp ADDRESS PORT
# and the bytes of the question in hexadecimal; an answer is a line `NUMBER answer HEX` or `NUMBER trouble WHY`. The programs
# come in variables: perl_agent, python_agent.
# shellcheck shell=sh disable=SC2154
LC_ALL=C
export LC_ALL
lacking=77
status=$lacking
if command -v perl >/dev/null 2>&1; then
  printf '%s' "$orders" | perl -e "BEGIN { eval { require Socket; 1 } or exit $lacking } $perl_agent" 2>&1
  status=$?
fi
if [ "$status" = "$lacking" ]; then
  for python in python3 /usr/libexec/platform-python none; do
    "$python" -c '' 2>/dev/null && break
  done
  if [ "$python" = none ]; then
    echo 'no-tool'
  else
    printf '%s' "$orders" | "$python" -c "$python_agent" 2>&1
  fi
fi
