# AiKv: build, test, lint and benchmark. "make help" lists the targets.
SHELL := /bin/bash
PREFIX ?= /usr/local
GO ?= go
VERSION ?=
# What the node does not use of its libraries: documents of the command line, traces of gRPC.
TAGS := urfave_cli_no_docs,grpcnotrace
LDFLAGS := -s -w$(if $(VERSION), -X main.version=$(VERSION))
IMAGE ?= aikv:latest
SCRIPTS := scripts/cluster_init.sh scripts/aikv-tool

.DEFAULT_GOAL := build
.PHONY: build failpoints image install test test-go test-bats fuzz lint bench bench-failover soak chaos storms sim tools clean help

build: ## build bin/aikv
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o bin/aikv ./node

failpoints: ## build bin/aikv-failpoints: the same, with the "gofail:" comments turned into code
	@testbed/failpoints.sh

# The binary is built here, for the engine's architecture: the image needs no base, and so no registry.
image: ## build the image aikv:latest for docker/; IMAGE=name:tag gives another name
	@arch=$$(docker version --format '{{.Server.Arch}}') && rm -rf bin/image && mkdir -p bin/image/data && \
	  CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(GO) build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o bin/image/aikv ./node
	@chmod 755 bin/image/aikv bin/image/data
	docker build -q -t '$(IMAGE)' -f docker/Dockerfile \
	  --build-arg VERSION='$(or $(VERSION),$(shell sed -n 's/^var version = "\(.*\)"$$/\1/p' node/main.go))' \
	  --build-arg REVISION='$(shell git rev-parse HEAD 2>/dev/null)' \
	  --build-arg CREATED='$(shell git log -1 --format=%cI 2>/dev/null)' bin/image

install: build ## install aikv, aikv-tool and the scripts under PREFIX (/usr/local)
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/aikv/scripts/lib' '$(DESTDIR)$(PREFIX)/share/aikv/config'
	install -m 755 bin/aikv '$(DESTDIR)$(PREFIX)/bin/aikv'
	install -m 755 $(SCRIPTS) '$(DESTDIR)$(PREFIX)/share/aikv/scripts/'
	install -m 644 scripts/lib/*.sh scripts/lib/*.awk '$(DESTDIR)$(PREFIX)/share/aikv/scripts/lib/'
	install -m 644 config/*.toml '$(DESTDIR)$(PREFIX)/share/aikv/config/'
	ln -sf ../share/aikv/scripts/aikv-tool '$(DESTDIR)$(PREFIX)/bin/aikv-tool'
	ln -sf ../share/aikv/scripts/cluster_init.sh '$(DESTDIR)$(PREFIX)/bin/cluster_init.sh'

test: ## Go tests, linters and bats; ends with "N passed, N failed"
	@testbed/run.sh lint go bats

test-go: ## only the Go tests
	@testbed/run.sh go

test-bats: ## only the bats suites; FILES="testbed/meet.bats" runs some
	@testbed/run.sh bats $(FILES)

fuzz: ## each fuzz target for FUZZTIME=30s; FUZZ="Recover|Journal" picks some
	@testbed/fuzz.sh

lint: ## gofumpt, staticcheck, go vet, shellcheck, shfmt
	@testbed/run.sh lint

bench: build ## side by side with a Redis cluster, or PEER=etcd|running; RUNS=3 DURATION=5 ONLY="SET-P16 GET-P1"
	@testbed/tools.sh
	@PEER='$(PEER)' ONLY='$(ONLY)' testbed/bench/bench.sh

chaos: ## faults of all kinds on a real cluster, checked for linearizability; MINUTES=10 SEED=1
	CHAOS_SECONDS=$$(( $(or $(MINUTES),10) * 60 )) CHAOS_SEED=$(or $(SEED),1) \
	  $(GO) test -count 1 -v -timeout $$(( $(or $(MINUTES),10) * 3 + 10 ))m -run TestChaos ./testbed/e2e

storms: ## storms of topology commands on real nodes, judged; SEEDS=1-20 or MINUTES=10
	AIKV_STORM_SEEDS='$(SEEDS)' AIKV_STORM_MINUTES='$(if $(SEEDS),,$(or $(MINUTES),10))' \
	  $(GO) test -count 1 -v -timeout 60m -run 'TestStorm$$' ./testbed/e2e

sim: ## the simulation of whole nodes for more seeds than "make test" runs; SEEDS=20000
	AIKV_SIM_SEEDS=$(or $(SEEDS),20000) $(GO) test -count 1 -v -timeout 60m -run 'TestSimulation$$|Replays' ./node/server

bench-failover: build ## kills of masters under writes, side by side with Redis; KILLS=20
	@testbed/tools.sh
	@$(GO) run ./testbed/bench/failover -kills $(or $(KILLS),20)

soak: build ## growth, cold start, catch-up, then failover and chaos: about an hour; ONLY=overwrites|start|catchup|checkpoints
	@testbed/tools.sh
	@$(GO) run ./testbed/bench/soak -only '$(ONLY)'
	@if [ -z '$(ONLY)' ]; then $(MAKE) --no-print-directory bench-failover chaos MINUTES=$(or $(MINUTES),30); fi

tools: ## install the tools that tests need, or say which are missing
	@testbed/tools.sh

clean: ## remove what was built; data of a cluster is removed by "aikv-tool cluster clean"
	rm -rf bin

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
