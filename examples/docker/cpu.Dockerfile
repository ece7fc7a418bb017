# A server that segments on the CPU: docker build -f cpu.Dockerfile -t segment .
# Two stages: the first has Python, which fetches libtorch; the second has Node and what the first has made.
# The folder needs a package-lock.json: npm install --package-lock-only --ignore-scripts

FROM node:22-trixie-slim AS install
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-pip ca-certificates
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts
RUN npx sam3-tracker libtorch install --cpu --dir /opt/libtorch

FROM node:22-trixie-slim
ENV SAM3_TRACKER_LIBTORCH=/opt/libtorch NODE_ENV=production
COPY --from=install /opt/libtorch /opt/libtorch
WORKDIR /app
COPY --from=install /app/node_modules ./node_modules
COPY . .
USER node
# The image is built only if the package works in it, for the user that runs it.
RUN npx sam3-tracker doctor
CMD ["node", "server.mjs"]
