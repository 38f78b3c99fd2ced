# make demo   fine-tune the embedded OPT model over the loopback radio; report in runs/demo
# make test   all tests
# make lint   ruff and mypy
# make clean  remove the environment, the caches and runs/demo
# Each creates .venv first if there is none. PYTHON=..., TORCH_INDEX=... and PAIRZERO_DATA=... are passed on.

.PHONY: demo test lint clean
.DEFAULT_GOAL := demo

demo: .venv/installed
	.venv/bin/pairzero run examples/demo.toml --out runs/demo --fresh

test: .venv/installed
	.venv/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

.venv/installed: pyproject.toml constraints.txt .ci/install
	sh .ci/install
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis runs/demo
	find radio privacy calibration fl tests -name __pycache__ -type d -prune -exec rm -rf {} +
