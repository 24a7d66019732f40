# tapewatch with everything that the pipeline needs but its servers: Python, Java, Spark, and Spark's connector to Kafka.
FROM python:3.11.14-slim-bookworm AS wheel
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY src src
RUN pip install --no-cache-dir --constraint constraints.txt build hatchling
RUN python -m build --wheel --no-isolation --outdir /wheel .

FROM python:3.11.14-slim-bookworm
# The folder of manual pages is missing in a slim image, and Java links into it.
RUN apt-get update \
    && mkdir -p /usr/share/man/man1 \
    && apt-get install --yes --no-install-recommends openjdk-17-jre-headless \
    && rm -rf /var/lib/apt/lists/*
COPY --from=wheel /wheel /wheel
COPY constraints.txt /wheel/
RUN pip install --no-cache-dir --constraint /wheel/constraints.txt "$(echo /wheel/*.whl)[kafka,postgres,spark]"

# The connector's jars are fetched and checked here, so that a container needs no network but its own.
ENV XDG_CACHE_HOME=/opt/cache
RUN python -c "from tapewatch.runtime.jars import CONNECTOR, cache, fetched; fetched(CONNECTOR, cache())" \
    && rm -rf /opt/cache/tapewatch/jars/ivy \
    && chmod -R a+rX /opt/cache

RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin tapewatch \
    && install --directory --owner 10001 --group 10001 /data
USER 10001:10001
WORKDIR /data
# Compiled rules are kept in a folder that can be written; where it lasts, a restart need not compile them again.
ENV HOME=/tmp PYTHONUNBUFFERED=1 NUMBA_CACHE_DIR=/tmp/numba
ENTRYPOINT ["tapewatch"]
CMD ["--help"]
