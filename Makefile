# What is built, tested and measured, by name. `make` lists it; .ci/run calls the same.

.DEFAULT_GOAL := help
.PHONY: help
help: ## this list
	@grep -E '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

# ---- every day

.PHONY: build test race lint tidy demo
build: ## everything, and the command as ./hotswap
	go build ./...
	go build -o hotswap ./cmd/hotswap

test: ## the tests, in under two minutes on two processors
	go test -count=1 ./...

# The victims of the sweeps are processes of their own, whose races nobody would see. What
# is left out by name is work of one goroutine, or of other processes.
race: ## the tests under the race detector, in random order
	go test -race -shuffle=on -count=1 -skip 'AComparisonIsNeverMuchWorse|DemoOfAFleet' $$(go list ./... | grep -v -e /sweep -e /powerloss -e /moves -e /chaos)

lint: ## gofmt, go mod tidy, vet, fix, staticcheck
	test -z "$$(gofmt -l . | tee /dev/stderr)"
	go mod tidy -diff
	go vet ./...
	go fix -diff ./...
	go tool staticcheck ./...
	cd bench/drivers && go mod tidy -diff

tidy: ## formats the code and go.mod, and those of the modules beside this one
	gofmt -w .
	go mod tidy
	for module in internal/interop internal/browser internal/ecosystem bench/plot bench/drivers; do (cd $$module && go mod tidy) || exit; done

demo: ## a program under load whose database is swapped
	go run ./cmd/hotswap demo

# ---- what the daily tests only sample

.PHONY: chaos scale random snapshots kills ends moves powerloss sweep sweep-all together descriptors races full-disk tags newer-go fuzz
random: ## random programs, here and on go-sqlite3
	go test -count=1 -run RandomPrograms ./driver -seeds 200

CHAOS ?= 30m
chaos: ## twelve nodes of a fleet and three servers, killed, stopped, cut off and filled up for CHAOS
	go test -count=1 -v -timeout 0 ./internal/chaos -chaos $(CHAOS)

SCALE ?= 100,500,1000,2000
scale: ## a fleet of SCALE nodes without databases, and what it costs (docs/scale.md)
	go test -count=1 -v -timeout 10m -run TheControlPlane ./fleet -scale $(SCALE)

kills: ## processes that are killed in the midst of a push
	go test -count=1 -run Killed ./swapper -kills 40

ends: ## the end of a context at every look that an operation takes at it
	go test -count=1 -run AnEndAtAnyMoment ./swapper -looks 1

MOVES ?= 200
moves: ## what is done to a live path from outside, MOVES times
	go test -count=1 -run 'Moves|TwoDatabases' -timeout 30m ./internal/moves -moves $(MOVES) -couple 20s

PUSHES ?= 500
KILLS ?= 150
EVERY ?= 1
together: ## PUSHES through several processes, KILLS with one killed or stopped, and a kill at EVERY n-th system call
	go test -count=1 -timeout 2h ./internal/together -pushes $(PUSHES) -kills $(KILLS) -every $(EVERY) -call-every 3ms

powerloss: ## a power loss at every system call of a push (all of it needs root)
	go test -count=1 ./internal/powerloss -every

# Every call of each method and kind of operation; sweep-all takes six times as long.
sweep: ## a kill and an error at every system call: each kind of operation
	go test -count=1 -run 'Kill/((rename|in-place)-WAL-backup|recover-.*|adopt-.*|pull-WAL(-file)?)$$|Error/(rename|adopt)-WAL$$' ./internal/sweep -sweep full

sweep-all: ## the same in every scenario, for an hour
	go test -count=1 -timeout 2h ./internal/sweep -sweep full

descriptors: ## no descriptor is left behind by 200 swaps
	go test -count=1 -run NoDescriptorBehind ./internal/testapp -swaps 200

races: ## pushes beside other processes that have the file open
	go test -count=1 -run 'AllTheTime|TwoPrograms' ./swapper -pushes 20

snapshots: ## copies of a database that is being written
	go test -count=1 -timeout 30m ./internal/snapshot -snapshots 500

full-disk: ## a push of a large database to a full disk
	go test -count=1 -run FillsUp ./swapper -large 300

tags: ## go-sqlite3's build tags, and the system's SQLite; the command without the clouds
	go test -count=1 -tags sqlite_fts5,sqlite_stat4,sqlite_unlock_notify ./driver
	go test -count=1 -tags libsqlite3 ./driver ./internal/door ./internal/gather ./internal/snapshot
	go vet -tags nocloud ./cmd/hotswap

newer-go: ## Go 1.27, by which columns are scanned in another way
	GOTOOLCHAIN=go1.27.1 go test -count=1 -run 'Rows|Scan|Ahead|Random|Interfaces|Cancel|Force' ./driver ./internal/cursor

FUZZTIME ?= 3s
fuzz: ## every fuzz target, for FUZZTIME (3s) each
	@grep -rE --include='*_test.go' '^func Fuzz' . | sed -E 's|^\./(.*)/[^/]*:func (Fuzz[A-Za-z]*).*|\1 \2|' | sort | \
	while read -r dir target; do \
		echo "go test -run xxx -fuzz ^$$target\$$ -fuzztime $(FUZZTIME) ./$$dir"; \
		go test -run xxx -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "./$$dir" || exit 1; \
	done

