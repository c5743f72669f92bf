# syntax=docker/dockerfile:1
# Two stages: the first makes an environment from the lock file (release/image.sh), the second carries only that. Runs as
# 1000:1000, writes nothing to its own file system, and needs no shell. For both platforms:
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=... --build-arg REVISION=... .
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY release ./release
COPY aioctl ./aioctl
COPY deploy/presets ./deploy/presets
COPY deploy/base/cluster-role.yaml deploy/base/role.yaml ./deploy/base/
# 1980, the earliest that an archive can say.
ARG SOURCE_DATE_EPOCH=315532800
ENV SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH
# Extras of the package, such as otel.
ARG EXTRAS=""
ENV EXTRAS=$EXTRAS
RUN release/image.sh /opt/aioctl

FROM python:3.11.14-slim-bookworm
ARG VERSION=""
ARG REVISION=""
ARG CREATED=""
LABEL org.opencontainers.image.title="aioctl" \
      org.opencontainers.image.description="An asyncio controller for KServe's LLMInferenceService" \
      org.opencontainers.image.source="https://github.com/aioctl/aioctl" \
      org.opencontainers.image.documentation="https://github.com/aioctl/aioctl/blob/main/docs/operations.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.created=$CREATED
ENV PATH=/opt/aioctl/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/aioctl /opt/aioctl
USER 1000:1000
EXPOSE 9443 8080 8081
ENTRYPOINT ["aioctl"]
CMD ["run"]
