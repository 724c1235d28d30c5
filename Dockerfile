# mien behind HTTP, as a user of its own on a file system that stays as it is:
#
#   docker build -t mien .
#   docker run --rm -v mien:/data mien serve keys add clinic
#   docker run --read-only --tmpfs /tmp -v mien:/data -p 127.0.0.1:8000:8000 mien
#
# Keys, persons and recordings lie in /data.

FROM python:3.11-slim AS build
WORKDIR /mien
COPY . .
RUN python -m venv /opt/mien \
    && /opt/mien/bin/pip install --no-cache-dir -c constraints.txt '.[serve]'

FROM python:3.11-slim
RUN useradd --create-home --uid 1000 mien \
    && install -d -o mien -g mien -m 700 /data
COPY --from=build /opt/mien /opt/mien
ENV MIEN_HOME=/data \
    PATH=/opt/mien/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
USER 1000
VOLUME /data
EXPOSE 8000
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz')"]
ENTRYPOINT ["mien"]
# Any address but the loopback one needs a key, which is made before.
CMD ["serve", "--host", "0.0.0.0"]
