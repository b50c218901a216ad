//! The transforms against published packets.

use super::super::kdf::{Kdf, Label};
use super::*;

#[test]
fn key_derivation_gives_the_keys_of_rfc_3711_appendix_b_3() {
    let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
    let kdf = Kdf::new(&key, &hex("0EC675AD498AFEEBB6960B3AABE6")).unwrap();
    for (label, expected) in [
        (Label::RtpKey, "C61E7A93744F39EE10734AFE3FF7A087"),
        (Label::RtpSalt, "30CBBC08863D8C85D49DB34A9AE1"),
        (Label::RtpAuth, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"),
    ] {
        let mut out = vec![0; hex(expected).len()];
        kdf.derive(label, &mut out).unwrap();
        assert_eq!(out, hex(expected), "{label:?}");
    }
}

#[test]
fn the_key_stream_is_that_of_rfc_3711_appendix_b_2() {
    // The generator of session keys is AES in counter mode with the salt as its IV, label 0.
    let key = hex("2B7E151628AED2A6ABF7158809CF4F3C");
    let kdf = Kdf::new(&key, &hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD")).unwrap();
    let mut stream = [0u8; 48];
    kdf.derive(Label::RtpKey, &mut stream).unwrap();
    let expected = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB \
                    41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(stream.to_vec(), hex(expected));
}

#[test]
fn counter_mode_with_hmac_gives_the_reference_packet() {
    // The packet that libsrtp's driver checks against: keys of RFC 3711 appendix B.3, roll-over counter 0.
    let master = MasterKey {
        key: hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
        salt: hex("0EC675AD498AFEEBB6960B3AABE6"),
    };
    let suite = Suite::derive(SrtpProfile::Aes128CmSha1_80, &master).unwrap();
    let plain = hex("800f1234 decafbad cafebabe abababab abababab abababab abababab");
    let sealed = hex(
        "800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402 b78d6acc 99ea179b 8dbb",
    );
    assert_eq!(seal_at(&suite, 0x1234, &plain), sealed);
    let mut packet = sealed;
    let len = suite.open_rtp(0x1234, 12, &mut packet).unwrap();
    assert_eq!(packet[..len], plain);
}

const QUID_PRO_QUO: [u8; 12] = *b"Quid pro quo";
const SESSION_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[test]
fn gcm_gives_the_srtp_packets_of_rfc_7714_section_16() {
    let plain =
        hex("8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 \
         696e2070 61727465 73207472 6573");
    for (key_len, sealed) in [
        (
            16,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f \
             42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            32,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 \
             b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ] {
        let suite = Suite::gcm_session(&hex(SESSION_KEY)[..key_len], QUID_PRO_QUO);
        assert_eq!(seal_at(&suite, 0xF17B, &plain), hex(sealed));
        let mut packet = hex(sealed);
        let len = suite.open_rtp(0xF17B, 12, &mut packet).unwrap();
        assert_eq!(packet[..len], plain);
    }
}

#[test]
fn gcm_gives_the_srtcp_packets_of_rfc_7714_section_17() {
    let plain =
        hex("81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef \
         deadbeef deadbeef deadbeef deadbeef");
    for (key_len, sealed) in [
        (
            16,
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 \
             730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        ),
        (
            32,
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 \
             110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        ),
    ] {
        let suite = Suite::gcm_session(&hex(SESSION_KEY)[..key_len], QUID_PRO_QUO);
        let mut buf = plain.clone();
        buf.resize(plain.len() + suite.rtcp_overhead(), 0);
        suite.seal_rtcp(0x5d4, &mut buf, plain.len());
        assert_eq!(buf, hex(sealed));
        assert_eq!(suite.rtcp_word(&buf), Some((true, 0x5d4)));
        let len = suite.open_rtcp(0x5d4, &mut buf).unwrap();
        assert_eq!(buf[..len], plain);
    }
}
