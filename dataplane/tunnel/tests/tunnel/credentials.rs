//! A node's own credentials: what is refused before anything is dialled.

use std::time::SystemTime;

use gridway_pki::CertificateRequest;
use gridway_tunnel::credentials::PemFiles;
use gridway_tunnel::terms::Part;
use gridway_tunnel::{CredentialError, Credentials, IdentityError};
use rustls::{CertificateError, Error};

use crate::support::{A, CA, DAY, FOREIGN_CA, credentials, crl, expired, issue, load, request};

fn identity_error(request: &CertificateRequest) -> IdentityError {
    match load(&issue(&CA, request), A, None) {
        Err(CredentialError::Identity(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn chain_error(result: Result<Credentials, CredentialError>) -> CertificateError {
    match result {
        Err(CredentialError::Chain(Error::InvalidCertificate(error))) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn proper_credentials_say_who_the_node_is() {
    assert_eq!(credentials(A).identity().dns_name, A);
}

#[test]
fn credentials_say_for_how_long_each_part_is_good() {
    let now = SystemTime::now();
    let credentials = load(&issue(&CA, &request(A)), A, Some(&crl(&[], now, DAY * 3))).unwrap();
    let left = |part| {
        let mut terms = credentials.terms().iter().filter(|term| term.part == part);
        let (term, None) = (terms.next().expect("one term"), terms.next()) else { panic!("{part:?} twice") };
        assert!(term.from <= now);
        (term.name.as_str(), term.until.duration_since(now).unwrap().as_secs().div_ceil(3_600))
    };
    assert_eq!(left(Part::Crl).1, 72);
    assert_eq!(left(Part::Certificate).0, A);
    assert!(left(Part::Ca).1 > 72, "{:?}", credentials.terms());
    assert_eq!(credentials.terms().len(), 3);
}

#[test]
fn an_own_certificate_that_peers_would_refuse_is_refused() {
    let change = |change: fn(&mut CertificateRequest)| {
        let mut request = request(A);
        change(&mut request);
        identity_error(&request)
    };
    assert_eq!(
        identity_error(&request("gw-z.lab.example")),
        IdentityError::OtherName { found: "gw-z.lab.example".to_owned(), expected: A.to_owned() }
    );
    assert_eq!(change(|request| request.dns_names.clear()), IdentityError::NoName);
    assert_eq!(
        change(|request| request.dns_names.push("also.lab.example".to_owned())),
        IdentityError::SeveralNames(2)
    );
    assert_eq!(
        change(|request| request.dns_names = vec!["*.lab.example".to_owned()]),
        IdentityError::Wildcard("*.lab.example".to_owned())
    );
    assert_eq!(change(|request| request.server_auth = false), IdentityError::KeyUsage("serverAuth"));
    assert_eq!(change(|request| request.client_auth = false), IdentityError::KeyUsage("clientAuth"));
}

#[test]
fn an_own_certificate_outside_the_chain_is_refused() {
    let own = issue(&CA, &request(A));
    assert_eq!(chain_error(load(&issue(&FOREIGN_CA, &request(A)), A, None)), CertificateError::UnknownIssuer);
    let mut old = request(A);
    old.validity = expired();
    let error = chain_error(load(&issue(&CA, &old), A, None));
    assert!(
        matches!(error, CertificateError::Expired | CertificateError::ExpiredContext { .. }),
        "{error:?}"
    );
    let list = crl(&[&own], SystemTime::now(), DAY);
    assert_eq!(chain_error(load(&own, A, Some(&list))), CertificateError::Revoked);
    let ended = crl(&[], SystemTime::now() - DAY * 2, DAY);
    let error = chain_error(load(&own, A, Some(&ended)));
    assert!(
        matches!(
            error,
            CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. }
        ),
        "{error:?}"
    );
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let mut own = issue(&CA, &request(A));
    own.key_pem = issue(&CA, &request(A)).key_pem;
    assert!(matches!(load(&own, A, None), Err(CredentialError::KeyMismatch(_))));
}

#[test]
fn an_item_that_is_no_pem_is_named() {
    let own = issue(&CA, &request(A));
    let list = crl(&[], SystemTime::now(), DAY);
    let proper = PemFiles {
        ca: CA.certificate_pem().as_bytes(),
        certificate: own.certificate_pem.as_bytes(),
        private_key: own.key_pem.as_bytes(),
        crl: Some(list.as_bytes()),
    };
    assert!(Credentials::from_pem(&proper, A).is_ok());
    // A broken body, another item's PEM, and nothing at all.
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".as_slice();
    for text in [broken, own.key_pem.as_bytes(), b"".as_slice()] {
        let cases = [
            ("ca", PemFiles { ca: text, ..proper }),
            ("certificate", PemFiles { certificate: text, ..proper }),
            ("crl", PemFiles { crl: Some(text), ..proper }),
        ];
        for (item, files) in cases {
            match Credentials::from_pem(&files, A) {
                Err(CredentialError::Pem { what, .. }) => assert_eq!(what, item),
                Err(CredentialError::Identity(IdentityError::Malformed(_))) => {
                    assert_eq!(item, "certificate");
                }
                other => panic!("{item}: {other:?}"),
            }
        }
    }
    for text in [broken, own.certificate_pem.as_bytes(), b"".as_slice()] {
        let result = Credentials::from_pem(&PemFiles { private_key: text, ..proper }, A);
        assert!(matches!(result, Err(CredentialError::Pem { what: "private_key", .. })), "{result:?}");
    }
}

#[test]
fn live_peers_are_judged_again_by_serial_and_end() {
    let (own, peer) = (issue(&CA, &request(A)), issue(&CA, &request("gw-b.lab.example")));
    let list = crl(&[&peer], SystemTime::now(), DAY);
    let identity = load(&peer, "gw-b.lab.example", None).unwrap().identity().clone();
    let now = SystemTime::now();
    let before = load(&own, A, None).unwrap();
    assert_eq!(before.rejects(&identity, now), None);
    assert_eq!(before.rejects(&identity, now + DAY * 31), Some("certificate expired"));
    let after = load(&own, A, Some(&list)).unwrap();
    assert_eq!(after.rejects(&identity, now), Some("certificate revoked"));
    assert_eq!(after.rejects(after.identity(), now), None);
}
