//! Notes over HTTP: `PUT /notes/{name}?digest=…` writes one, as plain text, `POST /notes/{name}` as
//! JSON; `GET /notes/{name}` shows all, `GET /notes/{name}/pages` page by page.

use std::sync::Arc;

use http::StatusCode;
use seawall_kernel::auth::ActKind;
use seawall_kernel::http::{Answer, Call, Paging, Response, Route};
use seawall_registry::acts::{Pull, Push};
use seawall_types::lane::Lane;
use seawall_types::{Digest, Error, Reason, Result};
use serde::{Deserialize, Serialize};

use super::{NoteWritten, Notes, page, read, write};

const PATH: &str = "/notes/{name...}";
const PAGES: &str = "/notes/{name...}/pages";

const PAGING: Paging = Paging {
    limit: "limit",
    cursor: "next_page",
    default: 2,
    most: 3,
};

/// A note as it is posted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostedNote {
    digest: Digest,
    words: String,
}

/// A page of notes.
#[derive(Serialize)]
struct NotePage {
    notes: Vec<String>,
}

/// The most bytes of a note.
const LONGEST: usize = 1000;

pub(super) fn routes(notes: &Arc<Notes>) -> [Route; 4] {
    [
        Route::get("notes.show", PATH)
            .lane(Lane::Interactive)
            .act(ActKind::Pull)
            .to(notes, show),
        Route::put("notes.write", PATH)
            .lane(Lane::Interactive)
            .act(ActKind::Push)
            .handler(put),
        Route::post("notes.post", PATH)
            .lane(Lane::Interactive)
            .act(ActKind::Push)
            .body_limit(2000)
            .handler(post),
        Route::get("notes.pages", PAGES)
            .lane(Lane::Listing)
            .act(ActKind::Pull)
            .handler(pages),
    ]
}

async fn show(notes: Arc<Notes>, call: Call) -> Result<Response> {
    let repo = call.op.repo::<Pull>(&call.name()?).await?;
    let words = read(&notes, &call.op, &repo).await?;
    Answer::new(StatusCode::OK).whole(call.method(), words)
}

async fn put(call: Call) -> Result<Response> {
    let repo = call.op.repo::<Push>(&call.name()?).await?;
    let digest = Digest::parse(call.query().get("digest").unwrap_or_default())?;
    let words = String::from_utf8(call.bytes(LONGEST).await?.into())
        .map_err(|_| Error::new(Reason::BadRequest, "a note is UTF-8"))?;
    write(&call.op, &repo, NoteWritten { digest, words }).await?;
    Answer::new(StatusCode::CREATED).empty()
}

async fn post(call: Call) -> Result<Response> {
    let repo = call.op.repo::<Push>(&call.name()?).await?;
    let PostedNote { digest, words } = call.json().await?;
    if words.len() > LONGEST {
        return Err(Error::new(
            Reason::TooLarge,
            "a note has 1000 bytes at most",
        ));
    }
    write(&call.op, &repo, NoteWritten { digest, words }).await?;
    Answer::new(StatusCode::CREATED).empty()
}

async fn pages(call: Call) -> Result<Response> {
    let name = call.name()?;
    let repo = call.op.repo::<Pull>(&name).await?;
    let filter = name.to_string();
    let asked = call.page(&PAGING, &filter)?;
    let after = asked.after.as_deref().map(Digest::parse).transpose()?;
    let (notes, last) = page(&call.op, &repo, after, asked.limit).await?;
    let link = last.map(|last| call.next_page(&PAGING, &filter, &last.to_string()));
    let link = link.transpose()?;
    Answer::new(StatusCode::OK)
        .next_page(link)
        .json(&NotePage { notes })
}
