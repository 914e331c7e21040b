# The wheel is built in the first stage. The image has it and its dependencies, and nothing else of the source tree.
#   docker build --tag cosmos-batch .
#   docker run --rm --gpus all --volume "$PWD:/work" cosmos-batch run runs.jsonl --output out
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist .

FROM python:3.11-slim-bookworm
# Triton compiles the start of each kernel with a C compiler.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
# The extras of the wheel; "" leaves the pocket model alone.
ARG EXTRAS="[nvidia,datasets]"
COPY constraints.txt /opt/
COPY --from=build /dist /opt/dist
RUN pip install --no-cache-dir --constraint /opt/constraints.txt "$(echo /opt/dist/*.whl)${EXTRAS}" \
 && rm -r /opt/dist
# Weights, kernels and control videos are kept in /cache: mount a volume there to keep them between containers.
ENV XDG_CACHE_HOME=/cache HF_HOME=/cache/huggingface
RUN useradd --create-home --uid 1000 cosmos \
 && install --directory --mode=0777 /cache /work
USER cosmos
WORKDIR /work
EXPOSE 8000
ENTRYPOINT ["cosmos-batch"]
CMD ["--help"]
