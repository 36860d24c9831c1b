//! NAT entries.

use gridway_config::{OutsideNat, Problem, RemoteHosts};

use crate::{VNET, parse, refuse, with, with_vnet};

/// The lines of a NAT entry.
fn sides(table: &str, local: &str, virtual_side: &str) -> String {
    format!("[[vnet.{table}]]\nlocal = \"{local}\"\nvirtual = \"{virtual_side}\"")
}

fn inside(local: &str, virtual_side: &str) -> String {
    sides("inside_nat", local, virtual_side)
}

fn outside(local: &str, virtual_side: &str) -> String {
    sides("outside_nat", local, virtual_side)
}

fn object(name: &str, prefixes: &[&str]) -> String {
    format!("[[object]]\nname = \"{name}\"\nprefixes = {prefixes:?}\n")
}

/// Marks the line of the last `local`.
fn mark_local(entry: &str) -> String {
    entry.replace("\"\nvirtual", "\"#!\nvirtual")
}

/// A vnet of both families.
fn with_both(extra: &str) -> String {
    with(&format!("{}{extra}", VNET.replace("0.0/16\"", "0.0/16\", \"fd00:200::/48\"")))
}

/// The outside NATs of a good vnet of both families.
fn accepted(extra: &str) -> Vec<OutsideNat> {
    let mut config = parse(&with_both(extra)).unwrap_or_else(|errors| panic!("{errors}"));
    config.vnets.remove(0).outside_nat
}

const VIRTUAL: [&str; 2] = ["vnet[0].outside_nat[0].virtual", "vnet[0].outside_nat[1].virtual"];

#[test]
fn entries_are_judged_with_their_vnet() {
    let virtual_side = "vnet[0].inside_nat[0].virtual";
    let first = inside("10.1.0.0/24", "10.200.1.0/24");
    for (text, field) in [
        (inside("10.1.0.0/24", "10.200.0.0/23") + "#!", virtual_side),
        (inside("10.1.0.0/24", "10.200.1.0/25") + "#!", virtual_side),
        (inside("10.1.0.0/24", "10.201.0.0/24") + "#!", virtual_side),
        (inside("10.1.0.0/24", "offices") + "#!\n" + &object("offices", &["10.200.1.0/24"]), virtual_side),
        (outside("10.0.0.0/8", "10.200.2.0/24") + "#!", VIRTUAL[0]),
        (outside("172.16.2.0/28", "10.201.0.0/24") + "#!", VIRTUAL[0]),
        (format!("{first}\n{}#!", inside("10.2.0.0/25", "10.200.1.128/25")), "vnet[0].inside_nat[1].virtual"),
        (
            [
                outside("172.16.0.0/24", "10.200.1.0/24"),
                mark_local(&outside("172.16.0.128/25", "10.200.2.0/25")),
            ]
            .join("\n"),
            "vnet[0].outside_nat[1].local",
        ),
    ] {
        refuse(&with_vnet(&text), field);
    }
    for entry in [first, outside("172.16.2.0/28", "10.200.2.0/24")] {
        let field = if entry.contains("inside") { "vnet[0].inside_nat[0]" } else { "vnet[0].outside_nat[0]" };
        refuse(&with(&format!("{VNET}nat = false\n{}", entry.replace("nat]]", "nat]]#!"))), field);
    }
}

#[test]
fn a_larger_virtual_side_is_many_to_one_and_a_larger_local_side_is_refused() {
    for (local, virtual_side, many) in [
        ("172.16.2.0/24", "10.200.2.0/24", false),
        ("172.16.2.0/25", "10.200.2.0/24", true),
        ("172.16.2.1/32", "10.200.0.0/16", true),
        ("fd01::/64", "fd00:200::/64", false),
        ("fd01::/128", "fd00:200::/48", true),
    ] {
        let entries = accepted(&outside(local, virtual_side));
        assert_eq!(entries[0].is_many_to_one(), many, "{local} {virtual_side}");
        assert_eq!(entries[0].remote.to_string(), virtual_side);
    }
    for (local, virtual_side) in [("172.16.2.0/24", "10.200.2.0/25"), ("fd01::/63", "fd00:200::/64")] {
        let problem = refuse(&with_both(&(outside(local, virtual_side) + "#!")), VIRTUAL[0]);
        assert!(matches!(problem, Problem::UnequalLengths { .. }), "{problem}");
    }
}

#[test]
fn an_object_is_many_to_one_whatever_its_size() {
    let objects = object("offices", &["branches", "10.200.2.0/24", "10.200.2.128/25"])
        + &object("branches", &["10.200.4.0/25", "10.200.4.128/25"]);
    let entries = accepted(&format!("{}\n{objects}", outside("172.16.0.0/16", "offices")));
    assert!(entries[0].is_many_to_one());
    let prefixes = ["10.200.2.0/24", "10.200.2.128/25", "10.200.4.0/25", "10.200.4.128/25"];
    let RemoteHosts::Object { name, prefixes: found } = &entries[0].remote else { panic!("{entries:?}") };
    assert_eq!(
        (name.as_str(), found.as_slice()),
        ("offices", prefixes.map(|text| text.parse().unwrap()).as_slice())
    );
    let one = format!("{}\n{}", outside("172.16.2.0/24", "one"), object("one", &["10.200.2.0/24"]));
    assert!(accepted(&one)[0].is_many_to_one());
}

