//! One client: it works until the server dies, and says afterwards what the server must show.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use http::Method;

use super::check::check;
use super::journal::ClientJournal;
use super::load::{Load, SeededRng};
use super::model::{ClientModel, ModelKey, Observed};
use super::step::{LabStep, StepVerdict};
use super::wire::{NoReply, Wire, WireReply, WireRequest};

/// How many of the things that were not touched since the last kill are asked for again.
const OLDER: usize = 40;

/// What a client has done, in numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientTally {
    /// Steps that were acknowledged.
    pub(super) acknowledged: u64,
    /// Steps that kills left unanswered, by kind, and how many of them had taken effect.
    pub(super) unanswered: BTreeMap<&'static str, (u64, u64)>,
    /// Answers that were compared after a restart.
    pub(super) compared: u64,
    /// Uploads that went on after a kill.
    pub(super) resumed: u64,
    /// Uploads that a finish without an answer had left without bytes.
    pub(super) lost: u64,
}

/// One client of the load.
pub(super) struct LabClient {
    load: Load,
    dice: SeededRng,
    world: ClientModel,
    unanswered: Option<LabStep>,
    touched: BTreeSet<ModelKey>,
    journal: ClientJournal,
    pub(super) tally: ClientTally,
    kill: u64,
}

/// Where the server is and who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerLogin<'a> {
    pub(super) address: SocketAddr,
    pub(super) who: (&'a str, &'a str),
}

impl ServerLogin<'_> {
    async fn open(self) -> Result<Wire, NoReply> {
        Wire::open(self.address, self.who).await
    }
}

impl LabClient {
    pub(super) fn new(seed: u64, number: usize, clients: usize) -> Self {
        Self {
            load: Load::new(seed, number, clients),
            dice: SeededRng::new(seed ^ number as u64),
            world: ClientModel::default(),
            unanswered: None,
            touched: BTreeSet::new(),
            journal: ClientJournal::default(),
            tally: ClientTally::default(),
            kill: 0,
        }
    }

    /// Sends one step after the other until the server is gone. An answer that no promise allows,
    /// or none while the server lives, ends it with the reason.
    pub(super) async fn work(&mut self, door: ServerLogin<'_>) -> Result<(), String> {
        let Ok(mut wire) = door.open().await else {
            return Ok(());
        };
        while self.unanswered.is_none() {
            let step = self.load.next(&self.world);
            self.send(&mut wire, step).await?;
        }
        Ok(())
    }

    async fn send(&mut self, wire: &mut Wire, step: LabStep) -> Result<(), String> {
        self.touched.extend(step.keys(&self.world));
        match wire.ask(step.ask(&self.world)).await {
            Ok(reply) => self.learn(step, &reply),
            Err(NoReply::Gone) => {
                self.note(&format!("{step}: no answer"));
                self.unanswered = Some(step);
                Ok(())
            }
            Err(NoReply::Stuck) => {
                let text = format!("{step}: the server keeps silent");
                Err(self.failure(&text, &[]))
            }
        }
    }

    fn learn(&mut self, step: LabStep, reply: &WireReply) -> Result<(), String> {
        let status = reply.status;
        self.note(&format!("{step}: {status}"));
        match step.judge(&self.world, status, reply.location()) {
            StepVerdict::Done(opened) => {
                self.touched.extend(opened.clone().map(ModelKey::Upload));
                self.world.take(&step, opened.as_deref());
            }
            StepVerdict::Opened(path) => {
                let LabStep::Mount {
                    repository,
                    digest,
                    bytes,
                    ..
                } = step
                else {
                    return Ok(());
                };
                let step = LabStep::Open {
                    repository,
                    digest,
                    bytes,
                };
                self.touched.insert(ModelKey::Upload(path.clone()));
                self.world.take(&step, Some(&path));
            }
            StepVerdict::Lost => {
                self.tally.lost += 1;
                let upload = step.upload().unwrap_or_default().to_owned();
                // Its row may go on telling of it, to a server that may have the bytes.
                self.touched.remove(&ModelKey::Upload(upload.clone()));
                self.world.take(&LabStep::Cancel { upload }, None);
            }
            StepVerdict::Refused => {
                let body = String::from_utf8_lossy(&reply.body);
                let text = format!("{step} was answered by {status} {body}");
                let words: Vec<_> = step.upload().map(str::to_owned).into_iter().collect();
                return Err(self.failure(&text, &words));
            }
        }
        self.tally.acknowledged += 1;
        Ok(())
    }

    /// Compares what the server shows with what it must, before anything else is sent: all that was
    /// touched since the last kill and a sample of the rest, or all there is.
    pub(super) async fn compare(
        &mut self,
        door: ServerLogin<'_>,
        whole: bool,
    ) -> Result<(), String> {
        self.kill += 1;
        let mut keys = std::mem::take(&mut self.touched);
        let all: Vec<_> = self.world.keys().into_iter().collect();
        if whole {
            keys.extend(all);
        } else {
            keys.extend((0..OLDER).filter_map(|_| self.dice.pick(&all).cloned()));
        }
        let mut wire = door.open().await.map_err(|it| self.unseen(it))?;
        let mut seen = BTreeMap::new();
        for key in keys {
            let found = look(&mut wire, &key).await;
            seen.insert(key, found.map_err(|it| self.unseen(it))?);
        }
        self.tally.compared += seen.len() as u64;
        let mut allowed = vec![self.world.clone()];
        let unanswered = self.unanswered.take();
        if let Some(step) = &unanswered {
            let mut after = self.world.clone();
            after.take(step, None);
            allowed.push(after);
        }
        let happened = check(&allowed, &seen).map_err(|found| {
            let words: Vec<_> = found.iter().map(|it| final_state(&it.key)).collect();
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            self.failure(&found.join("\n"), &words)
        })?;
        if let Some(step) = unanswered {
            self.settle(&step, allowed, happened);
        }
        Ok(())
    }

