# The first stage installs the locked versions. The final image does not contain the build tools.
FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv
WORKDIR /source
ENV UV_PROJECT_ENVIRONMENT=/opt/recordings UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
# The dependencies have their own layer, because they change less often than the source.
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --all-extras --no-install-project
COPY LICENSE README.md ./
COPY recordings recordings
COPY adapters adapters
COPY graph graph
RUN uv sync --locked --no-dev --all-extras --no-editable

FROM python:3.13-slim
RUN useradd --system --create-home --home-dir /var/lib/recordings recordings
COPY --from=build /opt/recordings /opt/recordings
ENV PATH=/opt/recordings/bin:$PATH PYTHONUNBUFFERED=1
USER recordings
WORKDIR /var/lib/recordings
EXPOSE 8000
CMD ["recordings", "serve", "--host", "0.0.0.0", "--port", "8000"]
