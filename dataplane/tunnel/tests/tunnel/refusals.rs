//! Peers that must not get in, and who learns why.

use std::thread;
use std::time::{Duration, SystemTime};

use gridway_pki::Issued;
use gridway_tunnel::{HandshakeError, IdentityError, RecordError};
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use crate::stock::{Options, Stock, converse as converse_with_stock};
use crate::support::{
    A, B, CA, DAY, End, FOREIGN_CA, converse, credentials, crl, expired, issue, load, open, request,
};

/// A stock client with this certificate dials B: our end, and its.
fn dialled_by(options: &Options<'_>) -> (End, Stock) {
    let mut accept = End::accept(&credentials(B));
    let mut client = Stock::client(options, B);
    converse_with_stock(&mut accept, &mut client);
    (accept, client)
}

/// A dials a stock server that answers in B's place.
fn dialling(options: &Options<'_>) -> (End, Stock) {
    let mut dial = End::dial(&credentials(A), B);
    let mut server = Stock::server(options);
    converse_with_stock(&mut dial, &mut server);
    (dial, server)
}

fn certificate_error(error: HandshakeError) -> CertificateError {
    match error {
        HandshakeError::Tls(Error::InvalidCertificate(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_without_certificate_is_refused_and_told() {
    let own = issue(&CA, &request(A));
    let options = Options { own: None, ..Options::with(&own) };
    let (accept, client) = dialled_by(&options);
    assert!(matches!(accept.error(), HandshakeError::Tls(Error::NoCertificatesPresented)));
    assert_eq!(client.error, Some(Error::AlertReceived(AlertDescription::CertificateRequired)));
}

#[test]
fn certificates_of_another_ca_are_refused_on_both_sides() {
    let (a, b) = (issue(&FOREIGN_CA, &request(A)), issue(&FOREIGN_CA, &request(B)));
    let (accept, client) = dialled_by(&Options::with(&a));
    assert_eq!(accept.handshake.claimed_names(), [A], "the log can say who it was");
    assert_eq!(certificate_error(accept.error()), CertificateError::UnknownIssuer);
    assert_eq!(client.error, Some(Error::AlertReceived(AlertDescription::UnknownCA)));
    let (dial, server) = dialling(&Options::with(&b));
    assert_eq!(certificate_error(dial.error()), CertificateError::UnknownIssuer);
    assert_eq!(server.error, Some(Error::AlertReceived(AlertDescription::UnknownCA)));
}

#[test]
fn expired_certificates_are_refused_on_both_sides() {
    let [a, b] = [A, B].map(|name| {
        let mut request = request(name);
        request.validity = expired();
        issue(&CA, &request)
    });
    let is_expired =
        |error| matches!(error, CertificateError::Expired | CertificateError::ExpiredContext { .. });
    let (accept, client) = dialled_by(&Options::with(&a));
    assert!(is_expired(certificate_error(accept.error())));
    assert_eq!(client.error, Some(Error::AlertReceived(AlertDescription::CertificateExpired)));
    let (dial, server) = dialling(&Options::with(&b));
    assert!(is_expired(certificate_error(dial.error())));
    assert_eq!(server.error, Some(Error::AlertReceived(AlertDescription::CertificateExpired)));
}

/// A and B shake hands, one of them under a revocation list; A's end and B's.
fn with_crl(a: &Issued, b: &Issued, crl_of_a: Option<&str>, crl_of_b: Option<&str>) -> (End, End) {
    let (near, far) = (load(a, A, crl_of_a).unwrap(), load(b, B, crl_of_b).unwrap());
    let (mut dial, mut accept) = (End::dial(&near, B), End::accept(&far));
    converse(&mut dial, &mut accept, usize::MAX);
    (dial, accept)
}

#[test]
fn a_revoked_acceptor_is_refused_by_the_dialler() {
    let (a, b) = (issue(&CA, &request(A)), issue(&CA, &request(B)));
    let list = crl(&[&b], SystemTime::now(), DAY);
    let (dial, accept) = with_crl(&a, &b, Some(&list), None);
    assert_eq!(certificate_error(dial.error()), CertificateError::Revoked);
    let told = accept.error();
    assert!(
        matches!(told, HandshakeError::Tls(Error::AlertReceived(AlertDescription::CertificateRevoked))),
        "{told:?}"
    );
}

#[test]
fn a_revoked_dialler_is_refused_by_the_acceptor_and_told_in_its_record_stream() {
    let (a, b) = (issue(&CA, &request(A)), issue(&CA, &request(B)));
    let list = crl(&[&a], SystemTime::now(), DAY);
    let (dial, accept) = with_crl(&a, &b, None, Some(&list));
    assert_eq!(certificate_error(accept.error()), CertificateError::Revoked);
    // The dialler finished before the acceptor judged it: the alert is its first record.
    let (mut dial, bytes) = dial.established();
    let told = open(&mut dial.records, &bytes);
    assert!(matches!(told, Err(RecordError::Alert(AlertDescription::CertificateRevoked))), "{told:?}");
}

#[test]
fn a_revocation_list_that_ends_while_the_node_runs_lets_nobody_in() {
    let (a, b) = (issue(&CA, &request(A)), issue(&CA, &request(B)));
    let made = SystemTime::now();
    let list = crl(&[], made - DAY, DAY + Duration::from_secs(2));
    let (near, far) = (load(&a, A, Some(&list)).unwrap(), load(&b, B, None).unwrap());
    thread::sleep(Duration::from_millis(3_100).saturating_sub(made.elapsed().unwrap_or_default()));
    let is_expired = |error| {
        matches!(
            error,
            CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. }
        )
    };
    let (mut dial, mut accept) = (End::dial(&near, B), End::accept(&far));
    converse(&mut dial, &mut accept, usize::MAX);
    assert!(is_expired(certificate_error(dial.error())));
    let (mut dial, mut accept) = (End::dial(&far, A), End::accept(&near));
    converse(&mut dial, &mut accept, usize::MAX);
    assert!(is_expired(certificate_error(accept.error())));
}

#[test]
fn another_nodes_certificate_is_not_that_of_the_node_that_was_dialled() {
    let (mut dial, mut accept) =
        (End::dial(&credentials(A), B), End::accept(&credentials("gw-c.lab.example")));
    converse(&mut dial, &mut accept, usize::MAX);
    let error = certificate_error(dial.error());
    assert!(
        matches!(error, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }),
        "{error:?}"
    );
}

#[test]
fn a_certificate_that_is_not_a_nodes_has_no_identity() {
    let named = |names: &[&str]| {
        let mut request = request(A);
        request.dns_names = names.iter().map(|name| (*name).to_owned()).collect();
        request
    };
    let mut client_only = request(A);
    client_only.server_auth = false;
    let mut no_usage = client_only.clone();
    no_usage.client_auth = false;
    let cases = [
        (named(&[]), IdentityError::NoName),
        (named(&[A, "gw-z.lab.example"]), IdentityError::SeveralNames(2)),
        (named(&["*.lab.example"]), IdentityError::Wildcard("*.lab.example".to_owned())),
        (client_only, IdentityError::KeyUsage("serverAuth")),
        (no_usage, IdentityError::KeyUsage("clientAuth")),
    ];
    for (request, expected) in cases {
        let (accept, client) = dialled_by(&Options::with(&issue(&CA, &request)));
        assert_eq!(accept.established().0.identity, Err(expected));
        assert_eq!(client.error, None, "it is told in words, by the owner of the connection");
    }
}

#[test]
fn a_dialler_accepts_no_wildcard_and_no_second_name_either() {
    for (names, expected) in [
        (vec!["*.lab.example".to_owned()], IdentityError::Wildcard("*.lab.example".to_owned())),
        (vec![B.to_owned(), "gw-z.lab.example".to_owned()], IdentityError::SeveralNames(2)),
    ] {
        let mut request = request(B);
        request.dns_names = names;
        let (dial, _) = dialling(&Options::with(&issue(&CA, &request)));
        assert_eq!(dial.established().0.identity, Err(expected));
    }
}

#[test]
fn a_certificate_for_servers_only_cannot_dial() {
    let mut request = request(A);
    request.client_auth = false;
    let (accept, client) = dialled_by(&Options::with(&issue(&CA, &request)));
    let error = certificate_error(accept.error());
    assert!(
        matches!(error, CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. }),
        "{error:?}"
    );
    assert!(matches!(client.error, Some(Error::AlertReceived(_))), "{:?}", client.error);
}

#[test]
fn tls_1_2_is_refused_on_both_sides() {
    let own = issue(&CA, &request(A));
    let (accept, client) = dialled_by(&Options { version: &rustls::version::TLS12, ..Options::with(&own) });
    let error = accept.error();
    assert!(
        matches!(
            error,
            HandshakeError::Tls(Error::PeerIncompatible(
                PeerIncompatible::Tls13RequiredForQuic
                    | PeerIncompatible::SupportedVersionsExtensionRequired
                    | PeerIncompatible::Tls12NotOfferedOrEnabled
            ))
        ),
        "{error:?}"
    );
    assert_eq!(client.error, Some(Error::AlertReceived(AlertDescription::ProtocolVersion)));

    let far = issue(&CA, &request(B));
    let (dial, server) = dialling(&Options { version: &rustls::version::TLS12, ..Options::with(&far) });
    assert!(matches!(
        dial.error(),
        HandshakeError::Tls(Error::AlertReceived(AlertDescription::ProtocolVersion))
    ));
    assert!(matches!(server.error, Some(Error::PeerIncompatible(_))), "{:?}", server.error);
}

#[test]
fn a_peer_without_our_application_protocol_is_refused() {
    let (a, b) = (issue(&CA, &request(A)), issue(&CA, &request(B)));
    let (accept, _) = dialled_by(&Options { alpn: &[], ..Options::with(&a) });
    assert!(matches!(accept.error(), HandshakeError::Protocol));
    let (dial, _) = dialling(&Options { alpn: &[], ..Options::with(&b) });
    assert!(matches!(dial.error(), HandshakeError::Protocol));
    let (accept, client) = dialled_by(&Options { alpn: &[b"h2", b"gridway/2"], ..Options::with(&a) });
    assert!(matches!(accept.error(), HandshakeError::Tls(Error::NoApplicationProtocol)));
    assert_eq!(client.error, Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol)));
}

#[test]
fn a_name_that_is_no_dns_name_is_not_dialled() {
    for name in ["", "two words", "under score/", "-.-"] {
        let error = gridway_tunnel::Handshake::dial(&credentials(A), name).expect_err(name);
        assert!(matches!(&error, HandshakeError::BadName(found) if found == name), "{error:?}");
    }
}
