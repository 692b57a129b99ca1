# Pinned by full tag. For a release, pin the digest too (FROM node:24.21.0-trixie-slim@sha256:…): a tag can be moved, a
# digest cannot. `docker buildx imagetools inspect node:24.21.0-trixie-slim` tells it.
FROM node:24.21.0-trixie-slim AS build
WORKDIR /app

# better-sqlite3 is compiled here, from the source the lock file names, against the headers that come with the image:
# no binary is fetched from elsewhere, and no compiler reaches the image that runs.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ make python3 \
    && rm -rf /var/lib/apt/lists/*
ENV npm_config_build_from_source=true npm_config_nodedir=/usr/local

COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund

COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY tools ./tools
RUN npm run build \
    && npm prune --omit=dev --no-audit --no-fund \
    && find dist -name '*.tsbuildinfo' -delete


FROM node:24.21.0-trixie-slim AS runtime
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist/src ./dist/src
# What runs owns none of its files, so it cannot change them even where the root file system is writable.
USER 1000:1000


# The stand-in for AWS, for development only: not in the image that is shipped.
FROM runtime AS local-aws
COPY --from=build /app/dist/tools/local-aws ./dist/tools/local-aws
ENTRYPOINT ["node", "dist/tools/local-aws/main.js"]


FROM runtime AS broker
LABEL org.opencontainers.image.title="AgentKeys Broker" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /app/dist/tools/verify-ledger ./dist/tools/verify-ledger
COPY --from=build /app/dist/tools/deploy ./dist/tools/deploy
# A new named volume takes owner and mode from here. No VOLUME: keys in a volume nobody named are keys lost.
USER 0:0
RUN install -d -o 1000 -g 1000 -m 0700 /var/lib/agentkeys
USER 1000:1000
ENV BROKER_DATA_DIR=/var/lib/agentkeys

EXPOSE 8091
# The process answers: not readiness, which asks STS and others, and for whose failures a restart is no cure.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:8091/healthz', { signal: AbortSignal.timeout(4000) }).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-old-space-size=192", "--v8-pool-size=1", "dist/src/main.js"]
# Inside a container loopback is the container's own: what may reach the port is for -p and the network to say.
CMD ["--bind", "0.0.0.0"]
