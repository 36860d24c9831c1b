//! What is issued, judged by the verifier that tunnels use (webpki).

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use gridway_config::{Domain, NodeName, check_private_key};
use gridway_pki::{Authority, CertificateRequest, OperatorRole, PkiError, Revoked, Store, Validity, init};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, KeyUsage, OwnedCertRevocationList, RevocationOptionsBuilder,
};

fn domain() -> Domain {
    "lab.example".parse().unwrap()
}

fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

fn unix_now() -> UnixTime {
    UnixTime::since_unix_epoch(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

/// Verifies a chain as a tunnel does: signature, dates, usage, revocation with an unexpired list.
fn verify(certificate: &str, ca: &str, crl: &str, usage: KeyUsage) -> Result<(), webpki::Error> {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let ca = CertificateDer::from_pem_slice(ca.as_bytes()).unwrap();
    let crl = CertificateRevocationListDer::from_pem_slice(crl.as_bytes()).unwrap();
    let crl: CertRevocationList<'_> = OwnedCertRevocationList::from_der(&crl)?.into();
    let anchors = [webpki::anchor_from_trusted_cert(&ca)?];
    let lists = [&crl];
    let revocation = RevocationOptionsBuilder::new(&lists)
        .unwrap()
        .with_expiration_policy(webpki::ExpirationPolicy::Enforce)
        .build();
    let leaf = EndEntityCert::try_from(&certificate)?;
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &[],
        unix_now(),
        usage,
        Some(revocation),
        None,
    )
    .map(|_| ())
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

fn verify_in(folder: &Path, name: &str, usage: KeyUsage) -> Result<(), webpki::Error> {
    verify(&read(folder, &format!("{name}.crt")), &read(folder, "ca.crt"), &read(folder, "crl.pem"), usage)
}

#[test]
fn a_management_api_is_a_server_and_no_client() {
    let folder = tempfile::tempdir().unwrap();
    init(&domain(), folder.path()).unwrap();
    let mut store = Store::nodes(folder.path()).unwrap();
    store.issue_node(&node("gw-a"), false).unwrap();
    store.issue_api(&node("gw-a"), false).unwrap();
    verify_in(folder.path(), "gw-a-api", KeyUsage::server_auth()).unwrap();
    assert!(verify_in(folder.path(), "gw-a-api", KeyUsage::client_auth()).is_err());
    // A node of that name would have the same files.
    assert!(matches!(store.issue_node(&node("gw-a-api"), true), Err(PkiError::Reserved { .. })));
    // Both go with the node.
    assert_eq!(store.revoke("gw-a").unwrap(), 2);
    assert!(verify_in(folder.path(), "gw-a-api", KeyUsage::server_auth()).is_err());
}

#[test]
fn a_node_is_accepted_as_server_and_client_under_one_name() {
    let folder = tempfile::tempdir().unwrap();
    init(&domain(), folder.path()).unwrap();
    Store::nodes(folder.path()).unwrap().issue_node(&node("gw-a"), false).unwrap();
    for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
        verify_in(folder.path(), "gw-a", usage).unwrap();
    }
    let pem = read(folder.path(), "gw-a.crt");
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let names: Vec<String> =
        EndEntityCert::try_from(&der).unwrap().valid_dns_names().map(str::to_owned).collect();
    assert_eq!(names, ["gw-a.lab.example"]);
    let name = |name: &'static str| ServerName::try_from(name).unwrap();
    let leaf = EndEntityCert::try_from(&der).unwrap();
    assert!(leaf.verify_is_valid_for_subject_name(&name("gw-a.lab.example")).is_ok());
    assert!(leaf.verify_is_valid_for_subject_name(&name("gw-b.lab.example")).is_err());
}

#[test]
fn keys_are_their_owners_alone_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    init(&domain(), folder.path()).unwrap();
    let mut store = Store::nodes(folder.path()).unwrap();
    store.issue_node(&node("gw-a"), false).unwrap();
    for name in ["ca.key", "operators/ca.key", "gw-a.key"] {
        check_private_key(&folder.path().join(name)).unwrap();
    }
    let mode = fs::metadata(folder.path().join("gw-a.crt")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let before = read(folder.path(), "gw-a.key");
    assert!(matches!(store.issue_node(&node("gw-a"), false), Err(PkiError::Exists { .. })));
    assert!(matches!(store.issue_node(&node("ca"), true), Err(PkiError::Reserved { .. })));
    assert!(matches!(init(&domain(), folder.path()), Err(PkiError::Exists { .. })));
    assert_eq!(read(folder.path(), "gw-a.key"), before);
    store.issue_node(&node("gw-a"), true).unwrap();
    assert_ne!(read(folder.path(), "gw-a.key"), before);
    let leftovers = fs::read_dir(folder.path()).unwrap();
    let leftovers = leftovers
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with(".gridway-"));
    assert_eq!(leftovers.count(), 0);
}

