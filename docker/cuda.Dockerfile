# The runtime image with the CUDA backend, for deploy/compose.gpu.yaml. It needs the image of the CUDA toolkit, but no GPU to be built, and
# stops where the sources have no CUDA backend: an image that reserves GPUs and computes without them helps nobody.
#
#   docker build -f docker/cuda.Dockerfile -t troupe-cuda:0.1.0 .          after docker/Dockerfile, whose image it begins with
ARG BASE=debian:bookworm-slim
ARG TOOLKIT=nvidia/cuda:12.4.1-devel-ubuntu22.04
ARG TAG=0.1.0

FROM ${TOOLKIT} AS toolkit

FROM ${BASE} AS build
ARG SOURCE_DATE_EPOCH=0
COPY deploy/packages.txt /src/deploy/packages.txt
RUN apt-get update -qq && \
    sed -e '/^# to fetch/,$d' -e '/^#/d' -e '/^$/d' /src/deploy/packages.txt | \
    DEBIAN_FRONTEND=noninteractive xargs apt-get install -y -qq --no-install-recommends && \
    rm -rf /var/lib/apt/lists/*
COPY --from=toolkit /usr/local/cuda-12.4 /usr/local/cuda
COPY . /src
WORKDIR /src
# An option that nobody declared has no type in the cache.
RUN cmake -S . -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DTROUPE_TESTS=OFF -DTROUPE_FUZZ=OFF -DTROUPE_CUDA=ON \
      -DCMAKE_CUDA_COMPILER=/usr/local/cuda/bin/nvcc && \
    { grep -q '^TROUPE_CUDA:BOOL=ON' /build/CMakeCache.txt || { echo "error: these sources have no CUDA backend" >&2; exit 1; }; } && \
    ninja -C /build troupe && \
    docker/collect /build/bin/troupe /rootfs "$SOURCE_DATE_EPOCH"

# User, health check, entry point and the folders that may be written are the plain image's.
FROM troupe:${TAG}
COPY --from=build /rootfs/etc /etc
COPY --from=build /rootfs/usr /usr
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
