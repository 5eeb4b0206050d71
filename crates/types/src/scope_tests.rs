//! Tests of the parser and the set of scopes.

use proptest::prelude::*;

use super::*;

fn parse(values: &[&str]) -> Scopes {
    Scopes::parse(values.iter().copied()).unwrap()
}

#[test]
fn scopes_are_merged_and_sorted() {
    let one = parse(&[
        "repository:b:pull repository:a:push,pull",
        "",
        "repository:b:pull,push",
    ]);
    assert_eq!(
        one.to_string(),
        "repository:a:pull,push repository:b:pull,push"
    );
    assert_eq!(one.len(), 2);
    let access = concat!(
        r#"[{"type":"repository","name":"a","actions":["pull","push"]},"#,
        r#"{"type":"repository","name":"b","actions":["pull","push"]}]"#,
    );
    assert_eq!(serde_json::to_string(&one).unwrap(), access);
    assert_eq!(serde_json::from_str::<Scopes>(access).unwrap(), one);
}

#[test]
fn what_is_unknown_is_dropped() {
    assert!(parse(&["pluginregistry:x:pull"]).is_empty());
    assert_eq!(
        parse(&["repository:a:pull,fly"]).to_string(),
        "repository:a:pull"
    );
    assert_eq!(
        parse(&["repository:a:"]).to_string(),
        "repository:a:",
        "asked for, to be answered"
    );
    assert_eq!(
        parse(&["repository:a:pull,,push"]).to_string(),
        "repository:a:pull,push"
    );
    for action in [
        "metadata_read",
        "scanner-pull",
        "Pull",
        "pull;push",
        "pu*",
        "v2.read",
        "\u{e4}",
    ] {
        let text = format!("repository:a:pull,{action}");
        assert_eq!(parse(&[&text]).to_string(), "repository:a:pull", "{action}");
    }
    let odd = concat!(
        r#"[{"type":"cabinet","name":"x","actions":["open"]},"#,
        r#"{"type":"repository","class":"image","name":"a","actions":["fly","pull"]}]"#,
    );
    assert_eq!(
        serde_json::from_str::<Scopes>(odd).unwrap().to_string(),
        "repository:a:pull"
    );
}

#[test]
fn a_class_is_dropped() {
    assert_eq!(
        parse(&["repository(plugin):a/b:pull"]).to_string(),
        "repository:a/b:pull"
    );
}

#[test]
fn a_name_may_hold_a_port() {
    let scopes = parse(&["repository:localhost:5000/a/b:pull"]);
    let scope = scopes.iter().next().unwrap();
    assert_eq!(scope.name, "localhost:5000/a/b");
    assert_eq!(scope.as_repository(), None);
}

#[test]
fn what_is_malformed_is_refused() {
    for text in [
        "repository",
        "repository:a",
        ":a:pull",
        "repository::pull",
        "Repository:a:pull",
        "repository(:a:pull",
        "repository():a:pull",
        "repository(x)y:a:pull",
        "repository:a\"b:pull",
        "repository:a\u{e4}:pull",
    ] {
        assert_eq!(Scopes::parse([text]), Err(ScopeError::Malformed), "{text}");
    }
}

#[test]
fn numbers_and_lengths_are_limited() {
    let many = |count| {
        (0..count)
            .map(|n| format!("repository:r{n}:pull"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(parse(&[&many(MAX_SCOPES)]).len(), MAX_SCOPES);
    assert_eq!(
        Scopes::parse([many(MAX_SCOPES + 1).as_str()]),
        Err(ScopeError::TooMany)
    );
    let long = " ".repeat(MAX_SCOPE_BYTES);
    assert!(Scopes::parse([long.as_str()]).is_ok());
    assert_eq!(
        Scopes::parse([long.as_str(), "a"]),
        Err(ScopeError::TooMany)
    );
    let name = "a".repeat(MAX_RESOURCE_NAME_BYTES + 1);
    let scope = format!("repository:{name}:pull");
    assert_eq!(Scopes::parse([scope.as_str()]), Err(ScopeError::Malformed));
}

#[test]
fn a_short_name_holds_for_the_long_one() {
    let name = |text| RepositoryName::parse(text).unwrap();
    let short = parse(&["repository:hello:pull"]);
    assert!(short.allow(&name("hello"), Action::Pull));
    assert!(short.allow(&name("library/hello"), Action::Pull));
    assert!(!short.allow(&name("other/hello"), Action::Pull));
    assert!(!short.allow(&name("hello"), Action::Push));
    assert!(parse(&["repository:library/hello:*"]).allow(&name("hello"), Action::Delete));
    assert!(!parse(&["repository:hello/world:pull"]).allow(&name("hello"), Action::Pull));
}

#[test]
fn the_catalog_has_a_scope_of_its_own() {
    assert_eq!(Scope::catalog().to_string(), "registry:catalog:*");
    assert!(parse(&["registry:catalog:*"]).allow_catalog());
    assert!(!parse(&["repository:catalog:*"]).allow_catalog());
}

#[test]
fn only_pulls_inherit_the_lane_of_pulls() {
    assert!(parse(&["repository:a:pull", "repository:b:pull"]).only_pull());
    assert!(!parse(&["repository:a:pull,push"]).only_pull());
    assert!(!parse(&["registry:catalog:*"]).only_pull());
    assert!(!Scopes::none().only_pull(), "a login check is not a pull");
}

proptest! {
    #[test]
    fn scopes_lead_back(
        entries in proptest::collection::vec(("[a-z0-9/:.-]{1,9}", proptest::sample::subsequence(
            vec![Action::Pull, Action::Push, Action::Delete, Action::All], 0..=4)), 0..9)
    ) {
        let scopes: Scopes = entries.into_iter().map(|(name, actions)| Scope {
            kind: ResourceKind::Repository, name, actions: actions.into_iter().collect(),
        }).collect();
        prop_assert_eq!(&Scopes::parse([scopes.to_string().as_str()]).unwrap(), &scopes);
        let json = serde_json::to_string(&scopes).unwrap();
        prop_assert_eq!(serde_json::from_str::<Scopes>(&json).unwrap(), scopes);
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,60}") {
        let _ = Scopes::parse([text.as_str()]);
    }
}
