# syntax=docker/dockerfile:1
# Two stages: the first resolves everything from the lock file, the second carries only the result. Runs as 1000:1000,
# writes nothing to its own file system, and needs no shell.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml requirements.lock README.md ./
COPY aioctl ./aioctl
COPY deploy/presets ./deploy/presets
COPY deploy/base/cluster-role.yaml deploy/base/role.yaml ./deploy/base/
RUN python -m venv /opt/aioctl \
 && python -m venv /opt/tools \
 && /opt/tools/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock \
 && /opt/tools/bin/python -m hatchling build -t wheel \
 && /opt/tools/bin/python -c "import tomllib,re; \
names={re.split(r'[<>=~! ]',d)[0].lower() for d in tomllib.load(open('pyproject.toml','rb'))['dependency-groups']['dev']}; \
print('\n'.join(sorted(names)))" > dev-packages \
 && /opt/aioctl/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock \
 && /opt/aioctl/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps dist/*.whl \
 && /opt/aioctl/bin/pip uninstall --yes --quiet -r dev-packages \
 && /opt/aioctl/bin/pip uninstall --yes --quiet pip

FROM python:3.11.14-slim-bookworm
ENV PATH=/opt/aioctl/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/aioctl /opt/aioctl
USER 1000:1000
EXPOSE 9443 8080 8081
ENTRYPOINT ["aioctl"]
CMD ["run"]
