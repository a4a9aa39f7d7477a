# One look at a host. Answers are lines `key:value`, in any order, and what `ss` prints as it is; what cannot be told
# is left out.
#
# Asked through variables set before this text: paths, names, programs, sockets, directories, services, ports (one a line
# each), kernel_options (separated by |), kubelet, addresses, disks, accounts (not empty: asked).
#
# Fast by design: the shell's own commands where they do, one grep for many small files (its `path:line` is the
# answer's form), and the slow ones side by side. Whoever runs in the background writes once and little, so that
# lines stay whole; the rest is printed at the end.
# shellcheck shell=sh disable=SC2086,SC2154
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
newline='
'
has() { command -v "$1" >/dev/null 2>&1; }
first_line() { printf '%s' "${1%%"$newline"*}"; }

if [ -n "$kubelet" ]; then
  if has kubelet; then
    # A short life needs no garbage collection.
    {
      said=$(GOGC=off kubelet --version 2>&1 </dev/null)
      printf 'kubelet:%s:%s\n' "$?" "$(first_line "$said")"
    } &
  else
    echo 'kubelet:missing'
  fi
fi

read -r release </proc/sys/kernel/osrelease 2>/dev/null || release=$(uname -r)
{ read -r machine </proc/sys/kernel/arch; } 2>/dev/null || machine=$(uname -m)
printf 'machine:%s\n' "$machine"

kernel_config() {
  for file in /proc/config.gz "/boot/config-$release" "/usr/src/linux-$release/.config" /usr/src/linux/.config \
    "/usr/lib/modules/$release/config" "/usr/lib/ostree-boot/config-$release" "/usr/lib/kernel/config-$release" \
    "/usr/src/linux-headers-$release/.config" "/lib/modules/$release/build/.config"; do
    [ -e "$file" ] || continue
    case $file in
    *.gz) found=$(gzip -dc "$file" 2>/dev/null | grep -E "^CONFIG_($kernel_options)=[ymn]") ;;
    *) found=$(grep -E "^CONFIG_($kernel_options)=[ymn]" "$file") ;;
    esac
    printf 'kernel-config:%s\n' found $found
    return 0
  done
  return 1
}

if [ -n "$kernel_options" ]; then
  {
    # As a last resort the kernel tells its configuration through a module; it is taken out again.
    kernel_config || {
      modprobe configs 2>/dev/null && kernel_config
      loaded=$?
      [ "$loaded" = 0 ] && modprobe -r configs 2>/dev/null
      [ "$loaded" = 0 ]
    } || echo 'kernel-config:unavailable'
  } &
fi

if has systemctl; then
  echo 'init:systemd'
  {
    units=
    for service in $services; do units="$units $service.service"; done
    shown=$(systemctl show -p Id,LoadState,ActiveState,UnitFileState,FragmentPath -- $units '*.swap' 2>/dev/null |
      sed 's/^/unit:/')
    if [ -n "$shown" ]; then
      printf '%s\n' "$shown"
    else
      # systemd does not run here; its files still tell what it would do.
      for service in $services; do
        for directory in /etc /run /usr/local/lib /usr/lib /lib; do
          [ -e "$directory/systemd/system/$service.service" ] || continue
          state=disabled
          for link in /etc/systemd/system/*.wants/"$service.service"; do
            [ -h "$link" ] || [ -e "$link" ] && state=enabled
          done
          printf 'unit:%s\n' "Id=$service.service" LoadState=loaded ActiveState=unknown "UnitFileState=$state" ''
          break
        done
      done
    fi
  } &
elif has openrc; then
  echo 'init:openrc'
  {
    default=" $(rc-update show default 2>/dev/null | sed 's/|.*//' | tr '\n' ' ') "
    for service in $services; do
      [ -e "/etc/init.d/$service" ] || continue
      active=inactive
      rc-service -q "$service" status >/dev/null 2>&1 && active=active
      case $default in *" $service "*) state=enabled ;; *) state=disabled ;; esac
      printf 'unit:%s\n' "Id=$service.service" LoadState=loaded "ActiveState=$active" "UnitFileState=$state" ''
    done
  } &
