# The only door: what people type and what a clean checkout is tested with.

# Tools and build products that outlive a clone, so that the next one is quick.
export SEAWALL_TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/seawall
export CARGO_TARGET_DIR ?= $(SEAWALL_TOOLS)/target
export CARGO_INCREMENTAL ?= 0

CARGO ?= cargo
DATA ?= ./data
E2E = e2e
KILLS ?= 20
SECONDS ?= 60
# The same selection of packages as for all unit tests: another one would build the dependencies anew.
KERNEL = $(CARGO) test --locked --workspace --exclude seawall --exclude xtask --lib -- tests::jobs tests::events tests::time tests::rights
CRASH = SEAWALL_KILLS=$(KILLS) $(CARGO) test --locked --package seawall --test crash -- --nocapture

# In this order by `make test`.
HTTP = http-sqlite http-forgetful http-postgres http-mariadb
PARTS = setup check unit $(HTTP) crash outside

.PHONY: help run build check fmt lint deny advisories tidy test setup unit http $(HTTP) sql crash outside fuzz bench clean

help: ## Show what there is to do
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: ## Build, and serve with the embedded defaults
	$(CARGO) run --release --locked --package seawall -- serve --data $(DATA)

build: ## Build the binary
	$(CARGO) build --release --locked --package seawall

check: fmt lint deny tidy ## What takes no server: formatting, lints, licences, house rules

fmt:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --workspace --all-targets --locked --quiet -- -D warnings

deny:
	PATH="$(SEAWALL_TOOLS)/bin:$$PATH" $(CARGO) deny --locked --log-level error check bans licenses sources

advisories: ## Known vulnerabilities of dependencies (asks the advisory database over the network)
	PATH="$(SEAWALL_TOOLS)/bin:$$PATH" $(CARGO) deny --locked check --warn unmaintained advisories

tidy:
	$(CARGO) test --locked --quiet --package xtask

test: ## Install what the tests need, then run them all, and say how long each part took
	+MAKE="$(MAKE)" $(E2E)/parts.sh $(PARTS)

setup:
	$(E2E)/setup.sh

# Tests of behaviour need no durability; what survives a crash is tested with it.
unit $(HTTP): export SEAWALL_TEST_FSYNC = 0

unit: ## Unit and property tests; those of the database layer, of jobs, events, time and rights on all three databases
	$(E2E)/servers.sh run -- $(CARGO) test --locked --workspace --exclude seawall --exclude xtask
	$(E2E)/servers.sh run -- env SEAWALL_TEST_DB=postgres $(KERNEL)
	$(E2E)/servers.sh run -- env SEAWALL_TEST_DB=mariadb $(KERNEL)
	$(CARGO) test --locked --package seawall --lib --bins

http: $(HTTP) ## The HTTP suite and the stories of the process on each database, once with a cache that forgets everything

# A snapshot that is missing or differs fails; without this, insta would write it where it is not told that this is CI.
$(HTTP): export INSTA_UPDATE ?= no
http-sqlite:
	SEAWALL_TEST_DB=sqlite $(CARGO) test --locked --package seawall --test it --test process
http-forgetful:
	SEAWALL_TEST_DB=sqlite SEAWALL_TEST_CACHE=0 $(CARGO) test --locked --package seawall --test it
http-postgres:
	$(E2E)/servers.sh run -- env SEAWALL_TEST_DB=postgres $(CARGO) test --locked --package seawall --test it --test process
http-mariadb:
	$(E2E)/servers.sh run -- env SEAWALL_TEST_DB=mariadb $(CARGO) test --locked --package seawall --test it
	$(E2E)/servers.sh run -- env SEAWALL_TEST_DB=mariadb $(CARGO) test --locked --package seawall --test process -- \
		schema:: commands:: visible:: damage:: stop:: silence::

sql: ## Write the snapshots of every statement's text on each database
	INSTA_UPDATE=always $(CARGO) test --locked --package seawall --test it -- statements::the_text_of_every_statement

crash: ## Kill the server KILLS times on each database, and ask it for all that it had acknowledged
	SEAWALL_TEST_DB=sqlite $(CRASH)
	$(E2E)/servers.sh run -- env SEAWALL_TEST_DB=postgres $(CRASH)
	$(E2E)/servers.sh run -- env SEAWALL_TEST_DB=mariadb $(CRASH)

outside: ## The official conformance program on each database, and real clients
	$(CARGO) build --locked --package seawall
	SEAWALL_BIN=$(CARGO_TARGET_DIR)/debug/seawall $(E2E)/servers.sh run -- $(E2E)/run.sh

fuzz: ## Fuzz every parser of outside bytes for SECONDS each (TARGETS="manifest token" for some, JOBS=2 at once)
	$(E2E)/setup.sh fuzz
	fuzz/run.sh $(SECONDS) $(TARGETS)

# ARGS="--rows lists,attacks,oracle" measures a part, ARGS=--rounds=1 once, ARGS=--help says what there is.
bench: ## Measure beside other registries (ARGS=--quick for two minutes, PEERS="name=url …" for more)
	$(E2E)/setup.sh bench
	$(CARGO) build --release --locked --package seawall --package seawall-bench
	$(CARGO_TARGET_DIR)/release/seawall-bench --seawall $(CARGO_TARGET_DIR)/release/seawall \
		--distribution $(SEAWALL_TOOLS)/distribution/registry $(ARGS)

clean: ## Forget build products (tools stay)
	$(CARGO) clean
