import { mkdtemp, rm } from 'node:fs/promises'
import { DEMO_MODEL, importDemoModel } from '/work/main/scripts/ollama/model.ts'
import { startServer } from '/work/main/scripts/ollama/serve.ts'
import { ollamaBackend } from '/work/main/src/backends/ollama.ts'
import { systemClock } from '/work/main/src/core/clock.ts'

const folder = await mkdtemp('/tmp/wedge-')
const server = await startServer(process.env.HOME + '/.cache/caesura-test/ollama-0.24.0/bin/ollama', folder)
await importDemoModel(server.url)
const backend = ollamaBackend({ url: server.url, loadDeadlineMs: 2000 })
const go = async (at: number, delayMs: number) => {
  const c = new AbortController()
  let n = 0
  const end = await backend.generate(
    {
      callId: 'c',
      runId: 'r',
      stage: 's',
      attempt: 1,
      model: DEMO_MODEL,
      messages: [
        { role: 'system', content: 'You answer household questions. Draft a short answer.' },
        { role: 'user', content: 'How do I descale my kettle?' },
      ],
      options: { temperature: 0, seed: 1, maxTokens: 24 },
      placement: 'any',
    },
    {
      clock: systemClock,
      signal: c.signal,
      mark() {},
      token() {
        n++
        if (n === at) {
          if (delayMs === 0) c.abort()
          else {
            const t = performance.now()
            const spin = () => (performance.now() - t >= delayMs ? c.abort() : setImmediate(spin))
            setImmediate(spin)
          }
        }
      },
    },
  )
  return end
}
const unload = () =>
  fetch(server.url + '/api/generate', {
    method: 'POST',
    body: JSON.stringify({ model: DEMO_MODEL, keep_alive: 0, stream: false }),
  }).then((r) => r.text())
try {
  await go(999, 0)
  for (const [at, delay] of [
    [12, 0],
    [12, 0.1],
    [12, 0.3],
    [12, 0.6],
    [24, 0],
    [1, 0],
  ] as const) {
    let wedged = 0,
      aborted = 0
    const N = 100
    for (let i = 0; i < N; i++) {
      const e = await go(at, delay)
      if (e.end === 'cancelled') aborted++
      if (e.error?.code === 'CAESURA_E_TIMEOUT_LOAD') {
        wedged++
        await unload()
        await new Promise((r) => setTimeout(r, 300))
        const again = await go(999, 0)
        if (again.end !== 'completed') console.log('still', again)
      }
      if (wedged >= 5) {
        console.log('stopped after', i + 1)
        break
      }
    }
    console.log({ at, delay, wedged, aborted })
  }
} finally {
  await backend.close()
  await server.stop()
  await rm(folder, { recursive: true, force: true })
}