fi

has timeout && limit='timeout 2' || limit=
for name in $names; do
  {
    resolved=$($limit getent ahosts "$name" 2>/dev/null | while read -r address _; do printf 'name:%s\n' "$name $address"; done)
    printf '%s\n' "name:$name" "$resolved"
  } &
done

if has nft; then
  {
    chains=$(nft list chains 2>/dev/null | grep -m 40 -E 'hook input|chain (KUBE-(SERVICES|FORWARD|NODEPORTS|FIREWALL)|CNI-|cali-|FLANNEL|CILIUM|WEAVE|services|nodeports)' |
      sed 's/^[[:space:]]*/chain:/')
    printf '%s\n' "$chains"
  } &
fi
legacy=
{ read -r legacy </proc/net/ip_tables_names; } 2>/dev/null
if [ -n "$legacy" ] && has iptables-save; then
  {
    chains=$(iptables-save 2>/dev/null | grep -m 40 -E '^:(INPUT DROP|KUBE-(SERVICES|FORWARD|NODEPORTS|FIREWALL)|CNI-|cali-|FLANNEL|CILIUM|WEAVE)' |
      sed 's/^/iptables:/')
    printf '%s\n' "$chains"
  } &
fi

if [ -S /run/chrony/chronyd.sock ] && has chronyc; then
  { printf 'chrony:%s\n' "$($limit chronyc -n -c tracking 2>/dev/null)"; } &
fi

answers=
answer() { answers=$answers$1$newline; }

old_ifs=$IFS
IFS=$newline
set -f
for path in $paths; do
  if [ -d "$path" ]; then
    state=directory
    [ -r "$path" ] || state=unreadable
    set +f
    IFS=$old_ifs
    if [ "$state" = directory ]; then
      state=empty
      for entry in "$path"/* "$path"/.[!.]* "$path"/..?*; do
        { [ -e "$entry" ] || [ -h "$entry" ]; } && state=directory && break
      done
    fi
    IFS=$newline
    set -f
    answer "path:$state:$path"
  elif [ -e "$path" ]; then
    answer "path:file:$path"
  fi
done
for program in $programs; do
  has "$program" && answer "program:$program"
done
for socket in $sockets; do
  [ -S "$socket" ] && answer "socket:$socket"
done
nearest=
for directory in $directories; do
  parent=$directory
  while [ ! -d "$parent" ]; do parent=${parent%/*}; parent=${parent:-/}; done
  answer "directory:$parent:$directory"
  nearest=$nearest$parent$newline
done
if [ -n "$nearest" ] && [ -n "$disks" ]; then
  answers=$answers$(df -Pk $nearest 2>/dev/null | sed 's/^/disk:/')$newline
fi
IFS=$old_ifs
set +f

# Kernels before 6.1 do not tell it in a file.
[ -e /proc/sys/kernel/arch ] || answer "/proc/sys/kernel/arch:$(uname -m)"
for file in /etc/kubernetes/manifests/*.yaml; do [ -e "$file" ] && answer "static-pod:$file"; done
for file in /etc/cni/net.d/*; do [ -f "$file" ] && answer "cni:$file"; done
for file in /sys/class/net/*; do [ -e "$file" ] && answer "interface:${file##*/}"; done
for file in /etc/systemd/system/*.swap; do [ -h "$file" ] && answer "masked:${file##*/}"; done
for file in /usr/share/selinux/packages/container.pp* /usr/share/selinux/packages/*/container.pp* \
  /var/lib/selinux/*/active/modules/*/container; do
  [ -e "$file" ] && answer "selinux-policy:$file"
done
for module in overlay br_netfilter geneve ip_vs ip_vs_rr ip_vs_sh ip_vs_wrr ipip nf_conntrack vxlan wireguard; do
  [ -d "/sys/module/$module" ] && answer "module:$module"
done
has modprobe && [ -d "/lib/modules/$release/kernel" ] && answer 'modules:loadable'
[ -e /run/systemd/timesync/synchronized ] && answer 'timesyncd:synchronised'
[ -h /etc/systemd/zram-generator.conf ] && answer 'zram:masked'
if [ -d /sys/fs/cgroup/memory ]; then answer 'cgroup:memory'; fi
for file in /sys/fs/cgroup/cgroup.freeze /sys/fs/cgroup/*/cgroup.freeze; do [ -e "$file" ] && answer 'cgroup:freeze' && break; done

