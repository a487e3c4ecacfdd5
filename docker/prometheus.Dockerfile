# Prometheus from Debian's package. Its configuration is mounted at /etc/prometheus; what it scraped lies in /var/lib/prometheus.
#   docker build -f docker/prometheus.Dockerfile -t troupe-prometheus docker
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN apt-get update -qq && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends 'prometheus=2.42.*' && \
    rm -rf /var/lib/apt/lists/* /var/log/* && \
    install -d -o prometheus -g prometheus -m 1777 /var/lib/prometheus/metrics
COPY prometheus-health /usr/local/bin/
# A tmpfs mounted there takes over the mode of the folder and belongs to root.
USER prometheus
EXPOSE 9090
HEALTHCHECK --interval=5s --timeout=5s --retries=3 CMD ["prometheus-health"]
ENTRYPOINT ["prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/var/lib/prometheus/metrics"]
CMD ["--storage.tsdb.retention.time=7d", "--web.listen-address=:9090", "--enable-feature=exemplar-storage"]
