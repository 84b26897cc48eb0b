import { defineConfig } from 'vitest/config'

/** The tests against a real llama.cpp server: `npm run test:llama-server` starts one and sets LLAMA_SERVER_URL. */
export default defineConfig({
  resolve: { conditions: ['development', 'node', 'import', 'default'] },
  ssr: { resolve: { conditions: ['development', 'node', 'import', 'default'] } },
  test: {
    include: ['test/real-llama-server/**/*.test.ts'],
    // One server with one slot: a file that runs beside another would wait for it.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    execArgv: ['--conditions=development'],
  },
})
