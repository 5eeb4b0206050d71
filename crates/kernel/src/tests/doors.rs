//! What changes or lists a namespace, a user, a repository or the whole installation demands what a
//! judgement gives out: an operation by itself is not enough.
//!
//! The proof is that this compiles: each function is named with the arguments that it takes. That
//! what they demand is made by a judgement only is shown beside [`crate::Installation`].

use seawall_meta::Tx;
use seawall_types::ids::{CredentialId, RepositoryId};
use seawall_types::name::NamespaceName;
use seawall_types::permission::{NamespaceRole, Role, Visibility};

use crate::auth::{Administer, Inspect, ManageCredentials};
use crate::catalog::{grants, namespaces, principals, repositories};
use crate::{Installation, Namespace, Op, Repo, User};

#[test]
fn no_function_of_the_catalog_takes_an_operation_alone() {
    let _: fn(&'static Op, &'static Installation<Administer>, &'static NamespaceName) -> _ =
        namespaces::create_organization;
    let _: fn(&'static Op, &'static Namespace<Administer>) -> _ = namespaces::delete_organization;
    let _: fn(&'static Op, &'static Installation<Inspect>) -> _ = namespaces::list;
    let _: fn(
        &'static Op,
        &'static Namespace<Administer>,
        &'static str,
        Option<NamespaceRole>,
    ) -> _ = grants::on_namespace;
    let _: fn(&'static Op, &'static Namespace<Administer>) -> _ = grants::list_on_namespace;
    let _: fn(&'static Op, &'static Repo<Administer>, &'static str, Option<Role>) -> _ =
        grants::on_repository;
    let _: fn(&'static Op, &'static Repo<Administer>) -> _ = grants::list_on_repository;
    let _: fn(&'static Op, &'static Repo<Administer>, Visibility) -> _ =
        repositories::set_visibility;
    let _: fn(&'static Op, &'static Repo<Administer>) -> _ = repositories::delete;
    let _: fn(&'static Op, &'static Installation<Inspect>) -> _ = repositories::list;
    let _: fn(&'static Op, &'static Installation<Inspect>) -> _ = repositories::clearing;
    let _: fn(&'static Op, &'static Installation<Inspect>, RepositoryId, u32) -> _ =
        repositories::walk;
    let _: fn(
        &'static mut Tx,
        &'static Op,
        &'static Installation<Administer>,
        &'static NamespaceName,
        bool,
    ) -> _ = principals::create_user;
    let _: fn(&'static mut Tx, &'static User<ManageCredentials>, Option<CredentialId>) -> _ =
        principals::alter;
    let _: fn(&'static mut Tx, &'static Op, &'static User<Administer>, bool) -> _ =
        principals::set_enabled;
    let _: fn(&'static mut Tx, &'static Op, &'static User<Administer>) -> _ =
        principals::delete_user;
    let _: fn(&'static Op, &'static Installation<Inspect>) -> _ = principals::list_users;
}
