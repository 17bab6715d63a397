# The commands to know: make run, make test, make check.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 3

.PHONY: install run test check format clean

install: $(STAMP)

# The checkout goes on the path as a whole, so that twistd finds the plugin from any folder.
$(STAMP): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	echo '$(CURDIR)' > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/imsd-checkout.pth"
	touch $(STAMP)

run: install
	@test -f demo/imsd.toml || $(BIN)/imsctl --home demo setup --demonstration
	@$(BIN)/imsctl --home demo welcome
	@exec $(BIN)/twistd --nodaemon --pidfile= imsd --home demo

# One worker more than processors: a third of the time of tests that start servers is waiting.
# What failed is run once more by itself: a time-out beside a loaded neighbour is no defect of the
# server, and what fails alone as well is one. Both runs show their failures. `check` has run the
# tests of the architecture.
test: check
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --ignore tests/test_architecture.py || \
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
