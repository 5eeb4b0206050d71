//! What a route says of itself, from which documents for people and for programs are generated.
//!
//! Nothing here has a part in serving a request.

use ::http::StatusCode;
use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};

/// Gives the schema of a body.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamPlace {
    /// In the path.
    Path,
    /// In the query.
    Query,
}

/// A parameter of a route.
#[derive(Debug, Clone, Copy)]
pub struct ParamDocumentation {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub place: ParamPlace,
    /// What it means, in a sentence.
    pub description: &'static str,
    /// A valid value. Tests that ask every route write it into the path.
    pub example: &'static str,
}

/// An answer of a route.
#[derive(Debug, Clone, Copy)]
pub struct ResponseDocumentation {
    /// Its status.
    pub status: StatusCode,
    /// When it is given, in a sentence.
    pub description: &'static str,
    /// Its body, if it has one that is JSON.
    pub schema: Option<SchemaOf>,
}

/// What a route says of itself.
#[derive(Debug, Clone, Default)]
pub struct Documentation {
    /// What the route does, in a sentence.
    pub summary: &'static str,
    /// The group that it belongs to; its feature, if it says nothing.
    pub tag: Option<&'static str>,
    /// Its parameters.
    pub params: Vec<ParamDocumentation>,
    /// The body that it takes, if that is JSON.
    pub request: Option<SchemaOf>,
    /// Its answers.
    pub responses: Vec<ResponseDocumentation>,
}

impl Documentation {
    /// The example of the parameter of the path.
    pub fn example(&self, name: &str) -> Option<&'static str> {
        let mut params = self.path_params();
        params
            .find(|param| param.name == name)
            .map(|param| param.example)
    }

    pub(super) fn path_params(&self) -> impl Iterator<Item = &ParamDocumentation> {
        let params = self.params.iter();
        params.filter(|param| param.place == ParamPlace::Path)
    }
}

pub(super) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
