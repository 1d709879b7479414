# docker build -t netprobe:latest .
# Reproducible: docker build --build-arg BASE=docker.io/library/python@sha256:DIGEST …
# For clusters: the lab also needs nft, nc and root, and has no place in a pod.
ARG BASE=docker.io/library/python:3.13-slim

FROM ${BASE} AS build
# Only what is installed: a checkout has more, such as its .git and .venv.
COPY pyproject.toml README.md LICENSE requirements.lock /src/
COPY netprobe /src/netprobe
# The versions of the lock; its hashes cover the development packages too, which an image doesn't need.
RUN sed -e '/--hash=/d' -e 's/ \\$//' /src/requirements.lock > /src/constraints.txt \
 && python -m venv /netprobe \
 && /netprobe/bin/pip install --no-cache-dir --constraint /src/constraints.txt /src

FROM ${BASE}
COPY --from=build /netprobe /netprobe
ENV PATH=/netprobe/bin:$PATH
USER 65534:65534
ENTRYPOINT ["netprobe"]
