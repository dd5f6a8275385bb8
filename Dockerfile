# syntax=docker/dockerfile:1
# The same base in both stages: the virtual environment links to its interpreter.
FROM python:3.13-slim-bookworm AS build
WORKDIR /app
ENV UV_PYTHON_DOWNLOADS=never \
    PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/tools.txt requirements/run.txt requirements/
RUN python -m venv .venv \
    && .venv/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/tools.txt \
    && .venv/bin/uv pip install --no-cache --python .venv/bin/python --require-hashes --compile-bytecode -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY kalshi_daemon kalshi_daemon
RUN .venv/bin/uv pip install --no-cache --python .venv/bin/python --no-deps --no-build-isolation --compile-bytecode . \
    && .venv/bin/uv pip uninstall --python .venv/bin/python uv hatchling editables

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="kalshi_daemon" \
      org.opencontainers.image.licenses="MIT"
RUN useradd --uid 10001 --create-home --home-dir /state --shell /usr/sbin/nologin daemon-user
COPY --from=build /app/.venv /app/.venv
COPY config.toml /app/config.toml
USER 10001
WORKDIR /state
VOLUME ["/state"]
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# The daemon handles SIGTERM itself and has no children outside sim; give it time: docker stop -t 45.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "kalshi_daemon.operations.healthcheck", "/state"]
ENTRYPOINT ["kalshi-daemon", "--config", "/app/config.toml", "--state-dir", "/state"]
CMD ["run"]
