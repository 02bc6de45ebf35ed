# Everything here is a plain go command; nothing but Go, git and a C compiler (for the race detector) is needed.

GO         ?= go
FUZZTIME   ?= 20s
BENCHFLAGS ?=
MUTANTFLAGS ?=
CHAOSFLAGS ?=

# Linters are pinned in a module of their own, so that they never enter the module graph of those who import Penstock.
STATICCHECK = tool -modfile=internal/tools/go.mod staticcheck

.PHONY: help check fmt vet lint test race fuzz bench mutants chaos cover ci
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r t d; do printf '  %-9s %s\n' "$$t" "$$d"; done

check: fmt vet lint test ## formatting, vet, staticcheck and the tests

fmt: ## fail when a file is not formatted, and name it
	@bad=$$(gofmt -s -l .); if [ -n "$$bad" ]; then echo "not formatted (gofmt -s -w FILE):"; echo "$$bad"; exit 1; fi

vet: ## go vet, in both modules
	$(GO) vet ./...
	cd bench && $(GO) vet ./...

lint: ## staticcheck, in both modules
	$(GO) $(STATICCHECK) ./...
	cd bench && $(GO) tool -modfile=../internal/tools/go.mod staticcheck ./...

test: ## all tests; nothing needs to be installed
	$(GO) test ./...

race: ## the short suite under the race detector
	CGO_ENABLED=1 $(GO) test -short -race ./...

fuzz: ## every fuzz target for FUZZTIME (20s)
	@grep -rhoHE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' . | sed 's/:func / /' | while read -r file name; do \
		echo "== $$name ($$(dirname $$file), $(FUZZTIME))"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$(dirname $$file)" || exit 1; \
	done

bench: ## side by side with what one would use instead; BENCHFLAGS=-h lists the flags
	cd bench && $(GO) run . $(BENCHFLAGS)

mutants: ## plant each deliberate bug in a copy; its test must turn red
	$(GO) run ./internal/mutants $(MUTANTFLAGS)

chaos: ## kill, stop and cut off nodes under load, for 30 rounds; CHAOSFLAGS=-h lists the flags
	$(GO) run ./internal/chaos $(CHAOSFLAGS)

cover: ## coverage of all packages, as coverage.html
	$(GO) test -short -coverpkg=./... -coverprofile=coverage.out ./...
	$(GO) tool cover -func=coverage.out | tail -n 1
	$(GO) tool cover -html=coverage.out -o coverage.html

ci: ## everything a change must pass, as the CI runs it
	CI=true bash .ci/run </dev/null
