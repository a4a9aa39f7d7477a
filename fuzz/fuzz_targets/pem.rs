//! Any bytes as what lies in a certificates directory: certificates, keys, kubeconfigs.
#![no_main]

use kubewright::pki::kubeconfig;
use kubewright::pki::load;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(certificates) = load::certificates(bytes) {
        // What was read can be written, and read again.
        for certificate in certificates {
            let again = load::certificates(certificate.pem().as_bytes()).expect("our own PEM reads back");
            assert_eq!(again[0].der(), certificate.der());
        }
    }
    if let Ok(key) = load::private_key(bytes) {
        load::private_key(key.pem().as_bytes()).expect("our own PEM reads back");
    }
    let _ = load::public_keys(bytes);
    let _ = kubeconfig::parse(bytes);
});
