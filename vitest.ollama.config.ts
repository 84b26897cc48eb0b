import { defineConfig } from 'vitest/config'

/** The tests against a real Ollama: `npm run test:ollama` starts one and sets OLLAMA_HOST. */
export default defineConfig({
  resolve: { conditions: ['development', 'node', 'import', 'default'] },
  ssr: { resolve: { conditions: ['development', 'node', 'import', 'default'] } },
  test: {
    include: ['test/real-ollama/**/*.test.ts'],
    // One server with one slot: a file that runs beside another would wait for it.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    execArgv: ['--conditions=development'],
  },
})
