# Redis from Debian's package, as the directory of clusters: the records of streams, in memory only.
# The password is the first line of the file REDIS_PASSWORD_FILE names; it goes to the server by standard input, so that no process list shows it.
#   docker build -f docker/redis.Dockerfile -t troupe-redis docker
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN apt-get update -qq && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends 'redis-server=5:7.0.*' 'redis-tools=5:7.0.*' && \
    rm -rf /var/lib/apt/lists/* /var/log/*
COPY redis-start redis-health /usr/local/bin/
USER redis
EXPOSE 6379
HEALTHCHECK --interval=5s --timeout=5s --retries=3 CMD ["redis-health"]
ENTRYPOINT ["redis-start"]
CMD ["--save", "", "--appendonly", "no", "--maxmemory", "200mb", "--maxmemory-policy", "volatile-ttl"]