    /// Takes over the world that turned out to be the true one.
    fn settle(&mut self, step: &LabStep, mut allowed: Vec<ClientModel>, happened: usize) {
        let counted = self.tally.unanswered.entry(step.kind()).or_default();
        counted.0 += 1;
        counted.1 += happened as u64;
        self.world = allowed.swap_remove(happened);
        if happened == 0
            && let LabStep::Finish { upload } = step
            && let Some(upload) = self.world.uploads.get_mut(upload)
        {
            upload.doubtful = true;
        }
        let outcome = ["it did not happen", "it happened"][happened.min(1)];
        self.note(&format!("{step}: {outcome}"));
    }

    /// Goes on with one upload from where the server says it is, and ends it.
    pub(super) async fn resume(&mut self, door: ServerLogin<'_>) -> Result<(), String> {
        let uploads: Vec<_> = self.world.uploads.keys().cloned().collect();
        let Some(path) = self.dice.pick(&uploads).cloned() else {
            return Ok(());
        };
        let mut wire = door.open().await.map_err(|it| self.unseen(it))?;
        let it = &self.world.uploads[&path];
        let (until, all) = (it.bytes.len().midpoint(it.offset), it.bytes.len());
        let blob = ModelKey::Blob(it.repository.clone(), it.digest);
        if until > it.offset && until < all {
            let upload = path.clone();
            self.send(&mut wire, LabStep::Append { upload, until })
                .await?;
        }
        if self.world.uploads.contains_key(&path) {
            let upload = path.clone();
            self.send(&mut wire, LabStep::Finish { upload }).await?;
        }
        if let Some(step) = &self.unanswered {
            return Err(self.failure(&format!("{step}: the server is gone unasked"), &[]));
        }
        let must = self.world.shows(&blob);
        let found = look(&mut wire, &blob).await;
        let found = found.map_err(|it| self.unseen(it))?;
        if must != Observed::Nothing && found != must {
            let text = format!("{blob}, which was resumed, shows {found}, and must show {must}");
            return Err(self.failure(&text, &[path]));
        }
        self.tally.resumed += u64::from(must != Observed::Nothing);
        Ok(())
    }

    fn note(&mut self, text: &str) {
        self.journal.note(self.kill, text);
    }

    fn unseen(&self, silence: NoReply) -> String {
        let text = format!("the server that was started again does not answer: {silence:?}");
        self.failure(&text, &[])
    }

    fn failure(&self, text: &str, words: &[String]) -> String {
        let excerpt = self.journal.excerpt(words);
        format!("{text}\nThe client's journal, in part:\n{excerpt}")
    }
}

/// Its name in the journal.
fn final_state(key: &ModelKey) -> String {
    match key {
        ModelKey::Blob(_, digest) | ModelKey::Manifest(_, digest) => digest.to_string(),
        ModelKey::Tag(name, tag) => format!("{name} {tag} "),
        ModelKey::Tags(name) => format!("{name} v"),
        ModelKey::Upload(path) => path.clone(),
    }
}

/// Asks for one thing.
async fn look(wire: &mut Wire, key: &ModelKey) -> Result<Observed, NoReply> {
    let path = match key {
        ModelKey::Blob(name, digest) => format!("/v2/{name}/blobs/{digest}"),
        ModelKey::Manifest(name, digest) => format!("/v2/{name}/manifests/{digest}"),
        ModelKey::Tag(name, tag) => format!("/v2/{name}/manifests/{tag}"),
        ModelKey::Tags(name) => format!("/v2/{name}/tags/list"),
        ModelKey::Upload(path) => path.clone(),
    };
    let reply = wire.ask(WireRequest::new(Method::GET, path)).await?;
    Ok(match (reply.status, key) {
        (404, _) => Observed::Nothing,
        (204, ModelKey::Upload(_)) => match reply.header("range").unwrap_or_default() {
            "0-0" => Observed::Nothing,
            range => Observed::Range(range.to_owned()),
        },
        (200, ModelKey::Tags(_)) => names(&reply),
        (200, _) if reply.whole => Observed::Bytes(reply.body),
        (status, _) => Observed::Odd(format!(
            "{status} {:?}",
            reply.body.slice(..reply.body.len().min(300))
        )),
    })
}

fn names(reply: &WireReply) -> Observed {
    let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let Some(names) = json["tags"].as_array() else {
        return Observed::Odd(format!("{:?}", reply.body));
    };
    let names = names.iter().filter_map(|it| it.as_str());
    Observed::Names(names.map(str::to_owned).collect())
}
