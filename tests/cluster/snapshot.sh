# What a host is, one line a thing: files with their rights and contents, interfaces, addresses, routes, rules, mounts,
# kernel parameters, processes, units, control groups. What changes by itself is left out, and what belongs to the
# container runtime itself: its own directories, and the images that it keeps.
#
# Independent of what `reset` looks at: it asks for all there is.
LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL PATH

files() {
  find "$@" -printf 'file %y %m %u:%g %p %l\n' 2>/dev/null
}
files / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /root -o -path /run \
  -o -path /var/log/journal -o -path /var/log/lastlog -o -path /var/log/wtmp -o -path /var/lib/containerd \
  -o -path /var/lib/systemd -o -path /var/cache \) -prune -o
files /var/lib/etcd /var/lib/kubelet -xdev
files /run -xdev \( -path '/run/systemd' -o -path '/run/log' -o -path '/run/user' -o -path '/run/credentials' \
  -o -path '/run/containerd/*' -o -path '/run/motd.dynamic' \) -prune -o
find /etc /usr/local /var/lib/kubelet /var/lib/etcd /var/lib/cni /opt -xdev -type f -exec sha256sum {} + 2>/dev/null |
  sed 's/^/content /'

ip -o link show | sed -E 's/^[0-9]+: //; s/@if[0-9]+/@if/; s/link-netnsid [0-9]+//; s/^/link /'
ip -o addr show | sed -E 's/^[0-9]+: //; s/valid_lft.*//; s/^/address /'
ip route show table all | sed 's/^/route /'
ip -6 route show table all | sed 's/^/route6 /'
ip rule show | sed 's/^/rule /'
ip netns list | sed 's/^/namespace /'
for program in iptables-nft-save ip6tables-nft-save iptables-legacy-save ip6tables-legacy-save; do
  # Asking the old programs makes the tables that they are asked for.
  case $program in *legacy*) grep -q . /proc/net/ip_tables_names /proc/net/ip6_tables_names 2>/dev/null || continue ;; esac
  $program 2>/dev/null | grep -v '^#' | sed -E "s/\[[0-9]+:[0-9]+\]//; s/^/$program /"
done
nft list ruleset 2>/dev/null | sed -E 's/counter packets [0-9]+ bytes [0-9]+/counter/; s/^/nft /'
ipset list -n 2>/dev/null | sed 's/^/ipset /'
sed 's/^/ipvs /' /proc/net/ip_vs 2>/dev/null

cut -d' ' -f1-3 /proc/mounts | grep -v /run/user/ | sed 's/^/mount /'
sysctl -a 2>/dev/null |
  grep -vE '^fs\.|random|ns_last_pid|conntrack_count|dentry-state|inode-|file-nr|aio-nr|pty\.nr|netns_count|tainted|(neigh|conf)\.veth|cad_pid|hostname|acct|base_reachable|ipv6\.route\.|fs\.binfmt|perf_|sched_domain|usermodehelper|nr_open_fds|shm_next|msg_next|sem_next|stat_refresh' |
  sed 's/^/sysctl /'
lsmod 2>/dev/null | sed 's/ .*//; s/^/module /'

ps -eo comm= | grep -vE '^(ps|sh|bash|sed|grep|sort|sleep|sshd.*|kworker.*|\(sd-pam\)|systemd|agetty)$' | sed 's/^/process /'
systemctl list-units --all --plain --no-legend --type=service,slice,timer,socket |
  awk '$1 !~ /session|user@|user-|kubelet.service|systemd-tmpfiles|systemd-hostnamed|dpkg|motd|fstrim|e2scrub|apt-|logrotate/ {print "unit", $1, $2, $3}'
# It was started again and again without a configuration before; afterwards it rests.
systemctl is-enabled kubelet containerd | sed 's/^/enabled /'
find /sys/fs/cgroup -type d 2>/dev/null |
  grep -vE 'user\.slice|session-|system\.slice/|\.mount|init\.scope' | sed 's/^/cgroup /'
ctr namespaces list -q | sed 's/^/containerd namespace /'
for name in $(ctr namespaces list -q); do
  ctr -n "$name" containers list -q | sed "s/^/container $name /"
  ctr -n "$name" tasks list -q | sed "s/^/task $name /"
done