# ---- measurements: see bench/README.md

.PHONY: bench bench-once compare drivers pictures plots
bench: ## all benchmarks
	go test -run xxx -bench . ./bench

bench-once: ## each benchmark once: that it works
	go test -run xxx -bench . -benchtime 1x -skip 'Together/size|Together/processes/paced=false|Writers/on=disk|Writers/on=tmpfs/writers=[^a]' ./bench

compare: ## whether any call became slower since the commit BASE
	bench/compare.sh $(or $(BASE),$(error make compare BASE=commit))

# Not in CI: modernc's and ncruces' SQLite take a minute to compile. The name is for
# ncruces' driver, which would register as go-sqlite3 does.
DRIVERS := go test -ldflags '-X github.com/ncruces/go-sqlite3/driver.driverName=ncruces' .
drivers: ## beside modernc's, ncruces' and zombiezen's; RECORD=directory for the picture
	cd bench/drivers && go vet .
	cd bench/drivers && $(DRIVERS) -bench Calls -benchtime 350x -record='$(abspath $(RECORD))'
	cd bench/drivers && $(DRIVERS) -run xxx -bench Writers -benchtime 80x -record='$(abspath $(RECORD))'

pictures: ## measures, and draws bench/pictures anew
	mkdir -p tmp/recorded
	go test ./bench -run xxx -bench 'Timeline|Pause' -benchtime 5x -record "$$PWD/tmp/recorded"
	$(MAKE) drivers RECORD=tmp/recorded
	cd bench/plot && go run . -in ../../tmp/recorded -out ../pictures

plots: ## that the program that draws them builds
	cd bench/plot && go mod tidy -diff && go vet ./... && go build -o /dev/null .

# ---- elsewhere

.PHONY: page interop ecosystem ecosystem-all sqllogictest cross darwin arm64 windows
page: ## the page, in Chromium; SHOTS=directory for pictures of it
	cd internal/browser && go mod tidy -diff && go vet ./... && go test -count=1 -timeout 5m . $(if $(SHOTS),-shots '$(abspath $(SHOTS))')

interop: ## beside Litestream, on FUSE, and through OpenSSH (Debian's openssh-server)
	cd internal/interop && go mod tidy -diff && go vet ./... && go test -count=1 ./...

ecosystem: ## with libraries that programs use, and a few of their own tests
	cd internal/ecosystem && go mod tidy -diff && go vet ./... && go test -count=1 ./...

ecosystem-all: ## all their tests, here, on go-sqlite3, and under swaps
	cd internal/ecosystem && go test -count=1 -v -timeout 60m -run Libraries . -all

sqllogictest: ## the statements of SQLite's sqllogictest, whose files are in CORPUS, here and on go-sqlite3
	cd internal/ecosystem && go test -count=1 -v -timeout 60m -run SQLLogic . -sqllogictest '$(abspath $(or $(CORPUS),$(error make sqllogictest CORPUS=directory)))'

cross: darwin arm64 windows ## what can be tried of other systems on Linux

PUBLIC := ./driver ./swapper ./sockserver/... ./cmd/hotswap

# Types only: cgo is told of declarations by the headers that are here, and nothing is
# linked (see .ci/darwin-cc). Not the tests, which are for Linux in part.
darwin: ## type-checks for macOS
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=1 CC="$(CURDIR)/.ci/darwin-cc" go list -export -f '{{.ImportPath}}' $(PUBLIC)

# The sweeps need seccomp and ptrace, which qemu-user does not have: they are built only.
# A test that starts itself again needs binfmt_misc, and is left out.
QEMU := qemu-aarch64 -L /usr/aarch64-linux-gnu
ARM64 := GOOS=linux GOARCH=arm64 CGO_ENABLED=1 CC=aarch64-linux-gnu-gcc
arm64: ## builds for linux/arm64, and runs what qemu-user can
	$(ARM64) go vet $(PUBLIC) ./internal/sweep
	$(ARM64) go test -count=1 -exec '$(QEMU)' -skip BeforeTheDoor ./internal/door ./internal/fileid ./internal/sqlitefile ./internal/sqltext
	$(ARM64) go test -count=1 -exec '$(QEMU)' -run 'Example|RandomPrograms' ./driver -seeds 4

WINE := $(CURDIR)/tmp/wine
windows: ## builds for Windows with mingw-w64, and runs internal/windows under Wine
	GOOS=windows GOARCH=amd64 CGO_ENABLED=1 CC=x86_64-w64-mingw32-gcc go build $(PUBLIC)
	mkdir -p "$(WINE)"
	test -d "$(WINE)/drive_c/windows/system32" || WINEDEBUG=-all WINEPREFIX="$(WINE)" wine wineboot --init
	x86_64-w64-mingw32-gcc -shared -O2 -o "$(WINE)/drive_c/windows/system32/bcryptprimitives.dll" internal/windows/testdata/bcryptprimitives.c -ladvapi32
	WINEDEBUG=-all WINEPREFIX="$(WINE)" GOOS=windows GOARCH=amd64 CGO_ENABLED=1 CC=x86_64-w64-mingw32-gcc \
		go test -count=1 -exec wine ./internal/windows
