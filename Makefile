# A fresh machine needs git, make and Python 3.11 or later: `make demo` runs the whole chain, `make test` checks it.
# uv sets up the environment when it is installed, else pip does.

PYTHON ?= python3
BIN := .venv/bin
export MLFLOW_TRACKING_URI ?= sqlite:///mlruns/mlflow.db
export PATH := $(CURDIR)/$(BIN):$(PATH)

INSTALL = if command -v uv >/dev/null; then uv pip install --python $(BIN)/python --compile-bytecode -q -r $(1); \
	else $(BIN)/python -m pip install -q --disable-pip-version-check -r $(1); fi

# Tests may take what a stub calls None or a number for what they know it is.
LENIENT = $(foreach code,arg-type union-attr index operator call-overload untyped-decorator return-value type-var \
	comparison-overlap func-returns-value var-annotated unused-ignore,--disable-error-code=$(code))

# Tests wait for processes about as often as they compute, so there is one more of them than there are cores.
TESTS = pytest -n $(shell $(PYTHON) -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))') --max-worker-restart 0

.PHONY: help demo quick test thorough check ui serve gallery pins clean

help:
	@sed -n 's/^## //p' Makefile

## make demo   set up, make a folder of synthetic cell images, run all ten studies on it, promote, report (minutes)
demo: $(BIN)/installed demo_data
	mlflow run . --env-manager local --experiment-name unet-studies -P data=demo_data -P preset=demo
	@echo
	@echo "The report is report/index.html. Two commands to look further:"
	@echo "  make ui      the runs, at http://127.0.0.1:5000"
	@echo "  make serve   the champion: curl -F image=@demo_data/images/cell_000.png http://127.0.0.1:3000/segment -o mask.png"

## make quick  set up, check format, lint and types, pass the tests that are not slow
quick: $(BIN)/installed-dev check
	$(TESTS) -m "not slow and not thorough" --no-loadscope-reorder --durations=0 --durations-min=5

## make test   set up, check format, lint and types, pass the tests
test: $(BIN)/installed-dev check
	$(TESTS) -m "not thorough" --dist loadfile --no-loadscope-reorder

## make thorough   all that, and the tests that take long: Ray, 50 kills, torch.compile, every kind of noise
thorough: $(BIN)/installed-dev check
	KILLS=50 $(TESTS) --dist loadfile --no-loadscope-reorder

check: $(BIN)/installed-dev
	ruff format --check .
	ruff check .
	mypy training analysis serving benchmarks & code=$$!; \
	mypy tests $(LENIENT) --cache-dir .mypy_cache/tests && wait $$code  # other options, so a cache of its own

## make ui     the MLflow UI on the runs in mlruns/
ui: $(BIN)/installed
	@python -c 'from training.tracking import runs, saved_view; \
		print("trials by study: http://127.0.0.1:5000/" + saved_view.view_link(runs.connect()[1]))'
	mlflow ui --backend-store-uri $(MLFLOW_TRACKING_URI)

## make serve  the promoted model at http://127.0.0.1:3000
serve: $(BIN)/installed
	BENTOML_HOME=$${BENTOML_HOME:-mlruns/bentoml} bentoml serve serving.service:Segmentation --host 127.0.0.1 --port 3000

## make gallery  docs/gallery: the pages of the tables in analysis/measured that have a champion
gallery: $(BIN)/installed
	@mkdir -p docs/gallery
	@for kept in $(dir $(wildcard analysis/measured/*/champion.json)); do name=$$(basename $$kept); \
		python -m analysis --tables $$kept --out report/gallery/$$name && \
		cp report/gallery/$$name/index.html docs/gallery/$$name.html || exit 1; done

## make pins   resolve requirements.in into requirements.txt anew
pins:
	uv pip compile requirements.in --universal --python-version 3.11 --no-annotate --no-header -q -o requirements.txt

demo_data: | $(BIN)/installed
	python -m training.synthetic --out demo_data --count 80

$(BIN)/python:
	@if command -v uv >/dev/null; then uv venv -q --python '>=3.11' .venv; else $(PYTHON) -m venv .venv; fi

$(BIN)/installed: requirements.txt | $(BIN)/python
	@echo "installing requirements.txt into .venv (torch is large: minutes on a cold cache)"
	@$(call INSTALL,requirements.txt)
	@touch $@

$(BIN)/installed-dev: requirements-dev.txt $(BIN)/installed
	@$(call INSTALL,requirements-dev.txt)
	@touch $@
