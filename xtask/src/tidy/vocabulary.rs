//! One name means one thing: no public type is defined by two crates, and a name that was given up
//! does not come back.

use std::collections::BTreeMap;

use super::Finding;
use super::rings::crate_of;
use super::source::RustFile;

const RULE: &str = "vocabulary";

/// Names that every crate may use for its own, as is the custom in Rust.
const CUSTOMARY: &[&str] = &["Config", "Error", "Result"];

/// Type names that were given up, and what is said now. A bare participle, a verb or a metaphor
/// says nothing to a reader who knows the field.
const RETIRED: &[(&str, &str)] = &[
    ("Abort", "`AttemptError`"),
    ("Accept", "`Acceptor`"),
    ("Acted", "`FinalOp`"),
    ("Addressed", "`UploadAddress`"),
    ("Admitted", "`ConnectionPermit`"),
    ("AllBut", "`RemainingKeys`"),
    ("Allowance", "`ShareLimits`"),
    ("Allowed", "`AllowedActions`"),
    ("AnswerHead", "`ResponseHead`"),
    ("Answering", "`ResponseInFlight`"),
    ("Appended", "`AppendOutcome`"),
    ("Arrival", "`StoreOutcome`"),
    ("AsItIs", "`TagState`"),
    ("Asked", "`ErrorContext`"),
    ("Assault", "`RunningAttack`"),
    ("Attempt", "`AttemptResult`"),
    ("Backend", "`DatabaseBackend`"),
    ("Bare", "`BareServers`"),
    ("Before", "`PreviousTarget`"),
    ("Begun", "`RequestStart`"),
    ("Besieged", "`AttackFindings`"),
    ("Bind", "`BoundValue`"),
    ("Booked", "`AppliedStep`"),
    ("BrokenConnections", "`ReconnectBudget`"),
    ("BufferUse", "`BufferUsage`"),
    ("Caps", "`ConnectionCaps`"),
    ("Case", "`AccessCase` or `ProbeCase`"),
    ("Chain", "`ErrorChain`"),
    ("Check", "`NamedCheck` or `ParserCheck`"),
    ("Claim", "`JobClaim` or `PasswordClaim`"),
    ("Clash", "`DeclarationClash`"),
    ("Class", "`ErrorClass` or `SegmentClass`"),
    ("Clear", "`ClearStep`"),
    ("Committed", "`CommitOutcome`"),
    ("Common", "`CommonOptions`"),
    ("Connected", "`ConnectResult`"),
    ("Contestant", "`Competitor`"),
    ("Core", "`CoreServices`"),
    ("Counted", "`GaugeGuard` or `CountKey`"),
    ("Current", "`LockedTag`"),
    ("Declared", "`Declaration`"),
    ("Desk", "`CommandContext`"),
    ("Dice", "`SeededRandom` or `SeededRng`"),
    ("Disk", "`DiskFiles`"),
    (
        "Done",
        "`ExecuteOutcome` or `PutOutcome` or `CommandResult` or `CompletedStep`",
    ),
    ("Door", "`PublicEndpoint`"),
    ("Draft", "`NewKey` or `NewManifest`"),
    ("Drawn", "`RenderedSql`"),
    ("Due", "`DueJob`"),
    ("Ended", "`StopOutcome` or `DeliveryEnd` or `EndedUploads`"),
    ("Existing", "`ExistingAct`"),
    ("Expect", "`Expectation`"),
    ("Facts", "`FileMetadata` or `ServerFacts`"),
    ("Finished", "`FinishOutcome`"),
    ("Flavour", "`ServerProduct`"),
    ("Flight", "`FlightWaiter`"),
    ("Follow", "`PathSeed`"),
    ("Forget", "`ForgetManifests`"),
    ("ForgetUsage", "`PruneUsage`"),
    ("Fort", "`AttackedServer`"),
    (
        "Found",
        "`FoundRepository` or `RouteMatch` or `RequestedManifest` or `RestFindings`",
    ),
    ("Front", "`Frontend`"),
    ("Gauge", "`EffortGauge`"),
    ("Given", "`Presence`"),
    ("Got", "`Lookup`"),
    ("Graceful", "`GracefulConnection`"),
    ("Ground", "`Runtime`"),
    ("Guarded", "`FloodGuard`"),
    ("Handler", "`RouteHandler`"),
    ("Handles", "`MetricHandles`"),
    ("Held", "`LockedUpload` or `HeldCursor`"),
    ("History", "`MigrationHistory`"),
    ("Hold", "`UploadLock`"),
    ("Holds", "`UploadLocks`"),
    ("House", "`App`"),
    ("Idle", "`IdleConnection`"),
    ("Invalid", "`RuleViolation`"),
    ("Issued", "`IssuedToken`"),
    ("Issuer", "`TestIssuer`"),
    ("Journal", "`AccessLog` or `ClientJournal`"),
    ("Keep", "`ValueSeed`"),
    ("Keeper", "`BlobKeeper`"),
    ("KeyIs", "`KeySeed`"),
    ("Kind", "`KindWorkers` or `StaticKind` or `RegistryProduct`"),
    ("Landed", "`Outcome`"),
    ("Last", "`FinalStep`"),
    ("Leave", "`LiveGuard`"),
    ("Lent", "`PooledConnection`"),
    ("Listed", "`ListedBlob` or `TagPage` or `UnmatchedFiles`"),
    ("Loaded", "`LoadedValue`"),
    ("Long", "`LongVersion`"),
    ("Look", "`PollQuery`"),
    ("Loose", "`UntrackedSpawner`"),
    ("Luck", "`SyncOutcome`"),
    ("Management", "`ManagementConfig`"),
    ("Many", "`DescriptorListSeed`"),
    ("Mount", "`DialectMount`"),
    ("Moved", "`UpdatedTag`"),
    ("MovedClock", "`ShiftedClock`"),
    ("Moving", "`TagUpdate`"),
    ("Named", "`NamedShape`"),
    ("NamedBlob", "`KeptBlob`"),
    ("NamedBlobs", "`KeptBlobPage`"),
    ("Needs", "`Requirement` or `FixtureNeeds`"),
    ("Object", "`ObjectSeed`"),
    ("Oci", "`OciDialect`"),
    ("One", "`DescriptorSeed` or `SectionSeed`"),
    (
        "Open",
        "`OpenConnections` or `OpenConnection` or `OpenLists`",
    ),
    ("Opening", "`StoreOptions` or `StartUpload`"),
    ("Operation", "`FileOperation`"),
    ("Ops", "`ManagementRoutes`"),
    ("Pace", "`BodyRate`"),
    ("PageEnd", "`PageCursor`"),
    ("Pair", "`AttackPair`"),
    ("Patience", "`BodyTimeouts`"),
    ("Pointed", "`TagTarget`"),
    ("Pointer", "`ManifestEdge`"),
    ("Policy", "`ContentPolicy`"),
    ("Poll", "`PollOutcome`"),
    ("Present", "`TransactionActor`"),
    ("Progress", "`BodyProgress` or `UploadProgress`"),
    ("Proxy", "`TestProxy`"),
    ("Pulled", "`PullNotice`"),
    ("Pushed", "`PushHead`"),
    ("Put", "`PutManifest`"),
    ("Read", "`SectionValue` or `ReadStatement`"),
    ("Reader", "`CatalogReader`"),
    ("Reading", "`Pass` or `HashingReader`"),
    ("Recent", "`ExpiringCache`"),
    ("Record", "`FaultRecord`"),
    ("RecordedBody", "`CountedBody`"),
    ("Recurring", "`RecurringJob`"),
    ("References", "`ResolvedReferences`"),
    ("Refreshed", "`ReloadOutcome`"),
    ("Refusal", "`ConnectRefusal` or `StepRefusal`"),
    ("Refusals", "`RefusalReasons`"),
    (
        "Refused",
        "`LimitError` or `ConnectionRefusal` or `LastRefusal`",
    ),
    ("Reply", "`WireReply`"),
    ("RequestLog", "`AccessLogWriter`"),
    ("Requests", "`RequestCapture`"),
    ("Rider", "`Member`"),
    ("Rig", "`Harness`"),
    ("Right", "`PasswordMatch`"),
    ("Ring", "`KeyRing`"),
    ("Role", "`FlightRole`"),
    ("Rule", "`ActRule`"),
    (
        "Running",
        "`RequestInFlight` or `BufferInFlight` or `RunningJob` or `RunningRegistry`",
    ),
    ("Said", "`TokenContents`"),
    ("Scribe", "`Recorder`"),
    ("Seats", "`CpuLimiter`"),
    ("Secure", "`TlsEndpoint`"),
    ("Seen", "`Observed` or `NoteCounters` or `LoggedRequest`"),
    ("Sent", "`UploadBytes`"),
    ("Served", "`RequestOutcome` or `CachedManifest`"),
    ("Shape", "`ChangeShape`"),
    ("Share", "`MemoryShare`"),
    ("Shelf", "`ManifestCache` or `ListData`"),
    ("Shelves", "`ListDataPair`"),
    ("Siege", "`AttackTables`"),
    ("Silence", "`NoReply`"),
    ("Skip", "`SkipSeed`"),
    ("Sources", "`ConfigSources` or `ServerSources`"),
    ("Spawn", "`Spawner`"),
    ("Spec", "`RangeSpec`"),
    ("Spot", "`TagPointer`"),
    ("Stall", "`StallGuard`"),
    ("Standing", "`OpenTransaction` or `CredentialState`"),
    ("Stat", "`BlobStat`"),
    ("Stats", "`ConnectionStats`"),
    (
        "Stored",
        "`StoredBlob` or `StoredEvent` or `StoredPassword`",
    ),
    ("Sweep", "`SweepUploads`"),
    ("Swept", "`SweepOutcome`"),
    ("TableError", "`RouteTableError`"),
    (
        "Taken",
        "`BorrowedDatabase` or `AcceptedRequest` or `DeletedTags`",
    ),
    ("Tally", "`ClientTally` or `AttackTally`"),
    ("Terms", "`ClaimTerms`"),
    ("TextMap", "`StringMapSeed`"),
    ("Texts", "`StringListSeed`"),
    ("Ticket", "`UploadToken`"),
    ("Timed", "`TimedRows`"),
    ("Tls", "`TlsFiles`"),
    ("Tracked", "`TrackedExecutor`"),
    ("Traits", "`StatementTraits`"),
    ("Trusted", "`TrustedProxies`"),
    ("Turn", "`VerificationTurn`"),
    ("Unnamed", "`UnnamedShape`"),
    ("Untag", "`UntagManifest`"),
    ("UserName", "`UserArgument`"),
    ("Values", "`SectionValues`"),
    ("Variable", "`EnvironmentVariable`"),
    ("Verdict", "`Judgement` or `StepVerdict` or `AttackMedians`"),
    ("Verified", "`VerifiedToken`"),
    ("Violated", "`BrokenPromise`"),
    ("Waiting", "`QueuedMember`"),
    ("Walk", "`NamespaceWalk`"),
    ("Walked", "`ManifestRow`"),
    (
        "Wanted",
        "`RequestedAccess` or `TokenOptions` or `RequestedBlob` or `ReferrerFilter` or `ExpectedAnswer`",
    ),
    ("Watch", "`DeadlineWatch` or `PullWatcher`"),
    ("Watchers", "`PullWatchers`"),
    ("Way", "`Protocol`"),
    ("Weapons", "`AttackContext`"),
    ("Weigh", "`MemorySize`"),
    ("Who", "`ActorIdentity`"),
    ("Without", "`RemainingKeysVisitor`"),
    (
        "Work",
        "`TaskFuture` or `AppendStep` or `WriterState` or `Workload`",
    ),
    ("World", "`ClientModel`"),
    ("WrongSize", "`SizeMismatch`"),
];

