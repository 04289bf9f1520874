# The image that a release ships: dbbuild with the files of one commit. It needs no repository.
#
#   docker build -f migrations.Dockerfile --build-arg COMMIT="$(git rev-parse HEAD)" -t shop-migrations .
ARG DBBUILD=dbbuild
FROM ${DBBUILD}
COPY dbbuild.toml ./
COPY db/ db/
ARG COMMIT=
ENV DBBUILD_COMMIT=${COMMIT}
CMD ["apply", "--env", "production", "--wait", "--events"]
