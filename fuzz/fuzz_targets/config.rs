//! Any bytes as a configuration file: read, judged, defaulted and, where they are a cluster, planned.
#![no_main]

use kubewright::config;
use kubewright::config::Environment;
use kubewright::config::File;
use kubewright::config::Overrides;
use kubewright::config::Purpose;
use kubewright::config::Strictness;
use kubewright::facts::ClusterFacts;
use kubewright::facts::HostFacts;
use kubewright::phase::Context;
use kubewright::phase::Options;
use kubewright::phase::build;
use kubewright::phase::select::flatten;
use kubewright::phase::workflow::CLUSTER;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;

fuzz_target!(|bytes: &[u8]| {
    let file = File { name: "fuzz.yaml", bytes };
    let env = Environment {
        hostname: "cp1".to_owned(),
        default_address_v4: Some([192, 0, 2, 10].into()),
        ..Environment::default()
    };
    let _ = config::validate_file(file, &env);
    let overrides = Overrides::default();
    let Ok(loaded) = config::load(Some(file), &env, &overrides, Strictness::Lenient, Purpose::Render) else {
        return;
    };
    let cluster = &loaded.cluster;
    let facts =
        cluster.nodes.iter().map(|node| (node.name.clone(), HostFacts::assumed(&node.name))).collect();
    let (running, external, options) = (ClusterFacts::default(), BTreeSet::new(), Options::default());
    let context =
        Context { cluster, facts: &facts, running: &running, external: &external, options: &options };
    let _ = build::plan(&context, &flatten(CLUSTER));
});
