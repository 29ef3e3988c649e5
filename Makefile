# attemptd. One non-recursive Makefile: every .c below common/ and worker/ is part of the program,
# every tests/*/test_*.c is a test program of its own. `make help` lists the targets.

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

VERSION := 0.1.0
BUILD   := build$(if $(SANITIZE),/sanitize)$(if $(FAILPOINTS),/chaos)
# One short line a step; `make V=1` shows the commands themselves.
Q       := $(if $(V),,@)
say      = @$(if $(V),:,printf '  %-5s %s\n' $(1) $(2))
CC      := gcc
PREFIX  ?= /usr/local

PACKAGES     := rdkafka libpq libsodium libevent jansson
PKG_CFLAGS   := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS     := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)
WARNINGS     := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -Wvla -Wstrict-prototypes \
                -Wmissing-prototypes -Wwrite-strings
HARDENING    := -fstack-protector-strong -fPIE
comma        := ,
OPTIMIZE     := $(if $(SANITIZE),-O1 -fno-omit-frame-pointer -fsanitize=address$(comma)undefined \
                -fno-sanitize-recover=undefined,-O2 -D_FORTIFY_SOURCE=2)
CFLAGS       := -std=c17 -g $(OPTIMIZE) $(HARDENING) $(WARNINGS) $(EXTRA_CFLAGS)
CPPFLAGS     := -I. -I$(BUILD)/gen -D_GNU_SOURCE -DATTEMPTD_VERSION='"$(VERSION)"' $(PKG_CFLAGS)
CPPFLAGS     += $(if $(FAILPOINTS),-DFAILPOINTS)
LDFLAGS      := -pie -Wl,-z,relro,-z,now $(if $(SANITIZE),-fsanitize=address$(comma)undefined)
LDLIBS       := $(PKG_LIBS) -lm

COMMON_SRC   := $(wildcard common/*.c)
# Places to fail on purpose (worker/failpoints/failpoints.h) are in no product.
WORKER_SRC   := $(filter-out worker/main.c $(if $(FAILPOINTS),,worker/failpoints/%),\
                $(wildcard worker/*.c worker/*/*.c))
