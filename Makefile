# `make run` starts a whole Mailspool. Everything else is for working on it: `make help`.

# Servers live in sbin, which an ordinary user's PATH may not name.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

VENV := .venv
PY := $(VENV)/bin/python
# What `make test-system` has run before.
REST := --ignore tests/interop --ignore tests/crash --ignore tests/fuzz --ignore tests/deploy
# Orders of kills for `make test-system`.
SEEDS ?= 1 2 3
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --no-input
# The first Python on the PATH that is new enough; `make PYTHON=…` chooses another.
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

.NOTPARALLEL:
.PHONY: help run deb screenshots test test-system lint manual messages fonts bench bench-console bench-throttling bench-shares bench-signing bench-destinations bench-loads bench-machines bench-soak clean venv dev-venv debian-packages

help:
	@echo 'make run     start Mailspool; Ctrl-C stops it (settings: docs/configuration.md)'
	@echo 'make deb     a Debian package in dist/, for Debian 12 and 13'
	@echo 'make test    all tests on SQLite, and beside it on PostgreSQL those that ask the database much; ARGS= for pytest'
	@echo 'make test-system  all tests on both, the long version of those with other mail servers, kills, full disks, hostile input and installing; SEEDS="1 2 3"'
	@echo 'make lint    style, imports, types, Django checks, missing migrations'
	@echo 'make manual  all commands as a page, as a man page and as completion for bash and zsh, in dist/manual'
	@echo 'make messages  collect the texts of pages and mail, and compile the catalogues of all languages'
	@echo 'make fonts   the fonts of the console, cut to the icons and letters that its pages have'
	@echo 'make bench   mail flow beside Postfix, and what counting costs; BENCH= for its options'
	@echo 'make bench-throttling  what limits by the hour cost'
	@echo 'make bench-shares  whether one user'"'"'s burst delays others; BENCH= for its options'
	@echo 'make bench-signing  what signing (DKIM) costs, and beside Postfix with OpenDKIM'
	@echo 'make bench-destinations  floods, dead hosts, a strict provider, many domains with one; BENCH="--only flood,provider --full"'
	@echo 'make bench-loads  large messages, local mail, LMTP, many recipients, logins, a full spool; BENCH="--parts sizes --full"'
	@echo 'make bench-machines  four machines beside one, and machines killed amid mail; BENCH="kills --kills 20"'
	@echo 'make bench-soak  what the database keeps of messages that have gone; BENCH="--messages 100000"'
	@echo 'make bench-console  lists, searches and bulk actions on a spool of a million; BENCH= for its options'
	@echo 'make screenshots  take the pictures in docs/images anew'
	@echo 'make clean   remove what these made; your mail in var/ stays'

run: venv
	@exec $(PY) -m mailspool.processes

deb: venv
	@deploy/debian/build $(CURDIR)/$(PY) dist

test: debian-packages dev-venv
	$(PY) -m tests.support.both $(ARGS)

test-system: debian-packages dev-venv
	for seed in $(SEEDS); do export MAILSPOOL_LONG=1 MAILSPOOL_CRASH_SEED=$$seed; \
	$(PY) -m pytest tests/interop tests/crash $(ARGS) && \
	$(PY) -m tests.support.postgres --fast -- $(PY) -m pytest tests/interop tests/crash $(ARGS) || exit 1; done
	MAILSPOOL_LONG=1 $(PY) -m pytest tests/fuzz tests/spool/smtpd/test_fuzzed_dialogue.py $(ARGS)
	MAILSPOOL_LONG=1 $(PY) -m pytest -m long $(REST) $(ARGS)
	MAILSPOOL_LONG=1 $(PY) -m tests.support.postgres --fast -- $(PY) -m pytest --ignore tests/interop --ignore tests/crash $(ARGS)

lint: dev-venv
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/lint-imports
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && export MAILSPOOL_HOME="$$home" && set -ex && \
	$(PY) -m mypy && \
	$(PY) manage.py check --fail-level WARNING && \
	$(PY) manage.py makemigrations --check --dry-run

manual: venv
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && MAILSPOOL_HOME="$$home" $(PY) -m mailspool.manual dist/manual

messages: dev-venv
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && MAILSPOOL_HOME="$$home" $(PY) -m mailspool.catalogues

fonts: dev-venv
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && MAILSPOOL_HOME="$$home" $(PY) -m mailspool.manual.fonts

bench-console: debian-packages dev-venv
	$(PY) -m bench.console $(BENCH)

bench-throttling: debian-packages dev-venv
	$(PY) -m bench.throttling $(BENCH)

bench-shares: debian-packages dev-venv
	$(PY) -m bench.shares $(BENCH)

bench-signing: debian-packages dev-venv
	$(PY) -m bench.signing $(BENCH)

bench-destinations: debian-packages dev-venv
	$(PY) -m bench.destinations $(BENCH)

bench-loads: debian-packages dev-venv
	$(PY) -m bench.loads $(BENCH)

bench-machines: debian-packages dev-venv
	$(PY) -m bench.machines $(BENCH)

bench-soak: debian-packages dev-venv
	$(PY) -m bench.soak $(BENCH)

bench: debian-packages dev-venv
	$(PY) -m bench.mail_flow --uncounted $(BENCH)

screenshots: debian-packages dev-venv
	$(PY) -m tests.support.screenshots

clean:
	rm -rf $(VENV) .import_linter_cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

# A virtual environment with what requirements.txt pins; made anew when its Python is gone, filled when the pins changed.
venv:
	@$(PY) -c '' 2>/dev/null || .ci/make-venv '$(PYTHON)' $(VENV)
	@cmp -s requirements.txt $(VENV)/installed.txt || { \
	echo 'Installing what Mailspool needs (requirements.txt) …' && \
	$(PIP) -r requirements.txt && cp requirements.txt $(VENV)/installed.txt; }

dev-venv: venv
	@cmp -s requirements-dev.txt $(VENV)/installed-dev.txt || { \
	echo 'Installing what the tests need (requirements-dev.txt) …' && \
	$(PIP) -r requirements-dev.txt && cp requirements-dev.txt $(VENV)/installed-dev.txt; }

debian-packages:
	@.ci/debian-packages
