//! What a rule can do.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use gridway_config::{AclAction, Config, ConfigErrors, Detail};

fn parse(action: &str) -> Result<Config, ConfigErrors> {
    let example = include_str!("../examples/gateway.toml");
    let at = example.find("\"reject\"").unwrap();
    let text = [&example[..at], action, &example[at + "\"reject\"".len()..]].concat();
    Config::parse(&text, Path::new("node.toml"))
}

#[test]
fn each_action_is_read_and_shown_as_written() {
    for (written, action) in
        [("allow", AclAction::Allow), ("reject", AclAction::Reject), ("drop", AclAction::Drop)]
    {
        let config = parse(&format!("\"{written}\"")).unwrap_or_else(|errors| panic!("{errors}"));
        let rule = &config.vnet("corp").unwrap().acl[0];
        assert_eq!((rule.action, rule.action.as_str()), (action, written));
        let shown = config.to_toml(Detail::Changed);
        assert!(shown.contains(&format!("action = \"{written}\"")), "{shown}");
        assert_eq!(Config::parse(&shown, Path::new("shown.toml")).unwrap(), config);
    }
}

#[test]
fn other_actions_are_refused_with_those_that_there_are() {
    for (action, found) in [("\"deny\"", "\"deny\""), ("\"Reject\"", "\"Reject\""), ("1", "1")] {
        let errors = parse(action).unwrap_err();
        let [error] = errors.errors() else { panic!("{errors}") };
        assert_eq!(error.field, "vnet[0].acl[0].action");
        let problem = format!("found {found}, expected \"allow\", \"reject\" or \"drop\"");
        assert_eq!(error.problem.to_string(), problem);
    }
}
