//! What the report says besides figures: how to read them, how they came about, what they leave
//! out.

/// How to read the first table.
pub(super) const READING: &str = "
Figures are medians of the rounds. A ratio says how many times as good Seawall is; where less is
better, it is turned round. Beside it stands its goal.
";

/// How to read the second.
pub(super) const DETAILS: &str = "
Medians over the rounds. Spread is the largest figure less the smallest, as a share of the median:
ratios that differ by less mean nothing. A core is one CPU busy all the time, in user or kernel mode;
the CPU time of a step depends less on what else the machine does than rates do.
";

/// Long lists.
pub(super) const LISTS: &str = "
Two Seawalls that differ in the length of their lists only, started anew in each round. What was not
pushed was copied into the database with SQL, while no server had it open. `anywhere` asks for another
of 2000 places each time. After a start nothing is in the server's memory, but the operating system
still has the file's pages.
";

/// Attacks.
pub(super) const ATTACKS: &str = "
Pulls are, in turn, a manifest by its tag, a blob's HEAD and a blob of 1 KiB, over 16 connections if
not said otherwise, due at fixed times (open loop), in windows twice as long as others; those of one
millisecond are due together. In each round
they are measured alone and beside each attack, one right after the other; who is first changes. The
rate that is kept is the share of what was due that was answered when the schedule ended; latency
counts from when it was due. Attackers come from 127.0.0.2. They take CPU of the same cores for
themselves, which no server can prevent. What they did is connections made, clients hung up, uploads
opened, and logins answered; put off is what was answered with 429 or 503. Memory is the most of all
rounds. Half of the slow connections are within their headers, half within the body of a login; who
hangs up does so within headers, before the answer, within a download of 64 MiB, within an upload, and
behind a request that opens one. Every tenth forgotten upload has a first chunk.
";

/// The oracle.
pub(super) const ORACLE: &str = "
GET of a manifest by its tag in a private repository and in one that does not exist, one after the
other over one connection, in an order drawn by lot; all rounds together. `One name each` is an image
repository and a missing one; new names are of a long list, each asked for once since the start.
Distance is the largest distance of the two distribution functions (Kolmogorov and Smirnov); `hidden is
shorter` is how often a random time of the one is shorter than a random time of the other (50 % says
nothing). Status and length of the answers were the same, or the part would have failed.
";

/// Open loops.
pub(super) const LATE: &str = "
The generator is late when a request is due and its client free, but it has not been sent: that is the
generator's own delay, or that of the cores which it shares with the server. Latency contains it.
";

/// The method and its limits.
pub(super) const METHOD: &str = "
## Method

* One program makes the load and starts the registries, all on 127.0.0.1, over plain HTTP/1.1 where
  nothing else is said. All run side by side, only one is under load at a time; each row is measured
  at all of them before the next row begins, and who is first changes from round to round.
* Seawall is as shipped: release build, SQLite and local files, everything durable before it is
  acknowledged, token authorization on, one line of log for each request to a file. Only the limits
  of connections are raised, since all load comes from one address, and a second listener speaks TLS
  (a certificate made for the run), but where memory over plain HTTP is measured. Its repositories are private, and so asked for with tokens.
* The peers have the configuration that Debian packages (local files, a cache of descriptors in
  memory, a health check) without authorization and without logs; those given by address are taken as
  they are.
* Closed loop: each client has one connection and sends its next request when the last is answered.
  A rate is the sum over the clients of steps per time spent in steps. Any unexpected status or
  length fails the row. Connections are open and warm before the clock runs.
* Open loop (the paced row): requests are due at fixed times, half as often as the slowest registry
  managed in its closed loop, and latency counts from the time when they were due, so a stall is
  charged to all that had to wait (no coordinated omission).
* A 64 MiB layer is pushed by POST, PATCH and PUT; other blobs by POST and PUT; an image by HEAD, POST
  and PUT for each blob and one PUT for the manifest. Every layer is new bytes; making and hashing
  them is not timed. A tag push is one PUT of a new manifest under a new tag, all in one repository.
  A new repository is a configuration blob and a manifest, three requests.
* Tokens are fetched before the clock runs; new repositories share one token for ten, fetched while
  it runs. What tokens cost is a row of its own.
* Pages are asked for in the middle of the list (`n=100` and `last`).
* Memory is resident memory of servers started afresh, with an empty store, in each round, each
  transport at a server of its own; an idle connection has made one request.
* The empty route is GET /health/live of the same Seawall, through the same listener and with a line in
  the same log, without authorization. The bare loops are blocking, with one buffer of 256 KiB, and
  measured by the same clients; their CPU and that of the empty server counts as the generator's.

## Limits

* Generator and registry share the cores. A registry that needs little CPU leaves more to the
  generator, and a fast row is limited by both: see the cores each used.
* Loopback has no latency and no loss; real networks hide part of what is measured here.
* The peers check no permissions and write no log, so rows of theirs do less than Seawall's.
* Most of the free memory is touched once before anything is measured. A virtual machine that gets it from
  its host while it serves is slower, whatever the registry: a push of 64 MiB took twice as long.
* Everything that is read lies in the page cache. Nobody deletes, nothing is collected meanwhile.
* A virtual machine with other tenants is noisy, its disk above all: look at the spread.
";
