//! Certificate fingerprints (RFC 8122 section 5): the only link between signalling and media.

use conclave_core::command::Fingerprint;
use openssl::sha::{sha256, sha384, sha512};

/// Whether the certificate is one of those that were signalled. Hashes we do not know match nothing: SHA-1
/// and MD5 are not known on purpose.
pub(crate) fn matches(signalled: &[Fingerprint], certificate_der: &[u8]) -> bool {
    signalled.iter().any(|fingerprint| match fingerprint.algorithm.as_str() {
        "sha-256" => fingerprint.digest == sha256(certificate_der),
        "sha-384" => fingerprint.digest == sha384(certificate_der),
        "sha-512" => fingerprint.digest == sha512(certificate_der),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(algorithm: &str, digest: &[u8]) -> Fingerprint {
        Fingerprint { algorithm: algorithm.into(), digest: digest.to_vec() }
    }

    #[test]
    fn any_signalled_fingerprint_may_match_with_any_known_hash() {
        let der = b"certificate";
        let wrong = fingerprint("sha-256", &[0; 32]);
        for right in [
            fingerprint("sha-256", &sha256(der)),
            fingerprint("sha-384", &sha384(der)),
            fingerprint("sha-512", &sha512(der)),
        ] {
            assert!(matches(&[wrong.clone(), right], der));
        }
    }

    #[test]
    fn nothing_matches_no_fingerprint_a_wrong_one_a_cut_one_or_an_unknown_hash() {
        let der = b"certificate";
        let digest = sha256(der);
        assert!(!matches(&[], der));
        assert!(!matches(&[fingerprint("sha-256", &sha256(b"other"))], der));
        for length in 0..digest.len() {
            assert!(!matches(&[fingerprint("sha-256", &digest[..length])], der));
        }
        assert!(!matches(&[fingerprint("sha-1", &digest)], der));
        assert!(!matches(&[fingerprint("sha-512", &digest)], der));
    }
}
