# syntax=docker/dockerfile:1
# Build: everything, then only what runs is copied on.
FROM node:24-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY scripts scripts
COPY src src
RUN npm run build

# Production packages only, without running any install script.
FROM node:24-slim AS packages
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-slim
# npm and corepack are not needed at run time; what is not there cannot be misused.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn* \
  && install -d -o 10001 -g 0 -m 0770 /var/lib/postern
WORKDIR /app
COPY --from=packages /src/node_modules node_modules
COPY --from=build /src/dist dist
COPY package.json LICENSE ./
# A bound for the heap, so that a leak ends in a restart and not in a machine that swaps. Buffers of streams come on top.
ENV NODE_ENV=production POSTERN_STATE_DIR=/var/lib/postern NODE_OPTIONS="--max-old-space-size=128 --max-semi-space-size=8"
# Any other user works as well (docker run --user, OpenShift with group 0), as long as it may write to the volume.
USER 10001:0
# The one place written to; the rest of the file system may be read-only (docker run --read-only).
VOLUME /var/lib/postern
EXPOSE 2525
STOPSIGNAL SIGTERM
# Speaks SMTP to the listeners of the configuration; no curl, no shell.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["node", "/app/dist/main.js", "health"]
# Core files and diagnostic reports may hold secrets: off. The configuration comes from /config/postern.yaml or POSTERN_* variables.
ENTRYPOINT ["node", "--disable-proto=delete", "/app/dist/main.js"]
CMD ["serve"]
