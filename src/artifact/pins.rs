//! SHA-256 of releases, from the checksum table of kubespray of 2026-08-21.

use crate::artifact::Arch;
use crate::artifact::Name;

/// Name, version, and the digests for amd64 and arm64.
#[rustfmt::skip]
const PINS: [(Name, &str, &str, &str); 14] = [
    (Name::Kubelet, "1.36.4", "cf2562db46c48ab84cc3791540778ee7fb1a0a008529adbb434723dd02ed8b4b", "fd53ea3fcbd077844f50a3c67e9b52f62972a563674956bab0c0f4fb7ea37d50"),
    (Name::Kubelet, "1.35.8", "6971b9f95e54dbed67a2271abe6e78f8cc2894494649f3cf39e4b25a82dca923", "7744f84c49df6dff7d0a0471f9acef31568c02459659de83aa279cf3a04b1714"),
    (Name::Kubelet, "1.34.11", "4777a226b2ba3c1d656254bcf3f7ad471bf210042f361094216e51ab4fa9b4b6", "f12879879481e9af46317c2c82a6dba7d59df78ed095e44e0399643df1c4c8ba"),
    (Name::Kubectl, "1.36.4", "8b8f088da2dab964f853b38464033b1be15ede2839eca751482357c45abdd05a", "0ecf44450ee6063bf19dd166a103ee6df4a9034455c2abce626e6eea657d73fb"),
    (Name::Kubectl, "1.35.8", "874d5e72dbb819f43cff16bcd1e4f8bac5b7f2361fe1e55049b0a6c676fb0cbf", "cc749967b62f4422260bc9c0aa7a7c55f45175ae38cb8d95767b5d2b7e04c1fd"),
    (Name::Kubectl, "1.34.11", "8efbb9435132a190920eb65a47a8c1ecf755ad85ab57a600c9bedbab460bb7a8", "5b045a4712674c88a56fd98eef4285689738b7fbe8735e1b9ee3509521af5cb4"),
    (Name::Crictl, "1.36.0", "83855e114566a8a8c44c548d515670f51de3a5e1da8b2effb59870e2f10c25a3", "68328594ccf780a80ae2b092d9f6ce484eec7cf540c275242e8fd954bfd95332"),
    (Name::Crictl, "1.35.0", "2e141e5b22cb189c40365a11807d69b76b9b3caced89fac2f4ec879408ce2177", "519071de89b64c43e2a1661bb5489c6c3fd5e9e5fcef75e50e542b0c891f1118"),
    (Name::CniPlugins, "1.9.1", "b98f74a0f8522f0a83867178729c1aa70f2158f90c45a2ca8fa791db1c76b303", "56171987d3947707c3563db2f4001bccaf50fd63468611b9f3cbecb1375ee7ec"),
    (Name::Runc, "1.4.3", "f6ae8efc0fa40079e1475e97cbe9d1bd3f106a28d6af78a11d9f1bd565515e60", "633301e2e32f8a5ad54031aab4901eb00308bec677dd15faa2751e8f9dab5ca4"),
    (Name::Containerd, "2.3.4", "1d0eccd52471ab75e8d4645b538f73dc635f905cd2be776366eb1036a0089595", "ad21f456a69bca9c183a8bde892a7576d5d09ae88b3e376a47bde4a886037ab3"),
    (Name::Containerd, "2.2.7", "91cd216ea26a1b8b512219d3f205375c967e7b7de4dae571bc3dd16bfacd34b5", "84eb0a161e20ad45465202fa2d6d93b3d9b74666c363e9908706d590a86e2618"),
    (Name::CriO, "1.36.3", "fc2ece7cc22a505cca5e100438e4e58f7786f17b64467022e2d2019239c88349", "749e5e5393a09ec93af6723410cf3554fb4b3b2fd7df2cb36a9acc427c3392cf"),
    (Name::CriDockerd, "0.3.26", "87f31c964d974cdce9c883c79b69e355c3c323e51d3a7d36cda140e6df7b8d5a", "d33e46e0d7ce28b22fdf7fa6327961cf0220ec3814fd7cc482f8cb77e7fd986a"),
];

/// The digest of a release, in hexadecimal, where this program knows it.
pub fn pinned(name: Name, version: &str, arch: Arch) -> Option<&'static str> {
    let row = PINS.iter().find(|(of, at, _, _)| *of == name && *at == version)?;
    Some(match arch {
        Arch::Amd64 => row.2,
        Arch::Arm64 => row.3,
    })
}

/// The versions of an artifact that this program knows the digests of.
pub fn versions(name: Name) -> impl Iterator<Item = &'static str> {
    PINS.iter().filter(move |(of, _, _, _)| *of == name).map(|(_, version, _, _)| *version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::checksum;
    use std::collections::BTreeSet;

    #[test]
    fn every_digest_is_one_and_there_once() {
        let digests: Vec<&str> = PINS.iter().flat_map(|(_, _, amd64, arm64)| [*amd64, *arm64]).collect();
        assert!(digests.iter().all(|digest| checksum::is_digest(digest)));
        assert_eq!(digests.iter().collect::<BTreeSet<_>>().len(), digests.len());
    }

    #[test]
    fn whoever_names_no_version_gets_one_that_is_known() {
        let default = crate::cluster::version::DEFAULT.trim_start_matches('v');
        for name in [Name::Kubelet, Name::Kubectl] {
            assert!(Arch::ALL.iter().all(|arch| pinned(name, default, *arch).is_some()), "{name} {default}");
        }
    }

    #[test]
    fn tells_architectures_apart() {
        let of = |arch| pinned(Name::Runc, "1.4.3", arch).unwrap();
        assert!(of(Arch::Amd64).starts_with("f6ae8efc") && of(Arch::Arm64).starts_with("633301e2"));
        assert_eq!(pinned(Name::Runc, "9.9.9", Arch::Amd64), None);
    }
}
