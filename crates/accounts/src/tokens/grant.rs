//! What is granted of what was asked for (protocol §13.2): asked ∩ allowed, and less is no
//! error.

use std::collections::{BTreeSet, HashMap};

use seawall_kernel::Op;
use seawall_kernel::catalog::AllowedActions;
use seawall_types::lane::Lane;
use seawall_types::scope::{Action, ResourceKind, Scope, Scopes};
use seawall_types::{Error, Reason, Result};

/// More different resources than one token needs.
const MOST_SCOPES: usize = 64;
/// The same for callers without credentials, who ask for one image and what it is made from.
const MOST_SCOPES_OF_STRANGERS: usize = 8;

/// Parses the values of all `scope` parameters. Errors: `BadRequest`.
pub(crate) fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Scopes> {
    let scopes = Scopes::parse(values)?;
    if scopes.len() > MOST_SCOPES {
        let words = format!("more than {MOST_SCOPES} scopes in one request");
        return Err(Error::new(Reason::BadRequest, words));
    }
    Ok(scopes)
}

/// Errors: `BadRequest` for more than a caller without credentials may ask for.
pub(crate) fn few(scopes: &Scopes) -> Result<()> {
    if scopes.len() <= MOST_SCOPES_OF_STRANGERS {
        return Ok(());
    }
    let words = format!("more than {MOST_SCOPES_OF_STRANGERS} scopes without credentials");
    Err(Error::new(Reason::BadRequest, words))
}

/// The lane of a request for these scopes: who asks to pull only goes with the pulls.
pub(crate) fn lane(scopes: &Scopes) -> Lane {
    if scopes.is_empty() {
        Lane::Interactive
    } else if scopes.only_pull() {
        Lane::Pull
    } else {
        Lane::Push
    }
}

/// What this operation's subject gets of `asked`. Costs one read for all repositories together.
pub(crate) async fn intersect(op: &Op, asked: &Scopes) -> Result<Scopes> {
    let allowed = allowed(op, asked).await?;
    let mut granted = Scopes::none();
    for scope in asked.iter() {
        let actions = match (scope.kind, scope.as_repository()) {
            (ResourceKind::Registry, _) => catalog(op, &scope),
            (ResourceKind::Repository, Some(name)) => {
                let allowed = allowed.get(name.as_canonical()).copied();
                reduce(&scope.actions, |action| {
                    allowed.is_some_and(|allowed| allowed.grants(action))
                })
            }
            (ResourceKind::Repository, None) => BTreeSet::new(),
        };
        if !actions.is_empty() {
            granted.insert(Scope { actions, ..scope });
        }
    }
    Ok(granted)
}

/// What the subject may do, by canonical name: `hello` and `library/hello` are one repository.
async fn allowed(op: &Op, asked: &Scopes) -> Result<HashMap<String, AllowedActions>> {
    let names = asked.iter().filter_map(|scope| scope.as_repository());
    let names: HashMap<_, _> = names
        .map(|name| (name.as_canonical().to_owned(), name))
        .collect();
    let (keys, names): (Vec<_>, Vec<_>) = names.into_iter().unzip();
    let allowed = op.allowed_each(&names).await?;
    Ok(keys.into_iter().zip(allowed).collect())
}

/// The catalog shows each caller what they may read, so every caller who may read anything may ask.
fn catalog(op: &Op, scope: &Scope) -> BTreeSet<Action> {
    if op.reads_public() && *scope == Scope::catalog() {
        scope.actions.clone()
    } else {
        BTreeSet::new()
    }
}

/// The actions asked for that are granted. `*` means whatever there is, so a caller who may not do
/// everything gets what they may: some clients ask for `*` where they only want to delete.
fn reduce(asked: &BTreeSet<Action>, grants: impl Fn(Action) -> bool) -> BTreeSet<Action> {
    let mut wanted = asked.clone();
    if asked.contains(&Action::All) && !grants(Action::All) {
        wanted.extend([Action::Pull, Action::Push, Action::Delete]);
    }
    wanted
        .into_iter()
        .filter(|action| grants(*action))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduced(asked: &[Action], granted: &[Action]) -> Vec<Action> {
        let asked = asked.iter().copied().collect();
        reduce(&asked, |action| granted.contains(&action))
            .into_iter()
            .collect()
    }

    #[test]
    fn less_is_granted_without_a_word() {
        use Action::{All, Delete, Pull, Push};
        let everything = [Pull, Push, Delete, All];
        let writer = [Pull, Push, Delete];
        assert_eq!(reduced(&[Pull, Push], &[Pull]), [Pull]);
        assert_eq!(reduced(&[Push], &[Pull]), []);
        assert_eq!(reduced(&[All], &everything), [All]);
        assert_eq!(reduced(&[All], &writer), [Pull, Push, Delete]);
        assert_eq!(reduced(&[All], &[Pull]), [Pull]);
        assert_eq!(reduced(&[], &everything), []);
    }

    #[test]
    fn the_lane_follows_what_is_asked() {
        let of = |text: &str| lane(&parse([text]).unwrap());
        assert_eq!(of(""), Lane::Interactive);
        assert_eq!(of("repository:a/b:pull"), Lane::Pull);
        assert_eq!(
            of("repository:a/b:pull repository:c/d:pull,push"),
            Lane::Push
        );
        assert_eq!(of("registry:catalog:*"), Lane::Push);
    }

    #[test]
    fn too_many_scopes_are_refused() {
        let some = |count: usize| {
            let scopes: Vec<_> = (0..count)
                .map(|n| format!("repository:a/b{n}:pull"))
                .collect();
            parse([scopes.join(" ").as_str()])
        };
        assert_eq!(some(MOST_SCOPES).unwrap().len(), MOST_SCOPES);
        assert_eq!(
            some(MOST_SCOPES + 1).unwrap_err().reason,
            Reason::BadRequest
        );
        assert_eq!(
            parse(["repository"]).unwrap_err().reason,
            Reason::BadRequest
        );
    }
}
