import { copyFileSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { drawn } from '../scripts/policies-page.ts'
import { written } from '../scripts/telemetry-page.ts'
import { catalogue } from '../src/app/compose.ts'
import { extendCatalogue } from '../src/app/extend-catalogue.ts'
import { filesBeside } from '../src/cli/load-experiment.ts'
import { readDocument } from '../src/core/document.ts'
import type { ResponseDefinition } from '../src/core/policy.ts'
import { phaseNames } from '../src/core/record.ts'
import { readExperiment } from '../src/lab/design/experiment-schema.ts'
import { readConfig } from '../src/nodes/config-schema.ts'
import { definePipelineWith } from '../src/pipelines/pipeline-schema.ts'
import { caesura, startNode } from './cli/caesura.ts'
import { scriptedRun, speak } from './fixtures/scripted-run.ts'
import { startOllamaLike } from './servers/ollama-like.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'caesura-docs-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const pages = globSync(['*.md', 'docs/**/*.md', 'models/*.md'], { cwd: root }).map((page) => ({
  page,
  text: readFileSync(join(root, page), 'utf8'),
}))
const blocks = (language: string) =>
  pages.flatMap(({ page, text }) =>
    [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map((match, index) => ({
      name: `${page} #${index + 1}`,
      page,
      code: match[1]!,
    })),
  )
const block = (language: string, page: string) => blocks(language).find((candidate) => candidate.page === page)!.code

/** `ab` as the README has it, but over in a second. */
function withFewSessions(args: readonly string[]): string[] {
  for (const file of ['draft-refine.yaml', 'prompts.txt'])
    copyFileSync(join(root, 'examples', file), join(folder, file))
  const experiment = readFileSync(join(root, args[1]!), 'utf8').replace(/^sessions: .*/m, 'sessions: 2')
  writeFileSync(join(folder, 'experiment.yaml'), experiment)
  expect(args.slice(2)).toEqual(['--report', 'report.html'])
  return ['ab', join(folder, 'experiment.yaml'), '--report', join(folder, 'report.html')]
}

describe('the documentation', () => {
  it.each(pages)('$page links to what is there', ({ page, text }) => {
    const links = [...text.matchAll(/\]\(([^)#:]+)(#[^)]*)?\)/g)].map((match) => match[1]!)
    expect(links.filter((link) => !existsSync(join(root, dirname(page), link)))).toEqual([])
  })

  it.each(blocks('yaml'))('$name is a file that holds', async ({ code }) => {
    const { value } = readDocument(new TextEncoder().encode(code))
    if (code.includes('arms:') && code.includes('workload:')) {
      const files = filesBeside(join(root, 'examples/experiment.yaml'))
      expect(await readExperiment(catalogue, value, {}, files)).toHaveProperty('value')
    } else if (code.includes('stages:')) expect(definePipelineWith(catalogue, value).stages.length).toBeGreaterThan(0)
    else expect(readConfig(catalogue, value)).toHaveProperty('value')
  })

  it('docs/policies.md: its drawings are fresh (npm run policies-page)', async () => {
    const text = readFileSync(join(root, 'docs/policies.md'), 'utf8')
    expect(await drawn(text)).toBe(text)
  })

  it('docs/telemetry.md: its tables are fresh (npm run telemetry-page)', () => {
    const text = readFileSync(join(root, 'docs/telemetry.md'), 'utf8')
    expect(written(text)).toBe(text)
  })

  it('docs/records.md: tells of each phase', () => {
    const text = readFileSync(join(root, 'docs/records.md'), 'utf8')
    expect(phaseNames.filter((name) => !text.includes(`\`${name}\``))).toEqual([])
  })

  it('README: its commands do what they say', async () => {
    const commands = blocks('sh')
      .filter(({ page }) => page === 'README.md')
      .flatMap(({ code }) => code.split('\n'))
      .filter((line) => line.startsWith('npm run -s caesura -- '))
      .map((line) =>
        [...line.slice('npm run -s caesura -- '.length).matchAll(/"([^"]*)"|(\S+)/g)].map(
          (part) => part[1] ?? part[2]!,
        ),
      )
    expect(commands.map(([verb]) => verb)).toEqual(['run', 'explain', 'check', 'policies', 'doctor', 'ab', 'overhead'])
    // `overhead --quick` takes most of a minute: test/app/overhead.test.ts makes a smaller one.
    for (const args of commands.filter(([verb]) => verb !== 'overhead')) {
      const { status, stdout } = await caesura(root, args[0] === 'ab' ? withFewSessions(args) : args, {
        CAESURA_RECORDS: join(folder, 'runs.sqlite'),
        // As on a fresh machine: no server is named.
        OLLAMA_HOST: '',
      })
      expect(status, args.join(' ')).toBe(0)
      expect(stdout).not.toBe('')
    }
  })

  it('README: the program from code runs', async () => {
    const server = await startOllamaLike({ script: { tokens: ['Fill ', 'it.'] } })
    const file = join(folder, 'readme.ts')
    const index = pathToFileURL(join(root, 'src/index.ts')).href
    writeFileSync(
      file,
      block('ts', 'README.md').replace("'caesura-engine'", `'${index}'`).replace('http://127.0.0.1:11434', server.url),
    )
    try {
      expect(await startNode(folder, [file]).ended).toMatchObject({ status: 0, stdout: 'Fill it.', stderr: '' })
    } finally {
      await server.close()
    }
  })

  it('CONTRIBUTING: the policy shown there works as it says', async () => {
    const file = join(folder, 'finish-long.ts')
    const code = block('ts', 'CONTRIBUTING.md').replaceAll(
      '../../core/',
      `${pathToFileURL(join(root, 'src/core')).href}/`,
    )
    writeFileSync(file, code)
    const { finishLong }: { finishLong: ResponseDefinition } = await import(pathToFileURL(file).href)
    const own = extendCatalogue({ responses: [finishLong] })
    const pipeline = definePipelineWith(own, {
      name: 'p',
      stages: [
        { id: 'a', model: 'm', prompt: 'x', policy: { trigger: { tokens: 2 }, response: { 'finish-long': 3 } } },
        { id: 'b', model: 'm', prompt: 'y', policy: { trigger: { tokens: 3 }, response: { 'finish-long': 3 } } },
        { id: 'c', model: 'm', prompt: 'z' },
      ],
    })
    const record = await scriptedRun(pipeline, {
      settings: { catalogue: own },
      script: speak('one two three four five'),
    }).finish()
    expect(record.stages.map(({ settlement, text }) => [settlement, text])).toEqual([
      ['aborted', 'one two'],
      ['drained', 'one two three four five'],
      ['completed', 'one two three four five'],
    ])
  })
})
