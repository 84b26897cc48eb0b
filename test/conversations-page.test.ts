import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'

const page = readFileSync(new URL('../docs/conversations.md', import.meta.url), 'utf8')
const block = (language: string): string => new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'ms').exec(page)![1]!

it('the program of docs/conversations.md prints what the page says', () => {
  const folder = mkdtempSync(join(tmpdir(), 'caesura-page-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'conversation.ts')
  const index = new URL('../src/index.ts', import.meta.url).href
  writeFileSync(file, block('ts').replace("'caesura-engine'", `'${index}'`))
  const { stdout, stderr } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', file], {
    encoding: 'utf8',
  })
  expect({ stdout, stderr }).toEqual({ stdout: block('text'), stderr: '' })
})
