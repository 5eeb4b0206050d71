//! Notes over HTTP: `PUT /notes/{name}?digest=…` writes one, `GET /notes/{name}` shows all.

use std::sync::Arc;

use http::StatusCode;
use seawall_kernel::auth::ActKind;
use seawall_kernel::http::{Answer, Call, Response, Route};
use seawall_registry::acts::{Pull, Push};
use seawall_types::lane::Lane;
use seawall_types::{Digest, Error, Reason, Result};

use super::{NoteWritten, Notes, read, write};

const PATH: &str = "/notes/{name...}";

/// The most bytes of a note.
const LONGEST: usize = 1000;

pub(super) fn routes(notes: &Arc<Notes>) -> [Route; 2] {
    [
        Route::get("notes.show", PATH)
            .lane(Lane::Interactive)
            .act(ActKind::Pull)
            .to(notes, show),
        Route::put("notes.write", PATH)
            .lane(Lane::Interactive)
            .act(ActKind::Push)
            .handler(put),
    ]
}

async fn show(notes: Arc<Notes>, call: Call) -> Result<Response> {
    let repo = call.op.repo::<Pull>(&call.name()?).await?;
    let words = read(&notes, &call.op, &repo).await?;
    Answer::new(StatusCode::OK).whole(&call, words)
}

async fn put(call: Call) -> Result<Response> {
    let repo = call.op.repo::<Push>(&call.name()?).await?;
    let digest = Digest::parse(call.query().get("digest").unwrap_or_default())?;
    let words = String::from_utf8(call.bytes(LONGEST).await?.into())
        .map_err(|_| Error::new(Reason::BadRequest, "a note is UTF-8"))?;
    write(&call.op, &repo, NoteWritten { digest, words }).await?;
    Answer::new(StatusCode::CREATED).empty()
}
