//! A certificate authority in memory.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    RevokedCertParams, SanType, SerialNumber,
};

use crate::error::PkiError;
use crate::request::{CertificateRequest, Serial, Validity};

/// A CA: signs certificates and revocation lists with an ECDSA P-256 key.
pub struct Authority {
    certificate_pem: String,
    key_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Issued {
    /// The certificate (PEM).
    pub certificate_pem: String,
    /// Its private key (PKCS #8, PEM).
    pub key_pem: String,
    /// Its serial number.
    pub serial: Serial,
}

/// A certificate on a revocation list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number.
    pub serial: Serial,
    /// Since when.
    pub since: SystemTime,
}

impl Authority {
    /// A new CA with its own key. It may not sign further CAs.
    ///
    /// # Errors
    /// [`PkiError::Certificate`] for dates or names that X.509 cannot express.
    pub fn generate(common_name: &str, validity: Validity) -> Result<Self, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = params(common_name, Serial::random(), validity);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok(Self { certificate_pem, key_pem: key.serialize_pem(), issuer: Issuer::new(params, key) })
    }

    /// A CA from its certificate and key, both PEM.
    ///
    /// # Errors
    /// [`PkiError::Certificate`] if either cannot be read.
    pub fn from_pem(certificate_pem: String, key_pem: String) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(&key_pem)?;
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key)?;
        Ok(Self { certificate_pem, key_pem, issuer })
    }

    /// The CA's certificate (PEM).
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The CA's private key (PKCS #8, PEM).
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// Signs what `request` says, for a new ECDSA P-256 key and a random serial number.
    ///
    /// # Errors
    /// [`PkiError::Certificate`] for dates or names that X.509 cannot express.
    pub fn issue(&self, request: &CertificateRequest) -> Result<Issued, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let serial = Serial::random();
        let mut params = params(&request.common_name, serial, request.validity);
        if let Some(unit) = &request.organizational_unit {
            params.distinguished_name.push(DnType::OrganizationalUnitName, unit.as_str());
        }
        for name in &request.dns_names {
            params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let usages = [
            (request.server_auth, ExtendedKeyUsagePurpose::ServerAuth),
            (request.client_auth, ExtendedKeyUsagePurpose::ClientAuth),
        ];
        params.extended_key_usages =
            usages.into_iter().filter(|(wanted, _)| *wanted).map(|(_, usage)| usage).collect();
        let certificate_pem = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { certificate_pem, key_pem: key.serialize_pem(), serial })
    }

    /// Signs a revocation list (PEM).
    ///
    /// # Errors
    /// [`PkiError::Certificate`] if `lifetime` is zero or a date cannot be expressed.
    pub fn crl(
        &self,
        number: u64,
        revoked: &[Revoked],
        this_update: SystemTime,
        lifetime: Duration,
    ) -> Result<String, PkiError> {
        let revoked_certs = revoked.iter().map(|revoked| RevokedCertParams {
            serial_number: SerialNumber::from_slice(revoked.serial.as_bytes()),
            revocation_time: revoked.since.into(),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: this_update.into(),
            next_update: (this_update + lifetime).into(),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }
}

fn params(common_name: &str, serial: Serial, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
    params.not_before = validity.not_before.into();
    params.not_after = validity.not_after.into();
    params
}
