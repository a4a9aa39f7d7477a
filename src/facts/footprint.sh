# What a cluster may change on a host, as it is now. Answers are lines `key:value`, as those of probe.sh; what cannot
# be told is left out.
#
# Asked through variables set before this text: directories, paths, sysctls (paths), services, one a line each.
# shellcheck shell=sh disable=SC2086,SC2154
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
newline='
'
has() { command -v "$1" >/dev/null 2>&1; }
# The lines of a command with a key before each.
keyed() {
  key=$1
  shift
  "$@" 2>/dev/null | sed "s|^|$key:|"
}

# First: a program below may load a module.
grep -s '' /proc/modules /dev/null
cat /proc/modules >/dev/null 2>&1 && echo 'modules:known'

kubelet=$(readlink -f /var/lib/kubelet 2>/dev/null)
echo "kubelet:${kubelet:=/var/lib/kubelet}"

old_ifs=$IFS
IFS=$newline
set -f
found=
for directory in $directories; do [ -d "$directory/." ] && found=$found$directory/$newline; done
# What pods keep in the kubelet's directory goes with it, and can be a lot. The slash at the end of a directory follows
# a link, and is taken away again.
if [ -n "$found" ]; then
  find $found -xdev \( -path '*/kubelet/*pods/*' -o -path '*/containerd/*' \) -prune -o \
    -exec stat -c 'entry:%a %u %g %F:%n' {} + 2>/dev/null | sed 's|//|/|; s|/$||'
fi
found=
for path in $paths; do { [ -e "$path" ] || [ -h "$path" ]; } && found=$found$path$newline; done
[ -n "$found" ] && stat -c 'entry:%a %u %g %F:%n' $found 2>/dev/null
grep -s '' $sysctls /dev/null
if has systemctl; then
  units=
  for service in $services; do units=$units$service.service$newline; done
  keyed unit systemctl show -p Id,LoadState,ActiveState,UnitFileState -- $units
fi
IFS=$old_ifs
set +f

keyed digest find /etc/kubernetes /etc/cni/net.d -xdev -type f -size -256k -exec sha256sum {} +
if ! has systemctl && has openrc; then
  default=" $(rc-update show default 2>/dev/null | sed 's/|.*//' | tr '\n' ' ') "
  for service in $services; do
    [ -e "/etc/init.d/$service" ] || continue
    active=inactive
    rc-service -q "$service" status >/dev/null 2>&1 && active=active
    case $default in *" $service "*) state=enabled ;; *) state=disabled ;; esac
    printf 'unit:%s\n' "Id=$service.service" LoadState=loaded "ActiveState=$active" "UnitFileState=$state" ''
  done
fi

for file in /sys/class/net/*; do [ -h "$file" ] && echo "interface:${file##*/}"; done
for file in /sys/class/net/*/brif/*; do
  [ -h "$file" ] || continue
  bridge=${file%/brif/*}
  echo "port:${bridge##*/} ${file##*/}"
done
[ -d /sys/class/net/kube-ipvs0 ] && keyed virtual-address ip -o addr show dev kube-ipvs0
grep -s '' /proc/net/ip_vs /dev/null

# A program of the old kernel interface makes the tables that it is asked for, so it is not asked where there are none.
for family in '' 6; do
  names="ip${family}_tables_names"
  variants=
  has "ip${family}tables-nft-save" && variants=nft && keyed "ip${family}tables-nft" "ip${family}tables-nft-save"
  legacy=
  { read -r legacy <"/proc/net/$names"; } 2>/dev/null
  if has "ip${family}tables-legacy-save"; then
    variants="$variants legacy"
    [ -n "$legacy" ] && keyed "ip${family}tables-legacy" "ip${family}tables-legacy-save"
  fi
  [ -z "$variants" ] && has "ip${family}tables-save" && keyed "ip${family}tables" "ip${family}tables-save"
done
has nft && echo 'program:nft' && keyed nft nft list chains
has ipset && keyed ipset ipset list -n
has ipvsadm && echo 'program:ipvsadm'

# Mount points below the kubelet's directory, those of network namespaces, and what Calico and Cilium mount.
grep -sF -e " $kubelet/" -e ' /run/netns/' -e ' /run/calico/' -e ' /run/cilium/' /proc/self/mountinfo |
  sed 's/^/mountinfo:/'
find /sys/fs/cgroup -maxdepth 2 -type d -name 'kubepods*' 2>/dev/null | sed 's/^/cgroup:/'
find /sys/fs/cgroup/kubepods* /sys/fs/cgroup/systemd/kubepods* /sys/fs/cgroup/unified/kubepods* \
  -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u | sed 's/^/process:/'

# A network namespace is in use when a process is in it.
for file in /run/netns/cni-*; do
  [ -e "$file" ] || continue
  keyed namespace stat -Lc '%i %n' /run/netns/cni-*
  keyed namespace-used stat -Lc '%i' /proc/[0-9]*/ns/net | sort -u
  break
done
# flannel leaves its routes behind, and this file tells which those are.
if [ -e /run/flannel/subnet.env ]; then
  grep -E '^FLANNEL_(IPV6_)?NETWORK=' /run/flannel/subnet.env | sed 's/^[^=]*=/flannel-network:/'
  keyed route ip -4 route show
  keyed route ip -6 route show
fi
grep -s '' /etc/cni/net.d/*.conf /etc/cni/net.d/*.conflist /etc/cni/net.d/*.json /dev/null
# A lease is named by its address, and its first line is the container.
for file in /var/lib/cni/networks/*/*; do
  [ -s "$file" ] && read -r line <"$file" && printf 'lease:%s:%s\n' "$line" "$file"
done
:
