# Makes this host a site's mirror below /srv, at port 8000, from what is in /root/parts: packages of Debian, and programs.
# Repositories are signed with a key that is made here, whose fingerprint is printed; /root/kubewright.lock has the
# checksums of the releases.
#
#   mirror.sh VERSION CONTAINERD    versions without v: of Kubernetes, and of the containerd on this host
set -eu
version=$1 containerd=$2
parts=/root/parts
export GNUPGHOME=/root/gnupg
mkdir -m 0700 "$GNUPGHOME"
gpg --batch -q --passphrase '' --quick-generate-key mirror@site.example ed25519 sign never

index() { # index DIRECTORY: what apt reads of it
  cd "$1"
  for deb in *.deb; do
    dpkg-deb -f "$deb"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum <"$deb" | cut -d ' ' -f 1)"
  done >Packages
  printf 'Date: %s\nSHA256:\n %s %s Packages\n' "$(date -Ru)" "$(sha256sum <Packages | cut -d ' ' -f 1)" "$(stat -c %s Packages)" >Release
  gpg --batch -q --clearsign -o InRelease Release
  gpg --batch -q --armor --export >Release.key
}

pack() { # pack NAME VERSION: the tree /root/tree as a package
  mkdir -p /root/tree/DEBIAN
  printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: site\nDescription: %s\n' "$1" "$2" "$1" >/root/tree/DEBIAN/control
  dpkg-deb -b --root-owner-group -Znone /root/tree "$repository/$1_$2_amd64.deb" >/dev/null
  rm -rf /root/tree
}

# The distribution's; its chrony would set the clock of the machine that the hosts are on.
mkdir -p /srv /root/tree/lib/systemd/system
mv "$parts/debian" /srv/debian
repository=/srv/debian
printf '[Service]\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\n' >/root/tree/lib/systemd/system/chrony.service
pack chrony 4.3-2
index /srv/debian

# The packages of Kubernetes, and newer ones that nobody asked for.
repository=/srv/pkgs.k8s.io/core:/stable:/v${version%.*}/deb
mkdir -p "$repository"
install -D "$parts/kubelet" /root/tree/usr/bin/kubelet
mkdir -p /root/tree/usr/lib/systemd/system
cat >/root/tree/usr/lib/systemd/system/kubelet.service <<'EOF'
[Unit]
Description=kubelet
[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10
[Install]
WantedBy=multi-user.target
EOF
pack kubelet "$version-1.1"
install -D "$parts/kubectl" /root/tree/usr/bin/kubectl
pack kubectl "$version-1.1"
for name in kubelet kubectl; do mkdir /root/tree; pack "$name" "${version%.*}.99-1.1"; done
mkdir -p /root/tree/opt/cni/bin
cp /usr/lib/cni/* /root/tree/opt/cni/bin/
pack kubernetes-cni 1.9.1-1.1
printf '#!/bin/sh\necho crictl version\n' >/root/crictl
install -D /root/crictl /root/tree/usr/bin/crictl
pack cri-tools "${version%.*}.0-1.1"
index "$repository"

# What the projects release.
release=/srv/dl.k8s.io/release/v$version/bin/linux/amd64
mkdir -p "$release"
mv "$parts/kubelet" "$parts/kubectl" "$release/"
archive() { # archive PATH FOLDER MEMBER: a member of the folder, gzipped
  mkdir -p "$(dirname "/srv/github.com/$1")"
  tar -C "$2" -I 'gzip -1' -cf "/srv/github.com/$1" "$3"
}
install -D /root/crictl /root/bin/crictl
mkdir -p /root/containerd/bin
cp /usr/bin/containerd /usr/bin/containerd-shim-runc-v2 /usr/bin/ctr /root/containerd/bin/
archive "kubernetes-sigs/cri-tools/releases/download/v1.36.0/crictl-v1.36.0-linux-amd64.tar.gz" /root/bin crictl
archive "containernetworking/plugins/releases/download/v1.9.1/cni-plugins-linux-amd64-v1.9.1.tgz" /usr/lib/cni .
archive "containerd/containerd/releases/download/v$containerd/containerd-$containerd-linux-amd64.tar.gz" /root/containerd bin
install -D /usr/sbin/runc /srv/github.com/opencontainers/runc/releases/download/v1.4.3/runc.amd64
lock() { echo "$1 $2 amd64 $(sha256sum <"$3" | cut -d ' ' -f 1)"; } # lock NAME VERSION FILE
{
  lock kubelet "$version" "$release/kubelet"
  lock kubectl "$version" "$release/kubectl"
  lock crictl 1.36.0 /srv/github.com/kubernetes-sigs/cri-tools/releases/download/*/*.tar.gz
  lock cni-plugins 1.9.1 /srv/github.com/containernetworking/plugins/releases/download/*/*.tgz
  lock containerd "$containerd" /srv/github.com/containerd/containerd/releases/download/*/*.tar.gz
  lock runc 1.4.3 /srv/github.com/opencontainers/runc/releases/download/*/runc.amd64
} >/root/kubewright.lock

systemd-run -q python3 -m http.server 8000 --directory /srv
gpg --batch --with-colons --list-keys | awk -F: '$1 == "fpr" { print $10; exit }'
