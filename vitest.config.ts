import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  // XState warns about what it cannot persist or deliver in its development build only.
  resolve: { conditions: ['development', 'node', 'import', 'default'] },
  ssr: { resolve: { conditions: ['development', 'node', 'import', 'default'] } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/real-*/**', 'node_modules/**'],
    // What hangs fails; what is slow on a busy machine does not.
    testTimeout: 60_000,
    // Most of them wait for processes and servers, not for a core.
    maxWorkers: 2,
    execArgv: ['--conditions=development'],
    // Hundreds of child processes load the same sources: a third of their start is reading types out of them.
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/node', import.meta.url)) },
  },
})
