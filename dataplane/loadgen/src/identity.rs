//! A self-signed certificate, made anew for each run.

use conclave_core::command::Fingerprint;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::sha::sha256;
use openssl::x509::{X509Name, X509};

/// A certificate and its key, DER.
#[derive(Clone)]
pub struct Identity {
    /// X.509.
    pub certificate: Vec<u8>,
    /// PKCS#8.
    pub key: Vec<u8>,
}

impl Identity {
    /// A fresh P-256 key and its certificate.
    pub fn new() -> Result<Self, ErrorStack> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
        let mut name = X509Name::builder()?;
        name.append_entry_by_text("CN", "WebRTC")?;
        let name = name.build();
        let mut x509 = X509::builder()?;
        x509.set_version(2)?;
        let serial = BigNum::from_u32(1)?.to_asn1_integer()?;
        x509.set_serial_number(&serial)?;
        x509.set_subject_name(&name)?;
        x509.set_issuer_name(&name)?;
        x509.set_pubkey(&key)?;
        let (start, end) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(1)?);
        x509.set_not_before(&start)?;
        x509.set_not_after(&end)?;
        x509.sign(&key, MessageDigest::sha256())?;
        Ok(Self { certificate: x509.build().to_der()?, key: key.private_key_to_pkcs8()? })
    }

    /// As the description of its owner would say it.
    pub fn fingerprint(&self) -> Fingerprint {
        let digest = sha256(&self.certificate).to_vec();
        Fingerprint { algorithm: "sha-256".into(), digest }
    }
}
