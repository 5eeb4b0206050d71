//! Scopes, as a request asks for them and as a token holds them: a ceiling that nothing on the way
//! may raise.

use seawall_types::RepositoryName;
use seawall_types::scope::{Action, MAX_RESOURCE_NAME_BYTES, MAX_SCOPE_BYTES, MAX_SCOPES, Scopes};

use crate::{survives_json, text};

/// The values of `scope` parameters, one in each line; and the `access` claim of a token.
pub(crate) fn scopes(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(scopes) = Scopes::parse(text.split('\n')) {
        asked(text, &scopes);
    }
    if let Ok(held) = serde_json::from_str::<Scopes>(text) {
        survives_json(&held);
    }
}

fn asked(text: &str, scopes: &Scopes) {
    assert!(text.len() <= MAX_SCOPE_BYTES + text.matches('\n').count());
    assert!(scopes.len() <= MAX_SCOPES);
    survives_json(scopes);
    let written = scopes.to_string();
    assert_eq!(Scopes::parse([written.as_str()]).as_ref(), Ok(scopes));
    for scope in scopes.iter() {
        assert!((1..=MAX_RESOURCE_NAME_BYTES).contains(&scope.name.len()));
        // It goes into a quoted string of a challenge.
        assert!(
            scope
                .name
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"\"\\,".contains(&b))
        );
        assert!(text.contains(&scope.name), "a name that nobody asked for");
        let Some(name) = scope.as_repository() else {
            continue;
        };
        for action in [Action::Pull, Action::Push, Action::Delete] {
            let word = scope.actions.contains(&action) || scope.actions.contains(&Action::All);
            assert!(!word || scopes.allow(&name, action));
            let asked = text.contains(action.as_str()) || text.contains('*');
            assert!(
                asked || !scopes.allow(&name, action),
                "more than was asked for"
            );
        }
    }
    let nobody = RepositoryName::from_parts("nobody-asked", "for/this").expect("a name");
    let named = text.contains("nobody-asked");
    assert!(named || !scopes.allow(&nobody, Action::Pull));
    assert!(!scopes.only_pull() || !scopes.allow_catalog());
}
