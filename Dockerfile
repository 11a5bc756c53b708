# The archive in a container: the wheel and nothing else, as a user without rights, data in /data.
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY archive archive
COPY migrations migrations
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
COPY --from=build /wheels /wheels
RUN wheel=$(echo /wheels/*.whl) \
    && pip install --no-cache-dir "$wheel[postgres]" \
    && rm -r /wheels \
    && useradd --system --uid 10104 --home-dir /data --create-home archive
USER archive
VOLUME /data
EXPOSE 11112
ENV ARCHIVE_DATA=/data ARCHIVE_HOST=0.0.0.0 ARCHIVE_PORT=11112 PYTHONUNBUFFERED=1
# A C-ECHO from within: it proves the listener, a worker, the database and the access rules.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from archive.services.client import echo; from archive.upper_layer.association import Timeouts; echo('127.0.0.1', 11112, called='ARCHIVE', calling='HEALTH', timeouts=Timeouts(5, 5, 5, 5, 5))"]
STOPSIGNAL SIGTERM
CMD ["archive", "serve"]