MIGRATIONS   := $(wildcard migrations/*.sql)
STATEMENTS   := $(wildcard worker/*/sql/*.sql)
GENERATED    := $(BUILD)/gen/migrations_embedded.c $(BUILD)/gen/statements_embedded.c
COMMON_OBJ   := $(COMMON_SRC:%.c=$(BUILD)/%.o)
WORKER_OBJ   := $(WORKER_SRC:%.c=$(BUILD)/%.o) $(GENERATED:%.c=%.o)
LIBS         := $(BUILD)/libworker.a $(BUILD)/libcommon.a

# A folder's helpers (tests/pg/private_pg.c, ...) are linked into each of its tests.
test_programs = $(patsubst tests/$(1)/%.c,$(BUILD)/tests/$(1)/%,$(wildcard tests/$(1)/test_*.c))
test_helpers  = $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/$(1)/test_%.c,$(wildcard tests/$(1)/*.c)))
UNIT_TESTS   := $(call test_programs,unit)
SIM_TESTS    := $(if $(wildcard tests/sim/*.c),$(BUILD)/tests/simulate)
PG_TESTS     := $(call test_programs,pg)
KAFKA_TESTS  := $(call test_programs,kafka)

.PHONY: all
all: $(BUILD)/attemptd ## build the program: build/attemptd

$(BUILD)/attemptd: $(BUILD)/worker/main.o $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/libcommon.a: $(COMMON_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar qcs $@ $^

$(BUILD)/libworker.a: $(WORKER_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar qcs $@ $^

$(BUILD)/%.o: %.c
	$(if $(PKG_LIBS),,$(error libraries are missing, install them with: make deps))
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -Wno-overlength-strings -MMD -MP -c -o $@ $<

# SQL lives in .sql files, which psql can run as they are; embed.awk turns them into C arrays.
$(BUILD)/gen/migrations_embedded.c: $(MIGRATIONS) common/embed.awk Makefile
	@mkdir -p $(@D)
	$(call say,EMBED,$@)
	$(Q)awk -v table=migrations_embedded -f common/embed.awk $(MIGRATIONS) >$@

$(BUILD)/gen/statements_embedded.c: $(STATEMENTS) common/embed.awk Makefile
	@mkdir -p $(@D)
	$(call say,EMBED,$@)
	$(Q)awk -v table=statements_embedded -f common/embed.awk $(STATEMENTS) >$@

define test_program_rule
$(BUILD)/tests/$(1)/test_%: $(BUILD)/tests/$(1)/test_%.o $(call test_helpers,$(1)) $(LIBS)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LDLIBS) -lcmocka
endef
$(foreach kind,unit pg kafka,$(eval $(call test_program_rule,$(kind))))

COUNT_MEMORY := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
$(BUILD)/tests/unit/test_allocations: LDFLAGS += $(COUNT_MEMORY)

$(BUILD)/tests/simulate: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/sim/*.c)) $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $(COUNT_MEMORY) -o $@ $^ $(LDLIBS)

# The parts of the benchmark that are measured by themselves; tests/bench/run calls them.
BENCHMARK    := $(BUILD)/tests/benchmark
ENGINE_COST  := $(BUILD)/tests/engine_cost
$(BENCHMARK): $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/engine_cost.c,$(wildcard tests/bench/*.c))) \
              $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# What an event costs in memory, without servers: decode, plan, settle at all sizes.
$(ENGINE_COST): $(BUILD)/tests/bench/engine_cost.o $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The program and what drives its adapters, with every call that can fail behind a wrapper.
TORTURE      := $(BUILD)/tests/torture/attemptd
TORTURE_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/torture/*.c)) $(BUILD)/gen/wrappers.o
$(BUILD)/gen/wrappers.c: tests/torture/calls.list tests/torture/wrappers.awk
	@mkdir -p $(@D)
	$(call say,WRAP,$@)
	$(Q)awk -f tests/torture/wrappers.awk tests/torture/calls.list >$@

$(TORTURE): $(BUILD)/worker/main.o $(TORTURE_OBJ) $(LIBS) tests/torture/calls.list
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $$(awk -v flags=1 -f tests/torture/wrappers.awk tests/torture/calls.list) \
	    -o $@ $(filter %.o %.a,$^) $(LDLIBS)

.PHONY: torture check-torture torture-programs
torture-programs: $(TORTURE)

torture: $(BUILD)/attemptd ## every call of ours that can fail fails once, at every position
	@$(MAKE) --no-print-directory SANITIZE=1 torture-programs
	@tests/torture/run

check-torture: $(BUILD)/attemptd ## the same in a minute, at some of them
	@$(MAKE) --no-print-directory SANITIZE=1 torture-programs
	@tests/torture/run --short

SCHEDULES := $(if $(SANITIZE),1500,10000)

check-house: ## calls and includes that the house forbids
	@tests/house

.PHONY: check check-house check-unit check-sim check-calls check-pg check-pg18 check-kafka
check: check-house check-unit check-sim check-model check-calls $(BENCHMARK) ## unit tests, simulation, model: seconds, no network

# All of a kind are run, whatever one of them says.
run_each = @rc=0; for t in $(1); do $$t || rc=1; done; exit $$rc

check-unit: $(UNIT_TESTS)
	$(call run_each,$^)

check-sim: $(SIM_TESTS)
	@set -e; for t in $^; do $$t --schedules $(SCHEDULES) --jobs 2; \
	    $$t --torture --schedules 5 --jobs 2; done

check-calls: $(BUILD)/worker/main.o $(COMMON_OBJ) $(WORKER_OBJ) ## torture knows every call of ours
	@tests/torture/complete $^

check-model: ## the ledger's protocol in spin, if that is installed
	@tests/model/check

.PHONY: check-model simulate mutants fuzz valgrind
simulate: $(SIM_TESTS) ## play schedules for SECONDS=60, with all processors
	@$< --seconds $(or $(SECONDS),60) --jobs $$(nproc) $(if $(FIRST),--first $(FIRST),\
	    --first $$(date +%s)000)

# The parsers, built by clang with its fuzzer, in a folder of their own.
FUZZ_TESTS   := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz: ## fuzz each parser for SECONDS=60, or RUNS=1000000 times; only ONLY=json
	@command -v clang >/dev/null || { echo "fuzz: clang is not installed"; exit 0; }; \
	    $(MAKE) --no-print-directory CC=clang BUILD=build/fuzz EXTRA_CFLAGS="-O1 \
	    -U_FORTIFY_SOURCE -fsanitize=fuzzer-no-link,address,undefined" fuzz-tests && \
	    tests/fuzz/run build/fuzz $(or $(SECONDS),60) $(or $(RUNS),-1) $(ONLY)

.PHONY: fuzz-tests
fuzz-tests: $(FUZZ_TESTS)
$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LDLIBS)

# What is generated is played shorter here; servers that a test starts run without valgrind.
VALGRIND     := valgrind -q --leak-check=full --errors-for-leak-kinds=definite$(comma)indirect \
                --error-exitcode=9 --child-silent-after-fork=yes
valgrind: $(UNIT_TESTS) $(PG_TESTS) $(BUILD)/attemptd ## unit and PostgreSQL tests under valgrind
	@rc=0; export CASES=$(or $(CASES),100) PATIENCE=$(or $(PATIENCE),10); for t in $(UNIT_TESTS) $(PG_TESTS); do \
	    $(VALGRIND) $$t || { echo "valgrind: $$t"; rc=1; }; done; exit $$rc

mutants: ## plant bugs, see them caught by the simulation
	@tests/sim/mutants/run

check-pg valgrind: export ATTEMPTD_BUILD := $(BUILD)
check-pg: $(PG_TESTS) $(BUILD)/attemptd ## tests on a private PostgreSQL
	$(call run_each,$(PG_TESTS))

check-pg18: ## the same on PostgreSQL 18, which is fetched (amd64)
	@bin=$$(compose/postgres fetch) && PG_BIN=$$bin $(MAKE) --no-print-directory check-pg

check-kafka: $(KAFKA_TESTS) ## tests of the Kafka adapter
	$(call run_each,$(KAFKA_TESTS))

check-schemas: ## a stock JSON Schema validator against the corpus
	@python3 -B tests/schemas/agree.py

check-e2e: $(BUILD)/attemptd ## end to end on real Kafka and PostgreSQL
	@python3 -B tests/e2e/check_corpus.py
	@ATTEMPTD_BUILD=$(BUILD) tests/e2e/run

# The worker with failpoints is a build of its own: build/chaos.
.PHONY: check-chaos chaos
check-chaos: ## a short round of make chaos
	@$(MAKE) --no-print-directory FAILPOINTS=1 all
	@python3 -B tests/chaos/chaos.py --short $(if $(SEED),--seed $(SEED))

chaos: ## faults in the real thing: FAULTS=60 or SECONDS=..., SEED=, KINDS=
	@$(MAKE) --no-print-directory FAILPOINTS=1 all
	@python3 -B tests/chaos/chaos.py --verbose $(if $(SECONDS),--seconds $(SECONDS),\
	    --faults $(or $(FAULTS),60)) $(if $(SEED),--seed $(SEED)) $(if $(KINDS),--kinds '$(KINDS)')

# The libraries are looked up when make starts, so what needs them runs in a second make.
.PHONY: deps deps-dev demo test check-schemas check-e2e bench bench-plot bench-smoke
deps: ## install what this machine lacks
	@compose/deps

deps-dev: ## install that and what `make lint` needs
	@compose/deps --dev

demo: deps ## play an exam, kill a worker, prove that nothing was lost or doubled
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@compose/demo

# ONLY= sections, F= loads (1 5 20 exam), VARIANTS= (a b c m d e1 e2), ROUNDS=3, SCALE=1, OUT=
bench: deps ## attemptd beside its limits and others, on real servers (see tests/bench/run --help)
	@$(MAKE) --no-print-directory -j$$(nproc) all $(BENCHMARK)
	@tests/bench/run --only "$(ONLY)" --load "$(F)" --variants "$(VARIANTS)" \
	    --rounds $(or $(ROUNDS),0) --scale "$(SCALE)" $(if $(OUT),--out $(OUT))

bench-plot: ## draw tests/bench/measured.json, or IN= into OUT=
	@tests/bench/plot $(or $(IN),tests/bench/measured.json) $(or $(OUT),tests/bench/measured.svg)

bench-smoke: $(BUILD)/attemptd $(BENCHMARK) ## the same, tiny: are the tables whole and the rows right?
	@tests/bench/run --smoke --out $(BUILD)/bench/smoke.json

test: deps ## everything: unit, simulation, PostgreSQL, Kafka, end to end
	@tests/all

.PHONY: diagram
diagram: $(BUILD)/attemptd ## draw migrations/schema.svg anew, with Graphviz
	@migrations/diagram update

# What is built by some test or other, so that warnings in it are seen.
.PHONY: everything
everything: all $(UNIT_TESTS) $(SIM_TESTS) $(PG_TESTS) $(KAFKA_TESTS) $(BENCHMARK) \
            $(ENGINE_COST) $(TORTURE)

.PHONY: format lint tidy hdr-check install clean help
HEADERS := $(wildcard common/*.h worker/*.h worker/*/*.h)
SOURCES := $(wildcard common/*.[ch] worker/*.[ch] worker/*/*.[ch] tests/*/*.[ch])
SCRIPTS := $(wildcard compose/deps compose/demo compose/kafka compose/local-stack compose/postgres \
             migrations/diagram tests/all tests/house tests/e2e/run tests/fuzz/run tests/model/check \
             tests/torture/complete .ci/run)
format: ## clang-format in place
	clang-format -i $(SOURCES)

lint: hdr-check ## format, clang's warnings, clang-tidy (of what has changed), shellcheck
	clang-format --dry-run -Werror $(SOURCES)
	shellcheck -x $(SCRIPTS)
	$(MAKE) --no-print-directory CC=clang BUILD=build/clang everything
	$(MAKE) --no-print-directory CC=clang FAILPOINTS=1 BUILD=build/clang/chaos all
	$(MAKE) --no-print-directory tidy

# clang-tidy takes seconds a file, so what was clean is remembered until it or its headers change.
TIDY := $(patsubst %.c,build/tidy/%.ok,$(filter %.c,$(SOURCES)))
tidy: $(TIDY) ## clang-tidy alone
build/tidy/%.ok: %.c .clang-tidy
	@mkdir -p $(@D)
	$(call say,TIDY,$<)
	$(Q)clang-tidy --quiet $< -- $(CPPFLAGS) -std=c17 >$@.log 2>&1 || { cat $@.log; exit 1; }
	$(Q)clang $(CPPFLAGS) -std=c17 -MM -MP -MT $@ -MF $(@:.ok=.d) $<
	$(Q)rm -f $@.log && touch $@

hdr-check: $(GENERATED) ## every header compiles by itself
	@set -e; for h in $(HEADERS); do \
	    $(CC) $(CPPFLAGS) -std=c17 $(WARNINGS) -x c -fsyntax-only -include $$h /dev/null; done

install: $(BUILD)/attemptd ## into $(PREFIX)/bin, below DESTDIR
	install -D -m 755 $(BUILD)/attemptd $(DESTDIR)$(PREFIX)/bin/attemptd

clean: ## remove build/
	rm -rf build

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

-include $(wildcard $(BUILD)/*/*.d $(BUILD)/*/*/*.d $(BUILD)/*/*/*/*.d)
