//! How long the identities of one control plane take: five authorities, all leaves and kubeconfig files, as bytes.
//! The limit with ECDSA P-256 is 10 ms.

#[allow(clippy::unwrap_used, reason = "the fixture belongs to the tests")]
#[path = "../tests/suite/pki/fixture.rs"]
mod fixture;

use criterion::Criterion;
use criterion::criterion_group;
use criterion::criterion_main;
use kubewright::cluster::Layout;
use kubewright::cluster::kubeadm::KeyAlgorithm;

fn one_control_plane(criterion: &mut Criterion) {
    for (name, layout, algorithm) in [
        ("five chains, ECDSA-P256", Layout::Five, KeyAlgorithm::EcdsaP256),
        ("kubeadm's chains, ECDSA-P256", Layout::Kubeadm, KeyAlgorithm::EcdsaP256),
        ("five chains, RSA-2048", Layout::Five, KeyAlgorithm::Rsa2048),
    ] {
        let mut cluster = fixture::cluster(layout, 1);
        cluster.configuration.encryption_algorithm = algorithm;
        let mut group = criterion.benchmark_group("one control plane");
        group.sample_size(10);
        group.bench_function(name, |bencher| {
            bencher.iter(|| fixture::files(&cluster, &fixture::mint(&cluster), "cp1"));
        });
    }
}

criterion_group!(benches, one_control_plane);
criterion_main!(benches);