#[test]
fn objects_must_exist_and_lie_within_the_vnet() {
    let entry = outside("172.16.2.0/28", "offices") + "#!\n";
    let problem = refuse(&with_both(&(entry.clone() + &object("others", &["10.200.2.0/24"]))), VIRTUAL[0]);
    assert!(matches!(&problem, Problem::UnknownName { known, .. } if known == "others"), "{problem}");
    // A cycle is reported where it is closed, and not again where it is used.
    let cycle = object("offices", &["others"]) + object("others", &["offices"]).trim_end() + "#!";
    let problem = refuse(&with_both(&(entry.replace("#!", "") + &cycle)), "object[1].prefixes");
    assert!(matches!(problem, Problem::Cycle { .. }), "{problem}");
    // All members outside are named in one error.
    let outsiders = object("offices", &["10.9.0.0/24", "10.200.2.0/24", "10.8.0.0/24", "10.8.0.0/25"]);
    let problem = refuse(&with_both(&(entry + &outsiders)), VIRTUAL[0]);
    assert!(
        matches!(&problem, Problem::OutsideCidr { found, .. } if found == "10.8.0.0/24, 10.9.0.0/24"),
        "{problem}"
    );
}

#[test]
fn entries_hold_one_family() {
    let mixed = |text: &str, field: &str| {
        let problem = refuse(&with_both(text), field);
        assert!(matches!(problem, Problem::MixedFamilies { .. }), "{problem}");
    };
    mixed(&(inside("10.1.0.0/24", "fd00:200::/64") + "#!"), "vnet[0].inside_nat[0].virtual");
    mixed(&(inside("fd01::/64", "10.200.1.0/24") + "#!"), "vnet[0].inside_nat[0].virtual");
    mixed(&(outside("172.16.2.0/28", "fd00:200::/64") + "#!"), VIRTUAL[0]);
    let both = object("both", &["10.200.2.0/24", "fd00:200::/64", "fd00:200:0:1::/64"]);
    mixed(&format!("{}#!\n{both}", outside("172.16.2.0/28", "both")), VIRTUAL[0]);
    mixed(&format!("{}#!\n{both}", outside("fd01::/64", "both")), VIRTUAL[0]);
}

#[test]
fn ipv6_is_translated_prefix_to_prefix() {
    let text = with_both(
        &[inside("fd01::/64", "fd00:200::/64"), outside("fd02::/56", "fd00:200:0:100::/56")].join("\n"),
    );
    let vnet = parse(&text).unwrap().vnets.remove(0);
    assert_eq!(vnet.inside_nat[0].virtual_prefix.to_string(), "fd00:200::/64");
    assert!(!vnet.outside_nat[0].is_many_to_one());
    let problem =
        refuse(&with_both(&(inside("fd01::/63", "fd00:200::/64") + "#!")), "vnet[0].inside_nat[0].virtual");
    assert!(matches!(problem, Problem::UnequalLengths { .. }), "{problem}");
}

#[test]
fn a_remote_host_is_of_one_entry() {
    let one_to_one = outside("172.16.1.0/24", "10.200.2.0/24");
    let many = outside("172.16.2.0/28", "10.200.0.0/16");
    let by_object = outside("172.16.3.0/28", "offices");
    let objects = object("offices", &["10.200.2.0/25", "10.200.2.0/26", "10.200.2.128/25"])
        + &object("others", &["10.200.2.7/32"]);
    for (first, second) in [
        (&one_to_one, &many),
        (&many, &one_to_one),
        (&many, &by_object),
        (&by_object, &one_to_one),
        (&by_object, &outside("172.16.4.0/28", "others")),
        (&one_to_one, &outside("172.16.4.0/24", "10.200.2.0/24")),
    ] {
        let problem = refuse(&with_both(&format!("{first}\n{second}#!\n{objects}")), VIRTUAL[1]);
        assert!(
            matches!(&problem, Problem::Overlap { other_field, .. } if other_field == VIRTUAL[0]),
            "{problem}"
        );
    }
    assert_eq!(accepted(&format!("{by_object}\n{objects}")).len(), 1);
    // Each vnet is a space of its own, and local hosts may be of several: the destination tells.
    let other = format!(
        "{}{}\n{}\n",
        VNET.replace("corp", "other"),
        inside("10.1.0.0/24", "10.200.1.0/24"),
        outside("172.16.5.0/28", "10.200.0.0/16")
    );
    assert!(
        parse(&with_vnet(&format!("{}\n{many}\n{other}", inside("10.1.0.0/24", "10.200.7.0/24")))).is_ok()
    );
}

#[test]
fn pools_of_several_vnets_are_disjoint() {
    let other = VNET.replace("corp", "other");
    let pool = |local: &str| outside(local, "10.200.0.0/16");
    let text = format!("{}\n{other}{}", pool("172.16.2.0/24"), mark_local(&pool("172.16.2.7/32")));
    let problem = refuse(&with_vnet(&text), "vnet[1].outside_nat[0].local");
    assert!(matches!(problem, Problem::Overlap { .. }), "{problem}");
}
