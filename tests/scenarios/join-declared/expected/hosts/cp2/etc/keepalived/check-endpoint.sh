#!/bin/sh
# Tells keepalived how this host is. Written by kubewright.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unset http_proxy

# Every second on every host: the shell's own connection costs a fifth of what a program costs that brings TLS.
ask() {
  if command -v bash >/dev/null && command -v timeout >/dev/null; then
    # shellcheck disable=SC2016
    exec timeout 1 bash -c '
      exec 3<>/dev/tcp/127.0.0.1/8404 && printf "GET %s HTTP/1.0\r\n\r\n" "$1" >&3
      read -r _ code _ <&3 && [ "$code" = 200 ]' bash "$1"
  elif command -v curl >/dev/null; then
    exec curl -fs -o /dev/null --noproxy '*' --max-time 1 "http://127.0.0.1:8404$1"
  fi
  exec wget -q -O /dev/null -T 1 "http://127.0.0.1:8404$1"
}

case $1 in
haproxy) ask /healthz ;;
apiserver) ask /apiserver ;;
holder) [ -n "$(ip -o addr show to 198.51.100.180)" ] ;;
*) exit 2 ;;
esac
