# syntax=docker/dockerfile:1
# One image with the four services and the command. A service is chosen by the command of its container, such as
# `windlass-scheduler`; without one, `windlass` says what it can do.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /windlass
# The C compiler for the parts of dependencies that are written in C.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/windlass/target \
    cargo build --release --locked \
        -p windlass -p windlass-submitter -p windlass-scheduler -p windlass-launcher -p windlass-streamer \
    && mkdir /out \
    && cp target/release/windlass \
        target/release/windlass-submitter \
        target/release/windlass-scheduler \
        target/release/windlass-launcher \
        target/release/windlass-streamer \
        /out/ \
    && strip /out/*

# Steps of the process runtime run in this image, so that it has a shell. Other programs that steps need go into an image made
# from this one. `curl` asks a program whether it is ready.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/windlass windlass \
    && install -d -o windlass -g windlass /var/lib/windlass/attempts
COPY --from=build /out/ /usr/local/bin/
USER 10001:10001
WORKDIR /var/lib/windlass
# Ends a program in order; steps of a launcher end with its container.
STOPSIGNAL SIGTERM
CMD ["windlass", "--help"]
