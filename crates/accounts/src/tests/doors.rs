//! What changes or lists users and their credentials demands what a judgement gives out.
//!
//! The proof is that this compiles: each function is named with the arguments that it takes.

use seawall_kernel::auth::{Administer, Inspect, ManageCredentials};
use seawall_kernel::{Installation, Op, User};
use seawall_types::{CredentialId, Secret};

use crate::{Directory, NewUser};

#[test]
fn no_function_of_the_directory_takes_an_operation_alone() {
    let _: fn(&'static Directory, &'static Op, &'static Installation<Administer>, NewUser) -> _ =
        Directory::create_user;
    let _: fn(
        &'static Directory,
        &'static Op,
        &'static User<ManageCredentials>,
        Option<Secret>,
    ) -> _ = Directory::set_password;
    let _: fn(&'static Directory, &'static Op, &'static User<Administer>, bool) -> _ =
        Directory::set_enabled;
    let _: fn(&'static Directory, &'static Op, &'static User<Administer>) -> _ =
        Directory::delete_user;
    let _: fn(&'static Directory, &'static Op, &'static Installation<Inspect>) -> _ =
        Directory::list_users;
    let _: fn(&'static Directory, &'static Op, &'static User<ManageCredentials>) -> _ =
        Directory::list_refresh_tokens;
    let _: fn(
        &'static Directory,
        &'static Op,
        &'static User<ManageCredentials>,
        Option<CredentialId>,
    ) -> _ = Directory::revoke_refresh_tokens;
    let _: fn(&'static Directory, &'static Op, &'static Installation<Administer>) -> _ =
        Directory::rotate_keys;
}