# One grep for every small file: each line comes as `path:line`.
answers=$answers$(grep -s '' /proc/swaps /proc/meminfo /proc/cgroups /proc/filesystems /proc/net/if_inet6 \
  /proc/sys/kernel/hostname /proc/sys/kernel/osrelease /proc/sys/kernel/ostype \
  /proc/sys/net/bridge/bridge-nf-call-iptables /proc/sys/net/bridge/bridge-nf-call-ip6tables \
  /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding /proc/sys/net/ipv6/conf/default/forwarding \
  /etc/fstab /etc/modules /etc/modules-load.d/*.conf /usr/lib/modules-load.d/*.conf \
  /etc/systemd/zram-generator.conf /run/systemd/zram-generator.conf /usr/lib/systemd/zram-generator.conf \
  /sys/fs/selinux/enforce /sys/fs/selinux/booleans/haproxy_connect_any /etc/selinux/config \
  /etc/ufw/ufw.conf /etc/default/ufw /etc/firewalld/firewalld.conf \
  /sys/fs/cgroup/cgroup.controllers /sys/fs/cgroup/unified/cgroup.controllers \
  /proc/sys/fs/inotify/max_user_instances /proc/sys/fs/inotify/max_user_watches /etc/os-release /usr/lib/os-release \
  /etc/machine-id /sys/class/dmi/id/product_uuid /proc/sys/kernel/arch /proc/net/route /proc/net/ipv6_route \
  /sys/class/net/*/address /sys/class/net/*/mtu /etc/ssh/ssh_host_*_key.pub)$newline

# The larger ones, filtered: control groups and the kubelet's mounts, what firewalls let in.
answers=$answers$(grep -sE 'cgroup| /var/lib/kubelet/|^(Cpus_allowed_list|Uid):|<(port|service|protocol) |^### tuple' \
  /proc/mounts /proc/self/status \
  /etc/firewalld/zones/*.xml /usr/lib/firewalld/zones/public.xml /etc/ufw/user.rules /etc/ufw/user6.rules)$newline

if [ -n "$accounts" ]; then
  answers=$answers$(grep -s '' /etc/passwd /etc/group)$newline
  answers=$answers$(grep -sE '^SYS_[UG]ID_M' /etc/login.defs /dev/null)$newline
fi

if [ -n "$addresses" ]; then
  if has ip; then
    answers=$answers$(ip -o addr show 2>/dev/null | sed 's/^/ip:/')$newline
  else
    answers=$answers$(grep -s '' /proc/net/fib_trie /dev/null)$newline
  fi
fi

# Listening sockets. The kernel's text files walk through every connection, so they are the second choice. Who holds
# a port is asked only when the cluster needs that port.
if has ss; then
  listening=$(ss -Hltn 2>/dev/null)
  for port in $ports; do
    case $listening in *":$port "*)
      listening=$(ss -Hltnp 2>/dev/null)
      break
      ;;
    esac
  done
  answer "$listening"
else
  answers=$answers$(grep -s ' 0A [0-9A-F]*:' /proc/net/tcp /proc/net/tcp6)$newline
fi

wait
printf '%s' "$answers"
