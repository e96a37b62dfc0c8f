# The importer in a container: the work state and the ledger are in /project, the data comes to /data.
#   docker build -t resilient-importer . && docker run resilient-importer --help
FROM python:3.11-slim

WORKDIR /opt/resilient-importer
COPY constraints.txt pyproject.toml README.md ./
COPY supabase/migrations supabase/migrations
COPY imports imports
RUN pip install --no-cache-dir --constraint constraints.txt ".[airtable]" \
    && useradd --uid 10001 --create-home importer \
    && install --directory --owner importer --group importer /project

USER 10001
WORKDIR /project
ENV IMPORTER_PROJECT=/project
VOLUME /project
HEALTHCHECK --interval=1m --timeout=30s --retries=3 \
    CMD ["sh", "-c", "resilient-importer check --read-only || exit 1"]
ENTRYPOINT ["resilient-importer"]
CMD ["--help"]
