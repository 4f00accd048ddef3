# The first stage installs the locked versions. The final image does not contain the build tools.
# Both stages have a fixed version of Python, and the builder a fixed version of uv.
ARG PYTHON=3.13.7-slim-bookworm

FROM python:${PYTHON} AS build
RUN pip install --no-cache-dir uv==0.13.9
# A compiler for the optional extension. The final image does not have it.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /source
ENV UV_PROJECT_ENVIRONMENT=/opt/recordings UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
# The dependencies have their own layer, because they change less often than the source.
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --all-extras --no-install-project
COPY LICENSE README.md ./
COPY recordings recordings
COPY adapters adapters
COPY graph graph
RUN uv sync --locked --no-dev --all-extras --no-editable \
    && uv pip install --no-cache --python /opt/recordings/bin/python ./adapters/metadata/mongodb/bson_json

FROM python:${PYTHON}
# A fixed id, so that the files of volumes keep their owner in later images.
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/recordings recordings \
    && install -d -m 700 -o recordings -g recordings /var/lib/recordings-key
COPY --from=build /opt/recordings /opt/recordings
ENV PATH=/opt/recordings/bin:$PATH PYTHONUNBUFFERED=1 RECORDINGS_HOST=0.0.0.0 RECORDINGS_PORT=8000
USER 10001
WORKDIR /var/lib/recordings
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --retries=12 CMD ["python", "-c", "import os; from urllib.request import urlopen; urlopen(f'http://127.0.0.1:{os.environ[\"RECORDINGS_PORT\"]}/readyz', timeout=4)"]
CMD ["recordings", "serve"]