#[test]
fn revocation_names_every_certificate_of_the_node_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    init(&domain(), folder.path()).unwrap();
    let mut store = Store::nodes(folder.path()).unwrap();
    let old = store.issue_node(&node("gw-a"), false).unwrap();
    store.issue_node(&node("gw-a"), true).unwrap();
    store.issue_node(&node("gw-b"), false).unwrap();
    drop(store);
    let mut store = Store::nodes(folder.path()).unwrap();
    assert!(matches!(store.revoke("gw-c"), Err(PkiError::NotIssued { known, .. }) if known == "gw-a, gw-b"));
    assert_eq!(store.revoke("gw-a").unwrap(), 2);
    assert!(matches!(store.revoke("gw-a"), Err(PkiError::NotIssued { .. })));
    let server = KeyUsage::server_auth;
    assert!(matches!(verify_in(folder.path(), "gw-a", server()), Err(webpki::Error::CertRevoked)));
    let (ca, crl) = (read(folder.path(), "ca.crt"), read(folder.path(), "crl.pem"));
    assert!(matches!(verify(&old.certificate_pem, &ca, &crl, server()), Err(webpki::Error::CertRevoked)));
    verify_in(folder.path(), "gw-b", server()).unwrap();
    store.renew_crl(1).unwrap();
    assert!(matches!(verify_in(folder.path(), "gw-a", server()), Err(webpki::Error::CertRevoked)));
}

#[test]
fn neither_authority_opens_the_others_door() {
    let folder = tempfile::tempdir().unwrap();
    init(&domain(), folder.path()).unwrap();
    let operators = folder.path().join("operators");
    let mut store = Store::operators(folder.path()).unwrap();
    store.issue_operator(&"alice".parse().unwrap(), OperatorRole::Viewer, false).unwrap();
    verify_in(&operators, "alice", KeyUsage::client_auth()).unwrap();
    assert!(verify_in(&operators, "alice", KeyUsage::server_auth()).is_err());
    let alice = read(&operators, "alice.crt");
    let (ca, crl) = (read(folder.path(), "ca.crt"), read(folder.path(), "crl.pem"));
    assert!(matches!(verify(&alice, &ca, &crl, KeyUsage::client_auth()), Err(webpki::Error::UnknownIssuer)));
    let der = CertificateDer::from_pem_slice(alice.as_bytes()).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    let unit = parsed.subject().iter_organizational_unit().next().unwrap().as_str().unwrap();
    assert_eq!(unit, "viewer");
}

#[test]
fn an_authority_in_memory_makes_what_must_be_refused() {
    let now = SystemTime::now();
    let day = Duration::from_secs(86_400);
    let authority = Authority::generate("test", Validity::days(now, 10)).unwrap();
    let empty = authority.crl(1, &[], now, day).unwrap();
    let request = CertificateRequest::node(&node("gw-a"), &domain(), now);
    let judge = |request: &CertificateRequest, crl: &str| {
        let issued = authority.issue(request).unwrap();
        verify(&issued.certificate_pem, authority.certificate_pem(), crl, KeyUsage::client_auth())
    };
    judge(&request, &empty).unwrap();
    let validity = Validity { not_before: now - 2 * day, not_after: now - day };
    let expired = CertificateRequest { validity, ..request.clone() };
    assert!(matches!(judge(&expired, &empty), Err(webpki::Error::CertExpired { .. })));
    let validity = Validity { not_before: now + day, not_after: now + 2 * day };
    let early = CertificateRequest { validity, ..request.clone() };
    assert!(matches!(judge(&early, &empty), Err(webpki::Error::CertNotValidYet { .. })));
    let server_only = CertificateRequest { client_auth: false, ..request.clone() };
    assert!(judge(&server_only, &empty).is_err());
    let wildcard =
        CertificateRequest { dns_names: vec!["*.lab.example".into(), "b.example".into()], ..request.clone() };
    judge(&wildcard, &empty).unwrap();
    let stale = authority.crl(2, &[], now - 2 * day, day).unwrap();
    assert!(matches!(judge(&request, &stale), Err(webpki::Error::CrlExpired { .. })));
    let issued = authority.issue(&request).unwrap();
    let crl = authority.crl(3, &[Revoked { serial: issued.serial, since: now }], now, day).unwrap();
    let judged = verify(&issued.certificate_pem, authority.certificate_pem(), &crl, KeyUsage::client_auth());
    assert!(matches!(judged, Err(webpki::Error::CertRevoked)));
    let again = Authority::from_pem(authority.certificate_pem().into(), authority.key_pem().into()).unwrap();
    let issued = again.issue(&request).unwrap();
    verify(&issued.certificate_pem, authority.certificate_pem(), &empty, KeyUsage::server_auth()).unwrap();
}

#[test]
fn processes_that_issue_at_once_forget_nothing() {
    let folder = tempfile::tempdir().unwrap();
    init(&domain(), folder.path()).unwrap();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let folder = folder.path();
            scope.spawn(move || {
                Store::nodes(folder).unwrap().issue_node(&node(&format!("n{number}")), false).unwrap();
            });
        }
    });
    assert_eq!(Store::nodes(folder.path()).unwrap().issued().len(), 8);
}
