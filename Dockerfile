# One image for the API and both workers: `docker run --init caesura:0.1.0 VERB …`. Without `node-llama-cpp`: models
# run in servers beside it. docs/containers.md tells how it is run, and what of it was tried.

FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No script of a package runs: the build needs none of them.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24.21.0-bookworm-slim AS runtime
LABEL org.opencontainers.image.title="caesura" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# The image's user `node`, as a number: what runs the image can see that it is not root.
USER 1000:1000
EXPOSE 8080
# True of every role: this container reaches its Redis (REDIS_URL). docker-compose.yml asks more where more can be asked.
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s --retries=3 \
  CMD ["node", "dist/cli/main.js", "nodes", "--json"]
ENTRYPOINT ["node", "dist/cli/main.js"]
CMD ["--help"]
