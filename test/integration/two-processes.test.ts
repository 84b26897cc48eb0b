import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { recordSchema } from '../../src/core/record.ts'
import { caesura, examplePipeline, startCaesura } from '../cli/caesura.ts'
import { startOllamaLike, wordsFor } from '../servers/ollama-like.ts'

const folder = mkdtempSync(join(tmpdir(), 'caesura-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('cancelling one process never touches another on the same pipeline and server', async () => {
  const server = await startOllamaLike({
    models: ['gemma3:1b'],
    script: ({ body }) => ({
      intervalMs: 10,
      tokens: wordsFor(body.messages?.at(-1)?.content ?? '', body.options?.seed ?? 0, 60),
    }),
  })
  try {
    const start = (input: string) =>
      startCaesura(folder, ['run', examplePipeline, '--input', input, '--backend', 'ollama', '--events'], {
        OLLAMA_HOST: server.url,
      })
    const victim = start('first?')
    const other = start('second?')
    await Promise.all([victim.printed(' w'), other.printed(' w')])
    victim.child.kill('SIGINT')
    const [cancelled, untouched] = await Promise.all([victim.ended, other.ended])

    expect(cancelled.status).toBe(130)
    expect(cancelled.stdout).toContain('"outcome":"cancelled"')
    const chats = server.requests.filter(({ path }) => path === '/api/chat')
    const [cut, ...others] = [
      chats.filter(({ abandonedAt }) => abandonedAt !== undefined),
      chats.filter(({ abandonedAt }) => abandonedAt === undefined),
    ].flat()
    expect(cut!.body.messages!.at(-1)!.content).toBe('first?')
    expect(others).toHaveLength(2)

    expect(untouched.status).toBe(0)
    const draft = untouched.stdout
      .split('\n')
      .filter((line) => line.includes('"type":"token"') && line.includes('"draft"'))
      .map((line) => JSON.parse(line).text)
      .join('')
    expect(draft).toBe(wordsFor('second?', 1, 60).join(''))

    const last = await caesura(folder, ['runs', '--json'])
    const outcomes = JSON.parse(last.stdout)
    const records = await Promise.all(
      (outcomes.runs ?? outcomes).map(async ({ runId }: { runId: string }) =>
        recordSchema.parse(JSON.parse((await caesura(folder, ['runs', 'show', runId, '--json'])).stdout)),
      ),
    )
    expect(records.map(({ outcome }) => outcome).sort()).toEqual(['cancelled', 'completed'])
  } finally {
    await server.close()
  }
})
