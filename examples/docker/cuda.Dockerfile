# A server that segments on NVIDIA GPUs: docker build -f cuda.Dockerfile -t segment . && docker run --gpus all segment
# Two stages: the first has Python, which fetches libtorch and NVIDIA's libraries; the second needs nothing but Node: the
# driver comes from the host (NVIDIA Container Toolkit), CUDA's libraries come with libtorch.
# The folder needs a package-lock.json: npm install --package-lock-only --ignore-scripts

FROM node:22-trixie-slim AS install
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-pip ca-certificates
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts
RUN npx sam3-tracker libtorch install --cuda --dir /opt/libtorch

FROM node:22-trixie-slim
ENV SAM3_TRACKER_LIBTORCH=/opt/libtorch NODE_ENV=production \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=install /opt/libtorch /opt/libtorch
WORKDIR /app
COPY --from=install /app/node_modules ./node_modules
COPY . .
USER node
# Without a GPU, as while an image is built, this proves that the CUDA build loads and computes on the CPU.
RUN npx sam3-tracker doctor
CMD ["node", "server.mjs"]
