import { defineConfig } from 'vitest/config'

/** The tests against a real Jaeger: `npm run test:jaeger` starts one and sets JAEGER_QUERY_URL and OTEL_EXPORTER_OTLP_ENDPOINT. */
export default defineConfig({
  resolve: { conditions: ['development', 'node', 'import', 'default'] },
  ssr: { resolve: { conditions: ['development', 'node', 'import', 'default'] } },
  test: {
    include: ['test/real-jaeger/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    execArgv: ['--conditions=development'],
  },
})
