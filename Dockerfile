# The service in two images: `gpu`, which a build gives by default, and `cpu` (--target cpu). The image
# `training` has both programs, for the jobs of a night (deploy/chart).
#
#   docker build --target cpu --tag vitrine:cpu .
#   docker run --publish 127.0.0.1:8000:8000 --env VITRINE_OPEN_TO_NETWORK=true \
#       --volume "$PWD/models/bundles:/srv/vitrine/models/bundles:ro" vitrine:cpu
#
# Without that variable it refuses to listen beyond loopback: nothing asks callers for a key.
#
# Python packages are pinned by hash. The base is pinned by its tag only: whoever publishes the
# image should name the digest of the base that was tested. /opt/vitrine/sbom.json lists them
# (CycloneDX); scanners read Debian's packages from the image itself.

FROM python:3.11-slim-bookworm AS base
# libgomp1: the OpenMP of lightgbm. Its version is that of the base's Debian release.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*

FROM base AS build
WORKDIR /build
COPY deploy/sbom.py ./
COPY requirements/bootstrap.txt ./
RUN python -m venv /opt/uv \
    && /opt/uv/bin/python -m pip install --no-cache-dir --require-hashes --requirement bootstrap.txt \
    && python -m venv --without-pip /opt/vitrine

FROM build AS build-cpu
COPY requirements/service-cpu.txt ./
RUN /opt/uv/bin/uv pip install --no-cache --compile-bytecode --python /opt/vitrine/bin/python \
    --require-hashes --requirement service-cpu.txt \
    && python sbom.py service-cpu.txt > /opt/vitrine/sbom.json

FROM build AS build-gpu
COPY requirements/service-gpu.txt ./
RUN /opt/uv/bin/uv pip install --no-cache --compile-bytecode --python /opt/vitrine/bin/python \
    --require-hashes --requirement service-gpu.txt \
    && python sbom.py service-gpu.txt > /opt/vitrine/sbom.json

FROM build AS build-training
COPY requirements/training-cpu.txt ./
RUN /opt/uv/bin/uv pip install --no-cache --compile-bytecode --python /opt/vitrine/bin/python \
    --require-hashes --requirement training-cpu.txt \
    && python sbom.py training-cpu.txt > /opt/vitrine/sbom.json

FROM base AS kernel
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/vitrine
COPY models/kernel ./models/kernel
RUN python -m models.kernel.library && ls models/kernel/*.so

FROM base AS service
LABEL org.opencontainers.image.title="vitrine" \
    org.opencontainers.image.description="Online recommendations for home pages of few, short-lived offers" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="Apache-2.0"
# The service installs nothing: the base's pip goes. `var` is where the embedded store keeps its file.
RUN rm -rf /usr/local/lib/python3.11/site-packages/* /usr/local/bin/pip* \
    && useradd --uid 10001 --no-create-home vitrine \
    && install --directory --owner=10001 /srv/vitrine/var
WORKDIR /srv/vitrine
COPY models ./models
COPY --from=kernel /srv/vitrine/models/kernel /srv/vitrine/models/kernel
COPY app ./app
ENV PATH=/opt/vitrine/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001
EXPOSE 8000
# Liveness; readiness and alerts are other routes, see docs/operations.md.
HEALTHCHECK --interval=10s --timeout=2s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/live', timeout=1)"]
CMD ["python", "-m", "app", "serve", "--host", "0.0.0.0"]

FROM service AS training
COPY training ./training
COPY --from=build-training /opt/vitrine /opt/vitrine
HEALTHCHECK NONE
CMD ["python", "-m", "training", "--help"]

FROM service AS cpu
COPY --from=build-cpu /opt/vitrine /opt/vitrine

FROM service AS gpu
COPY --from=build-gpu /opt/vitrine /opt/vitrine
