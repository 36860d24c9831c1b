use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use gridway_config::NodeName;
use gridway_pki::{Authority, CertificateRequest, Revoked, Validity};

use super::*;
use crate::finding::Status;

const TOML: &str = "[node]\nname = \"gw-a\"\ndomain = \"lab.example\"\nrole = \"edge\"\n[identity]\nca = \"ca.crt\"\n\
                    certificate = \"gw-a.crt\"\nprivate_key = \"gw-a.key\"\ncrl = \"crl.pem\"\n[management]\n\
                    interface = \"wan0\"\n";

/// Files of a node; each test writes some of them anew.
struct Site {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Site {
    /// A node that is well for a year, with a revocation list that lasts as long.
    fn well() -> Self {
        let authority = Authority::generate("lab.example", Validity::days(SystemTime::now(), 3650)).unwrap();
        let site = Self { folder: tempfile::tempdir().unwrap(), authority };
        site.write("ca.crt", site.authority.certificate_pem());
        site.issue(&site.authority, |_| {});
        site.list(&[], 365);
        site
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    fn issue(&self, authority: &Authority, change: impl FnOnce(&mut CertificateRequest)) -> Revoked {
        let node: NodeName = "gw-a".parse().unwrap();
        let now = SystemTime::now();
        let mut request = CertificateRequest::node(&node, &"lab.example".parse().unwrap(), now);
        change(&mut request);
        let issued = authority.issue(&request).unwrap();
        self.write("gw-a.crt", &issued.certificate_pem);
        self.write("gw-a.key", &issued.key_pem);
        Revoked { serial: issued.serial, since: now }
    }

    fn list(&self, revoked: &[Revoked], days: u32) {
        let lifetime = Duration::from_secs(u64::from(days) * DAY + DAY / 2);
        self.write("crl.pem", &self.authority.crl(1, revoked, SystemTime::now(), lifetime).unwrap());
    }

    /// Findings that are not ok.
    fn wrong(&self) -> Vec<(&'static str, Status)> {
        self.wrong_at(SystemTime::now())
    }

    fn wrong_at(&self, now: SystemTime) -> Vec<(&'static str, Status)> {
        let config = Config::parse(TOML, &self.folder.path().join("node.toml")).unwrap();
        let findings = of_node(&config, now);
        let wrong = findings.iter().filter(|finding| finding.status != Status::Ok);
        wrong.map(|finding| (finding.id, finding.status)).collect()
    }
}

/// A certificate that holds for `days` more and a half.
fn for_days(days: u32) -> impl FnOnce(&mut CertificateRequest) {
    move |request| {
        request.validity = Validity::days(SystemTime::now(), days);
        request.validity.not_after += Duration::from_secs(DAY / 2);
    }
}

#[test]
fn a_node_that_is_well_has_nothing_wrong() {
    assert_eq!(Site::well().wrong(), []);
}

#[test]
fn the_end_of_a_certificate_is_told_a_month_before_and_is_a_problem_on_its_last_day() {
    let site = Site::well();
    for (days, status) in
        [(30, Status::Warning), (7, Status::Warning), (1, Status::Warning), (0, Status::Problem)]
    {
        site.issue(&site.authority, for_days(days));
        assert_eq!(site.wrong(), [("certificate.expiry", status)], "{days} days");
    }
    site.issue(&site.authority, for_days(31));
    assert_eq!(site.wrong(), []);
    site.issue(&site.authority, for_days(3));
    let later = SystemTime::now() + Duration::from_secs(5 * DAY);
    assert_eq!(site.wrong_at(later), [("certificate.expiry", Status::Problem)]);
}

#[test]
fn the_end_of_a_revocation_list_is_told_a_week_before() {
    let site = Site::well();
    for (days, status) in [(7, Status::Warning), (0, Status::Problem)] {
        site.list(&[], days);
        assert_eq!(site.wrong(), [("crl.expiry", status)], "{days} days");
    }
    site.list(&[], 8);
    assert_eq!(site.wrong(), []);
}

#[test]
fn a_certificate_of_tomorrow_is_told_apart_from_one_that_has_ended() {
    let site = Site::well();
    let tomorrow = SystemTime::now() + Duration::from_secs(DAY);
    site.issue(&site.authority, |request| request.validity = Validity::days(tomorrow, 365));
    let wrong = site.wrong();
    assert!(wrong.contains(&("certificate.not_before", Status::Problem)), "{wrong:?}");
    assert!(wrong.contains(&("certificate.chain", Status::Problem)), "{wrong:?}");
}

#[test]
fn what_a_peer_would_refuse_is_named() {
    let site = Site::well();
    let other = Authority::generate("lab.example", Validity::days(SystemTime::now(), 3650)).unwrap();
    let problem = |id| vec![(id, Status::Problem)];

    site.issue(&other, |_| {});
    assert_eq!(site.wrong(), problem("certificate.chain"), "another authority");
    let revoked = site.issue(&site.authority, |_| {});
    site.list(&[revoked], 365);
    assert_eq!(site.wrong(), problem("certificate.chain"), "revoked");
    site.list(&[], 365);
    site.issue(&site.authority, |request| request.dns_names = vec!["gw-b.lab.example".to_owned()]);
    assert_eq!(site.wrong(), problem("certificate.name"), "another node's");
    site.issue(&site.authority, |request| request.server_auth = false);
    assert_eq!(site.wrong(), problem("certificate.name"), "a client's alone");
    site.issue(&site.authority, |_| {});
    let key = std::fs::read_to_string(site.folder.path().join("gw-a.key")).unwrap();
    site.issue(&site.authority, |_| {});
    site.write("gw-a.key", &key);
    assert_eq!(site.wrong(), problem("certificate.key"), "the key of another certificate");
    site.write("gw-a.crt", "nothing\n");
    assert_eq!(site.wrong(), problem("certificate.files"));
    std::fs::remove_file(site.folder.path().join("gw-a.crt")).unwrap();
    assert_eq!(site.wrong(), problem("certificate.files"));
    std::fs::set_permissions(site.folder.path().join("gw-a.key"), Permissions::from_mode(0o640)).unwrap();
    assert_eq!(site.wrong(), problem("certificate.key_mode"));
}
