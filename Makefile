# `make` builds bin/ordo. Tools are pinned here and installed into bin/, so that a
# clean checkout needs Go, git and make alone (and Node for the viem test).

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

GOLANGCI := bin/golangci-lint-v2.15.0
BUF      := bin/buf-v1.75.0
GEN_GO   := bin/protoc-gen-go-v1.36.12
GEN_CONN := bin/protoc-gen-connect-go-v1.21.1

.PHONY: build test lint fmt bench proto e2e sim clean
.PHONY: celestia-bin devnet-celestia test-celestia eigenda-bin test-eigenda
.PHONY: geth-bin opgeth-bin test-engine test-clients

# The same flags as `go run` and `go test` compile with, so that the cache serves all.
build:
	go build -ldflags "-s -w -X main.version=$(VERSION)" -o bin/ordo ./cmd/ordo

test:
	go test ./...

# The end-to-end tests alone; `make test` runs them too.
e2e:
	go test -count=1 -v ./test/e2e

# The end-to-end tests on a real Celestia network and on the real EigenDA proxy, whose
# programs `make celestia-bin` and `make eigenda-bin` build; without them they are skipped.
test-celestia test-eigenda:
	ORDO_E2E_LAYERS=1 go test -count=1 -v ./test/e2e -run '^Test$(LAYER)$$'

test-celestia: LAYER := Celestia
test-eigenda: LAYER := EigenDA

# The lanes' simulation on many more seeds than `make test` runs: about a quarter of an hour.
sim:
	go test ./dispersal/lane -run TestSimulation -count=1 -timeout 60m -lane.seeds=20000

lint: $(GOLANGCI)/golangci-lint $(BUF)/buf
	$(GOLANGCI)/golangci-lint run
	$(BUF)/buf lint
	$(BUF)/buf format --diff --exit-code
	go vet ./...

fmt: $(GOLANGCI)/golangci-lint $(BUF)/buf
	$(GOLANGCI)/golangci-lint fmt
	$(BUF)/buf format --write

# Go micro-benchmarks; `ordo bench` measures a running network.
bench:
	go test -run '^$$' -bench . -benchmem ./...

proto: $(BUF)/buf $(GEN_GO)/protoc-gen-go $(GEN_CONN)/protoc-gen-connect-go
	PATH="$(CURDIR)/$(GEN_GO):$(CURDIR)/$(GEN_CONN):$$PATH" $(BUF)/buf generate
	PATH="$(CURDIR)/$(GEN_GO):$(CURDIR)/$(GEN_CONN):$$PATH" $(BUF)/buf generate --template execution/astria/buf.gen.yaml

# The real celestia-app and celestia-node, for `ordo devnet --da celestia` and the tests of
# the Celestia adapter: built once, into $ORDO_CACHE or the user's cache folder.
celestia-bin:
	go run ./devnet/celestia/build

# A real Celestia network on loopback until Ctrl-C; its blocks stay in .cache/celestia.
# The first time, the build takes 5 to 15 minutes. (Not by `go run`, which does not wait
# for what it runs when Ctrl-C ends both.)
devnet-celestia:
	go build -o bin/devnet-celestia ./devnet/celestia/run
	bin/devnet-celestia

clean:
	rm -rf bin

$(GOLANGCI)/golangci-lint:
	GOBIN=$(CURDIR)/$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

$(BUF)/buf:
	GOBIN=$(CURDIR)/$(@D) go install github.com/bufbuild/buf/cmd/buf@v1.75.0

$(GEN_GO)/protoc-gen-go:
	GOBIN=$(CURDIR)/$(@D) go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12

$(GEN_CONN)/protoc-gen-connect-go:
	GOBIN=$(CURDIR)/$(@D) go install connectrpc.com/connect/cmd/protoc-gen-connect-go@v1.21.1

# The real eigenda-proxy for `ordo devnet --da eigenda` and the tests of da/eigenda, into
# the user's cache folder (or $ORDO_CACHE): about two minutes on two cores and 130 MB, once.
eigenda-bin:
	@echo "building eigenda-proxy, unless it is there: about two minutes on two cores"
	go run ./devnet/eigenda/build

# The real geth and op-geth for rollups with a client of their own and the tests of
# execution/engine, into the user's cache folder (or $ORDO_CACHE): about two minutes each on
# two cores and 60 MB, once.
geth-bin:
	@echo "building geth, unless it is there: about two minutes on two cores"
	go run ./devnet/ethclients/build geth

opgeth-bin:
	@echo "building op-geth, unless it is there: about two minutes on two cores"
	go run ./devnet/ethclients/build op-geth

# A thousand random blocks on every execution client, with crashes of all of them, where
# `make test` runs a few dozen: about a quarter of an hour. What is not built is left out.
test-engine:
	go test -count=1 ./devnet/ethclients ./execution/engine
	go test -count=1 -timeout 60m -v ./test/crossclient -blocks=1000

# viem, ethers, Hardhat, Foundry and others from npm, unmodified, on a small devnet.
test-clients: build
	test/clients/on-devnet bin/ordo
