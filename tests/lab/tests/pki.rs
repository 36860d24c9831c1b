//! Certificates of a laboratory.

use gridway_lab::Lab;
use gridway_lab::gateway::Pki;

#[test]
fn nodes_get_certificates_once_and_revocation_changes_the_list() {
    let lab = Lab::new().unwrap();
    let pki = Pki::init(&lab).unwrap();
    let read = |name: &str| std::fs::read_to_string(pki.dir().join(name)).unwrap();
    pki.ensure("gw-a").unwrap();
    let first = read("gw-a.crt");
    pki.ensure("gw-a").unwrap();
    assert_eq!(read("gw-a.crt"), first, "a certificate that is there is kept");
    pki.issue("gw-a").unwrap();
    assert_ne!(read("gw-a.crt"), first, "asked for, it is made anew");
    let list = read("crl.pem");
    pki.revoke("gw-a").unwrap();
    assert_ne!(read("crl.pem"), list);
    assert!(pki.issue("not a name").is_err());

    let stranger = Pki::init_as(&lab, "stranger").unwrap();
    assert_ne!(
        std::fs::read(stranger.dir().join("ca.crt")).unwrap(),
        std::fs::read(pki.dir().join("ca.crt")).unwrap()
    );
    assert!(Pki::init(&lab).is_err(), "an authority is never replaced");
}
