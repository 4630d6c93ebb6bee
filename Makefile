# Mailspool. `make run` starts everything; `make test` checks everything.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := postfix swaks dovecot-core dovecot-lmtpd dovecot-imapd postgresql redis-server strace
TOOLS := /usr/sbin/postfix /usr/bin/swaks /usr/sbin/dovecot /usr/lib/dovecot/lmtp /usr/lib/dovecot/imap \
         /usr/lib/postgresql/*/bin/initdb /usr/bin/redis-server /usr/bin/strace

.PHONY: run test lint bench packages clean

run: $(VENV)/.runtime
	@exec $(BIN)/python -m mailspool.processes

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Mailspool needs Python 3.11 or newer."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }

$(VENV)/.runtime: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

packages:
	@if ls $(TOOLS) >/dev/null 2>&1; then exit 0; \
	elif [ "$$(id -u)" = 0 ]; then tests/install-packages $(PACKAGES); \
	else echo "The tests need these Debian packages: $(PACKAGES)"; echo "Install them as root: apt-get install $(PACKAGES)"; exit 1; fi

test: packages $(VENV)/.dev
	$(BIN)/python -m pytest -q
	$(BIN)/python -m tests.support.postgres --fast -- $(BIN)/python -m pytest -q

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MAILSPOOL_HOME=$$(mktemp -d) $(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/mypy spool accounts mailspool

bench: packages $(VENV)/.dev
	$(BIN)/python -m bench.mail_flow $(BENCH)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