/// Checks all files together, since only together do they show that a name is defined twice.
pub fn check(files: &[RustFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for file in files {
        let Some(owner) = crate_of(&file.path).filter(|_| !is_test(file)) else {
            continue;
        };
        for (line, code) in file.code_lines() {
            let Some((name, public)) = defined_type(code) else {
                continue;
            };
            if let Some((_, now)) = RETIRED.iter().find(|(retired, _)| *retired == name) {
                let text = format!("`{name}` was given up; say what it is, such as {now}");
                findings.push(Finding::new(RULE, &file.path, line, text));
            }
            let counts = public && !file.is_test_line(line) && !CUSTOMARY.contains(&name);
            let first = counts.then(|| *owners.entry(name.to_owned()).or_insert(owner));
            if let Some(other) = first.filter(|other| *other != owner) {
                let text = format!("`{name}` is defined by {other}, too: one name, one thing");
                findings.push(Finding::new(RULE, &file.path, line, text));
            }
        }
    }
    findings
}

/// Test code may stage things under names of its own.
fn is_test(file: &RustFile) -> bool {
    file.is_test_file() && !file.path.starts_with("testkit/")
}

/// The name of the type that a line of code defines, and whether it is public without a
/// restriction.
fn defined_type(code: &str) -> Option<(&str, bool)> {
    let code = code.trim_start();
    let (public, rest) = match code.strip_prefix("pub") {
        Some(rest) if rest.starts_with(' ') => (true, rest),
        Some(rest) if rest.starts_with('(') => (false, rest.split_once(')')?.1),
        _ => (false, code),
    };
    let mut words = rest.split_whitespace();
    let keyword = words.next()?;
    let is_type = ["struct", "enum", "trait", "type"].contains(&keyword);
    let rest = is_type.then(|| words.next()).flatten()?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    let name = rest.get(..end.unwrap_or(rest.len()))?;
    name.starts_with(|c: char| c.is_ascii_uppercase())
        .then_some((name, public))
}
