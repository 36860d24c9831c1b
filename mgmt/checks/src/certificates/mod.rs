//! Certificates and revocation lists: what they say, and for how long.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gridway_config::Config;
use gridway_tunnel::{CredentialError, IdentityError};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::*;
use x509_parser::time::ASN1Time;

use crate::credentials::{ReadCredentialsError, own_name, read_credentials};
use crate::finding::Finding;

const DAY: u64 = 24 * 60 * 60;
/// Days before the end of a certificate from which on it is a warning; revocation lists hold a month at best.
const SOON: u64 = 30;
/// Days before the end of anything from which on it is an urgent one.
const URGENT: u64 = 7;

pub(crate) fn of_node(config: &Config, now: SystemTime) -> Vec<Finding> {
    let identity = &config.identity;
    let mut findings = whole(config);
    findings.extend(ends_of_certificates("certificate.expiry", &identity.certificate, now, &renew(config)));
    findings.extend(ends_of_certificates(
        "ca.expiry",
        &identity.ca,
        now,
        "a new authority, distributed to all nodes beforehand: identity.ca may hold both",
    ));
    match &identity.crl {
        Some(crl) => findings.extend(ends_of_lists(crl, now)),
        None => findings.push(Finding::warning(
            "crl.expiry",
            "",
            "no identity.crl: a stolen key is accepted until its certificate ends",
            "identity.crl = \"pki/crl.pem\", from `gridway pki crl --dir pki`",
        )),
    }
    findings
}

fn renew(config: &Config) -> String {
    format!(
        "gridway pki issue --dir pki --node {} --renew; the node takes the new files by itself",
        config.node.name
    )
}

/// What the credentials are good for together. The first thing that is wrong hides what comes after it.
fn whole(config: &Config) -> Vec<Finding> {
    let identity = &config.identity;
    let (certificate, key) = (identity.certificate.display(), identity.private_key.display());
    let issue = format!("gridway pki issue --dir pki --node {}", config.node.name);
    let error = match read_credentials(config) {
        Ok(_) => {
            return vec![
                Finding::ok("certificate.key_mode", &key, "its owner's alone"),
                Finding::ok(
                    "certificate.name",
                    &certificate,
                    format!("{}, and both key usages", own_name(config)),
                ),
                Finding::ok("certificate.chain", &certificate, "issued by the CA, and not revoked"),
                Finding::ok("certificate.key", &key, "belongs to the certificate"),
            ];
        }
        Err(error) => error,
    };
    let found = error.to_string();
    vec![match error {
        ReadCredentialsError::KeyFile(_) => {
            let advice = format!("chmod 600 {key}; a key that is missing: {issue}");
            Finding::problem("certificate.key_mode", key, found, advice)
        }
        ReadCredentialsError::File { path, .. } => Finding::problem(
            "certificate.files",
            path.display(),
            found,
            "the [identity] table names its files",
        ),
        ReadCredentialsError::Credentials(error) => match error {
            CredentialError::Identity(IdentityError::OtherName { .. }) => Finding::problem(
                "certificate.name",
                certificate,
                found,
                format!("node.name and node.domain of the certificate's holder, or: {issue}"),
            ),
            CredentialError::Identity(_) => Finding::problem("certificate.name", certificate, found, issue),
            CredentialError::Chain(_) => Finding::problem(
                "certificate.chain",
                certificate,
                found,
                "compare with `openssl verify -CAfile CA CERTIFICATE`; an end or a revocation is a finding of its own",
            ),
            CredentialError::KeyMismatch(_) => {
                Finding::problem("certificate.key", key, found, "the key that was made with this certificate")
            }
            CredentialError::Pem { .. } | CredentialError::Verifier(_) => Finding::problem(
                "certificate.files",
                certificate,
                found,
                "files in PEM, as `gridway pki` writes them",
            ),
        },
    }]
}

fn ends_of_certificates(id: &'static str, path: &Path, now: SystemTime, advice: &str) -> Vec<Finding> {
    // Files that cannot be read have been reported.
    let Ok(text) = std::fs::read(path) else { return Vec::new() };
    let certificates = CertificateDer::pem_slice_iter(&text).flatten();
    let ends = certificates.filter_map(|der| {
        let (_, certificate) = X509Certificate::from_der(&der).ok()?;
        let validity = certificate.validity();
        let not_before = time(validity.not_before);
        if not_before > now {
            let found = format!(
                "not valid before {}, and by this machine's clock that is to come",
                validity.not_before
            );
            let advice = "set the clock: timedatectl; or wait";
            return Some(Finding::problem("certificate.not_before", path.display(), found, advice));
        }
        Some(end(id, path, validity.not_after, SOON, now, advice))
    });
    ends.collect()
}

fn ends_of_lists(path: &Path, now: SystemTime) -> Vec<Finding> {
    const ID: &str = "crl.expiry";
    let Ok(text) = std::fs::read(path) else { return Vec::new() };
    let lists = CertificateRevocationListDer::pem_slice_iter(&text).flatten();
    let ends = lists.filter_map(|der| {
        let (_, list) = CertificateRevocationList::from_der(&der).ok()?;
        let next = list.next_update()?;
        let advice = "gridway pki crl --dir pki; the node takes the new file by itself";
        Some(end(ID, path, next, URGENT, now, advice))
    });
    ends.collect()
}

fn time(time: ASN1Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}

/// Judges an end that is first told of `soon` days before.
fn end(id: &'static str, path: &Path, shown: ASN1Time, soon: u64, now: SystemTime, advice: &str) -> Finding {
    let subject = path.display();
    let Ok(left) = time(shown).duration_since(now) else {
        return Finding::problem(
            id,
            subject,
            format!("ended on {shown}: no tunnel is possible with it"),
            advice,
        );
    };
    let days = left.as_secs() / DAY;
    match days {
        0 => Finding::problem(
            id,
            subject,
            format!("ends within a day, on {shown}: tunnels end with it"),
            advice,
        ),
        1..=URGENT => Finding::warning(
            id,
            subject,
            format!("ends in {days} days, on {shown}: renew it this week"),
            advice,
        ),
        _ if days <= soon => {
            Finding::warning(id, subject, format!("ends in {days} days, on {shown}"), advice)
        }
        _ => Finding::ok(id, subject, format!("good for {days} days, until {shown}")),
    }
}

#[cfg(test)]
mod tests;
